"""Anything that could change an answer changes its key."""

import hashlib
from dataclasses import replace
from importlib import metadata

import pytest

from harness.prompts.rendering import RenderedPrompt
from harness.run import cache as cache_module
from harness.run.cache import (
    completion_keys,
    context_key,
    liveness_key,
    loss_key,
    prompt_key,
)
from harness.types import (
    UNKNOWN_WEIGHTS,
    ExecutionPlan,
    GenerationSettings,
    Message,
    ModelRef,
    ServerUse,
)

SESSION = "session:"
MODEL = ModelRef(label="a", base_model="b", base_sha256="base", adapter_dir="/a", adapter_sha256="adapter")
PLAN = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)
ASKED = (Message(role="user", content="hello"),)
GREEDY = GenerationSettings()


def key(model=MODEL, plan=PLAN, asked=ASKED, settings=GREEDY, salt="set/case"):
    return completion_keys(model, plan)(asked, settings, salt, None)


@pytest.mark.parametrize(
    "changed",
    [
        {"model": replace(MODEL, adapter_sha256="retrained")},
        {"model": replace(MODEL, base_sha256="other")},
        {"model": replace(MODEL, adapter_sha256=None)},
        {"plan": replace(PLAN, dtype="bfloat16")},
        {"plan": replace(PLAN, device="cuda:0")},
        {"plan": replace(PLAN, engine="vllm")},
        {"asked": (Message(role="user", content="hello!"),)},
        {"asked": (Message(role="system", content="hello"),)},
        {"settings": GenerationSettings(max_new_tokens=5)},
        {"settings": GenerationSettings(stop=("x",))},
        {"settings": GenerationSettings(task="intent")},
    ],
)
def test_what_decides_an_answer_changes_its_key(changed):
    assert key(**changed) != key()


def of_vllm(identity: str) -> ExecutionPlan:
    return replace(PLAN, engine="vllm", server=ServerUse(url="http://one", identity=identity))


def test_what_a_joined_server_computes_with_is_of_the_key():
    """Where nobody knows it, answers and losses are of this session alone."""
    keys = [key(plan=of_vllm(identity)) for identity in ("build 7", "build 8")]
    assert len(set(keys)) == 2
    assert not any(each.startswith(SESSION) for each in keys)
    for plan in (of_vllm(""), replace(PLAN, engine="vllm")):
        assert key(plan=plan).startswith(SESSION)
        for against in (None, replace(MODEL, adapter_sha256="other")):
            assert loss_key(MODEL, plan, ASKED, "text", against).startswith(SESSION)


@pytest.mark.parametrize("unknown", ["model", "against"])
def test_a_divergence_is_of_this_session_if_either_side_is_unknown(unknown):
    models = dict.fromkeys(("model", "against"), MODEL)
    assert not loss_key(models["model"], PLAN, ASKED, "text", models["against"]).startswith(SESSION)
    models[unknown] = replace(MODEL, base_sha256=f"{UNKNOWN_WEIGHTS}1")
    assert loss_key(models["model"], PLAN, ASKED, "text", models["against"]).startswith(SESSION)


def test_answers_of_unknown_weights_are_of_this_session():
    assert not key().startswith(SESSION)
    assert key(model=replace(MODEL, base_sha256=f"{UNKNOWN_WEIGHTS}1")).startswith(SESSION)


def test_where_the_adapter_lies_does_not_matter():
    """A copy of an adapter, or another label, finds the same answers."""
    assert key(model=replace(MODEL, label="z", adapter_dir="/elsewhere")) == key()


def test_batch_shape_matters_in_low_precision_only():
    """In bfloat16 the make-up of a batch changes greedy text, in float32 it doesn't."""
    assert key(plan=replace(PLAN, batch_tokens=1)) == key()
    low = replace(PLAN, dtype="bfloat16")
    assert key(plan=replace(low, batch_tokens=1)) != key(plan=low)


def test_only_samples_depend_on_the_case():
    """The same greedy question in two cases is asked once; samples are drawn for each."""
    assert key(salt="other") == key()
    warm = GenerationSettings(temperature=0.7)
    assert key(settings=warm, salt="other") != key(settings=warm)


