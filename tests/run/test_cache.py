"""Answers are kept by content: anything that could change one changes its key."""

from dataclasses import replace

import pytest

from harness.errors import SettingsError
from harness.run.cache import Cache, completion_key, loss_key
from harness.types import Completion, ExecutionPlan, GenerationSettings, Message, ModelRef, Score, TextLoss

MODEL = ModelRef(label="a", base_model="b", base_sha256="base", adapter_dir="/a", adapter_sha256="adapter")
PLAN = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)
ASKED = (Message(role="user", content="hello"),)
GREEDY = GenerationSettings()
ANSWER = Completion(text="hi", stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.5)


def key(model=MODEL, plan=PLAN, asked=ASKED, settings=GREEDY, salt="set/case"):
    return completion_key(model, plan, asked, settings, salt)


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


def test_an_answer_and_a_loss_never_share_a_key():
    assert loss_key(MODEL, PLAN, ASKED, "hello") != key()


def test_values_survive_closing_the_file(tmp_path):
    loss = TextLoss(passage="p", nats_per_token=2.5, tokens=10)
    score = Score(metric="rouge-l", value=0.5, explanation="why")
    with Cache(tmp_path / "deep" / "cache.sqlite") as cache:
        cache.put_all({"a": ANSWER, "b": loss})
        cache.put("c", score)
        cache.put_finding("d")
    with Cache(tmp_path / "deep" / "cache.sqlite") as cache:
        assert cache.get_completion("a") == ANSWER
        assert cache.get_loss("b") == loss
        assert cache.get("c") == score
        assert cache.has("d")
        assert not cache.has("e")
        assert cache.get("e") is None


def test_without_a_path_nothing_is_kept():
    """--gate-no-cache: usable within the session, gone after it."""
    with Cache(None) as cache:
        cache.put_all({"a": ANSWER})
        assert cache.get_completion("a") == ANSWER
    with Cache(None) as cache:
        assert cache.get_completion("a") is None


def test_a_file_that_is_no_cache_is_named(tmp_path):
    path = tmp_path / "cache.sqlite"
    path.write_text("not a database, long enough to be read as one" * 20)
    with pytest.raises(SettingsError, match=r"cache.sqlite: the cache can't be opened: .*--gate-no-cache"):
        Cache(path)
