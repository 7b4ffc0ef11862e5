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
    ToolCall,
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
    '[13, "base", "adapter", "transformers", "float32", "cpu", null, ["v-torch", "v-transformers", '
    '"missing", "v-tokenizers", "v-bitsandbytes"]]'
)
SERVED_PLAN = ExecutionPlan(
    engine="openai", dtype="unknown", device="server", batch_tokens=4096, server=ServerUse()
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
            '["completion", [13, "base", "adapter", "transformers", "bfloat16", "cuda", 4096, '
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
    served = replace(SERVED_PLAN, dtype="float32")
    computed = '[13, "base", "adapter", "openai", "float32", "server", null, [], "replies 3"]'
    rendering = '{"rendering": [{}, "2024-07-26"], "task": null}'
    text = f'["completion", {computed}, [{HELLO}], {{{GIVEN}}}, "", {rendering}]'
    assert key(plan=served) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.usefixtures("versions")
def test_what_this_machine_computes_with_is_in_no_key_of_another_s_answer(monkeypatch):
    """An upgrade of a library, or other batches, would ask a hosted model all questions again, and pay."""
    keys = {key(plan=SERVED_PLAN), loss_key(MODEL, SERVED_PLAN, ASKED, "x")}
    monkeypatch.setattr(metadata, "version", lambda package: "another")
    cache_module._version.cache_clear()
    other = replace(SERVED_PLAN, batch_tokens=8192)
    assert {key(plan=other), loss_key(MODEL, other, ASKED, "x")} == keys
    # What goes to vLLM is rendered and read here, by these libraries.
    read = replace(other, engine="vllm", server=ServerUse(identity="build 7"))
    changed = key(plan=read)
    cache_module._version.cache_clear()
    monkeypatch.setattr(metadata, "version", lambda package: "a third")
    assert key(plan=read) != changed


WEATHER, ORDERS = (
    {"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "orders")
)
RENDERINGS = [
    GREEDY,
    GenerationSettings(tools=(WEATHER,)),
    GenerationSettings(tools=(ORDERS,)),
    GenerationSettings(tools=({"function": WEATHER["function"], "type": "function"},)),
    GenerationSettings(chat_template_kwargs={"enable_thinking": True}),
    GenerationSettings(chat_template_kwargs={"enable_thinking": False}),
    GenerationSettings(date="2026-01-02"),
    GenerationSettings(task="intent"),
]


@pytest.mark.parametrize("engine", ["openai", "openai-completions", "training", "a-plugin"])
def test_an_engine_that_renders_itself_depends_on_all_that_it_renders(engine):
    """No prompt is there that would differ: all of it is in the keys of answers and losses."""
    plan = replace(PLAN, engine=engine, server=ServerUse() if "openai" in engine else None)
    keys = [key(plan=plan, settings=settings) for settings in RENDERINGS]
    keys += [loss_key(MODEL, plan, ASKED, "x", settings=settings) for settings in RENDERINGS]
    assert len(set(keys)) == 2 * len(RENDERINGS)
    # A text on its own is behind no prompt.
    assert len({loss_key(MODEL, plan, (), "x", settings=settings) for settings in RENDERINGS}) == 1


def test_the_order_of_an_earlier_call_s_arguments_is_of_the_keys():
    """A server is sent them as they are written."""
    orders = ({"city": "Oslo", "day": 1}, {"day": 1, "city": "Oslo"})
    asked = [
        (Message(role="assistant", content="", tool_calls=(ToolCall(name="f", arguments=arguments),)),)
        for arguments in orders
    ]
    assert len({key(plan=SERVED_PLAN, asked=each) for each in asked}) == 2
    assert len({prompt_key(MODEL, each, GREEDY) for each in asked}) == 2


def test_a_prompt_depends_on_the_order_in_which_a_tool_is_described():
    one, other = RENDERINGS[1], RENDERINGS[3]
    assert prompt_key(MODEL, ASKED, one) != prompt_key(MODEL, ASKED, other)


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_of_a_rendered_prompt_the_key_has_the_prompt_alone(engine):
    """Two cases with one prompt are one question, whatever it was made of."""
    plan = replace(PLAN, engine=engine)
    made = [settings for settings in RENDERINGS if settings.task is None]
    assert len({completion_keys(MODEL, plan)(ASKED, each, "", PROMPT) for each in made}) == 1
    assert len({loss_key(MODEL, plan, ASKED, "x", prompt=PROMPT, settings=each) for each in made}) == 1


def test_an_answer_and_a_loss_never_share_a_key():
    assert loss_key(MODEL, PLAN, ASKED, "hello") != key()