@pytest.fixture
def versions(monkeypatch):
    """Each library's version is its own name; peft is missing."""

    def version(package):
        if package == "peft":
            raise metadata.PackageNotFoundError(package)
        return f"v-{package}"

    monkeypatch.setattr(metadata, "version", version)
    forget = getattr(cache_module._version, "cache_clear", lambda: None)
    forget()
    yield
    forget()


COMPUTED = (
    '[12, "base", "adapter", "transformers", "float32", "cpu", null, ["v-torch", "v-transformers", '
    '"missing", "v-tokenizers", "v-bitsandbytes"]]'
)
BASE = COMPUTED.replace('"adapter"', "null")
HELLO = '["user", "hello"]'
GIVEN = '"max_new_tokens": 128, "seed": 0, "stop": [], "temperature": 0.0, "top_p": 1.0'
PROMPT = RenderedPrompt(text="hello", tokens=1)
PROMPT_HASH = hashlib.sha256(b"hello").hexdigest()


@pytest.mark.usefixtures("versions")
@pytest.mark.parametrize(
    ("found", "text"),
    [
        (key, f'["completion", {COMPUTED}, [{HELLO}], {{{GIVEN}}}, ""]'),
        (
            lambda: completion_keys(MODEL, PLAN)(ASKED, GREEDY, "salt", PROMPT),
            f'["completion", {COMPUTED}, [{HELLO}], {{{GIVEN}}}, "", "{PROMPT_HASH}"]',
        ),
        (
            lambda: key(settings=GenerationSettings(temperature=0.5, task="t"), salt="salt"),
            f'["completion", {COMPUTED}, [{HELLO}], {{"max_new_tokens": 128, "seed": 0, "stop": [], '
            f'"task": "t", "temperature": 0.5, "top_p": 1.0}}, "salt"]',
        ),
        (
            lambda: key(plan=replace(PLAN, dtype="bfloat16", device="cuda:1", weights="merged")),
            '["completion", [12, "base", "adapter", "transformers", "bfloat16", "cuda", 4096, '
            f'["v-torch", "v-transformers", "missing", "v-tokenizers", "v-bitsandbytes"], "merged"], [{HELLO}], {{{GIVEN}}}, ""]',
        ),
        (lambda: loss_key(MODEL, PLAN, ASKED, "x"), f'["loss", {COMPUTED}, [{HELLO}], "x"]'),
        (
            lambda: loss_key(MODEL, PLAN, ASKED, "x", prompt=PROMPT),
            f'["loss", {COMPUTED}, [{HELLO}, "{PROMPT_HASH}"], "x"]',
        ),
        (
            lambda: loss_key(MODEL, PLAN, ASKED, "x", replace(MODEL, adapter_sha256=None)),
            f'["divergence 2", {COMPUTED}, {BASE}, [{HELLO}], "x"]',
        ),
        (lambda: liveness_key(MODEL), '["alive", "base", "adapter"]'),
        (lambda: context_key(MODEL), '["context", 4, "base", "v-transformers"]'),
        (
            lambda: prompt_key(MODEL, ASKED, GenerationSettings(date="2026-01-02")),
            f'["prompt", 4, ["base", "adapter"], [{HELLO}], [{{}}, "2026-01-02"], "v-transformers", "v-jinja2"]',
        ),
    ],
)
def test_keys_are_the_hashes_that_stored_caches_hold(found, text):
    """A changed key would throw away every stored answer: it may only come with a new revision number."""
    assert found() == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.usefixtures("versions")
def test_what_reads_a_server_s_replies_is_part_of_their_keys_alone():
    """Answers of this machine's engines outlast a change to the reading of others'."""
    served = replace(PLAN, engine="openai", server=ServerUse())
    computed = COMPUTED.replace('transformers", "float32', 'openai", "float32')[:-1] + ', "replies 3"]'
    text = f'["completion", {computed}, [{HELLO}], {{{GIVEN}}}, ""]'
    assert key(plan=served) == hashlib.sha256(text.encode()).hexdigest()


def test_an_answer_and_a_loss_never_share_a_key():
    assert loss_key(MODEL, PLAN, ASKED, "hello") != key()
