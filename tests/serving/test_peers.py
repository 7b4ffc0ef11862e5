"""lm-eval, inspect_ai and promptfoo on a real server, where they are installed (``make peers``)."""

import json
import os

import pytest

from benchmarks import performance_served as asking
from benchmarks.performance_ways import NEW_TOKENS, FailedRun, Job
from benchmarks.served import QUESTIONS, scored_by_lm_eval
from harness.engines.base import GenerationRequest
from harness.engines.open import choose_plan, open_sides
from harness.serving.models import name_models
from harness.types import GenerationSettings, Message

PYTHON, PROMPTFOO = os.environ.get("TUNEGATE_TEST_PEERS", ""), os.environ.get("TUNEGATE_TEST_PROMPTFOO", "")
NEEDED = {"promptfoo": PROMPTFOO, "client": "always", "gate": "always"}
# Braces and marks of templates, quotes, several lines, no ASCII.
TEXTS = ['{"a": {"b": 1}} {% if c %} {# d #}', "two\nlines, 'quoted'", "Grüße – 你好"]


@pytest.fixture(scope="module")
def pair(tiny_bytes_dir, make_tiny_adapter, tmp_path_factory):
    """A base that can write any text, an adapter of it, and what is served of them."""
    adapter = make_tiny_adapter(tiny_bytes_dir, tmp_path_factory.mktemp("bytes") / "adapter", spread=0.5)
    models = name_models(str(adapter), [])
    return adapter, models, open_sides(models, choose_plan("float32", "cpu", 4096, list(models.values())))


@pytest.fixture
def job(pair, tiny_bytes_dir, tmp_path):
    """Conversations for both models, each with a system prompt."""
    turns = [[{"role": "system", "content": "one"}, {"role": "user", "content": text}] for text in TEXTS]
    given = {"peers": PYTHON or None, "promptfoo": PROMPTFOO or None}
    return Job(base=tiny_bytes_dir, adapter=pair[0], prompts=turns, directory=tmp_path, **given)


@pytest.fixture
def url(pair, start_server):
    """The address of a server with both models."""
    return str(start_server(pair[2], pair[1])[0].base_url).rstrip("/")


def direct(engine, side, turns):
    """The engine's own answer."""
    request = GenerationRequest(
        key="request",
        side=side,
        messages=tuple(Message(**turn) for turn in turns),
        settings=GenerationSettings(max_new_tokens=NEW_TOKENS),
    )
    found = {}
    engine.generate([request], found.update)
    return found[0].text


@pytest.mark.processes
@pytest.mark.parametrize("way", asking.WAYS)
def test_what_asks_the_server_gets_the_gate_s_texts(way, pair, job, url):
    """The same texts as from the engine, for a base and an adapter."""
    if not NEEDED.get(way, PYTHON):
        pytest.skip(f"{way}: not installed (make peers)")
    asks, reads = asking.WAYS[way]
    asks(job, url)
    base, adapter = pair[1]
    wanted = {
        f"{side}/{number}": direct(pair[2], name, turns)
        for side, name in (("candidate", adapter), ("baseline", base))
        for number, turns in enumerate(job.prompts)
    }
    assert len(set(wanted.values())) > len(TEXTS)
    assert reads(job) == wanted


@pytest.mark.processes
def test_likelihoods_are_those_of_lm_eval_s_own_model(pair, tiny_bytes_dir, url, tmp_path):
    """Its ``local-completions`` beside its ``hf``, with the tokens and the beginning that each makes itself."""
    if not PYTHON:
        pytest.skip("lm-eval: not installed (make peers)")
    found = scored_by_lm_eval(PYTHON, url, tiny_bytes_dir, tmp_path)
    assert found.largest_difference < 1e-3
    assert found.greediness_equal == found.likelihoods == 4 * QUESTIONS
    assert found.texts_equal == QUESTIONS


def test_a_missing_answer_is_no_equal_text():
    wanted = {"candidate/0": "a", "candidate/1": "b"}
    assert asking.equal_texts({"candidate/0": "a", "candidate/1": "c"}, wanted) == {"equal": 1, "of": 2}
    with pytest.raises(FailedRun, match="1 of 2 have no answer, candidate/1 first"):
        asking.equal_texts({"candidate/0": "a"}, wanted)


def test_an_error_of_a_tool_is_no_answer(job):
    row = {"provider": {"label": "candidate"}, "prompt": {"label": "0"}, "error": "429", "response": None}
    (job.directory / "out.json").write_text(json.dumps({"results": {"results": [row]}}))
    with pytest.raises(FailedRun, match="promptfoo: 429"):
        asking.promptfoo_texts(job)
    for side in ("candidate", "baseline"):
        (job.directory / f"logs-{side}").mkdir()
        log = {"status": "success", "samples": [{"id": 1, "error": {"message": "refused"}}]}
        (job.directory / f"logs-{side}" / "one.json").write_text(json.dumps(log))
    with pytest.raises(FailedRun, match="inspect_ai: refused"):
        asking.inspect_texts(job)
