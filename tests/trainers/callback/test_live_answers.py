"""How many tokens the model in training answers at a time, and that both sides of a look have one judge."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.judge.open import open_judge
from harness.judge.panel import Panel
from harness.run.cache import Cache
from harness.run.scoring import Judging
from harness.run.session import metric_facts
from harness.types import Check, ExecutionPlan, Outcome, Score
from trainers.callback import live_answers

LLAMA_8B = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
GIB = 1024**3


class InTraining:
    """A model as the callback sees it."""

    def __init__(self, device="cuda", config=LLAMA_8B):
        self.device = SimpleNamespace(type=device)
        self.config = SimpleNamespace(to_dict=lambda: config)


@pytest.fixture
def leave_free(monkeypatch):
    def leave(size):
        monkeypatch.setattr(live_answers, "_free_bytes", lambda _: size)

    return leave


@pytest.mark.parametrize(
    ("free", "tokens"),
    [
        (70 * GIB, 16_384),  # as a gate: 2 GiB of keys and values
        (4 * GIB, 16_384),
        (3 * GIB, 8192),  # half of it is for keys and values, 131 072 bytes a token
        (2 * GIB, 8192),
        (1 * GIB, 4096),
        (GIB // 100, 4096),  # never fewer than on a processor
    ],
)
def test_on_a_gpu_it_is_a_gate_s_number_as_far_as_training_leaves_room(leave_free, free, tokens):
    leave_free(free)
    assert live_answers._batch_tokens(InTraining(), "bfloat16", None) == tokens


def test_both_sides_and_all_looks_have_one_number(leave_free):
    """The optimiser's memory comes after the base's answers."""
    leave_free(70 * GIB)
    model = InTraining()
    before = live_answers._batch_tokens(model, "bfloat16", None)
    leave_free(GIB)
    assert live_answers._batch_tokens(model, "bfloat16", None) == before
    assert live_answers._batch_tokens(InTraining(), "bfloat16", None) < before


def test_a_processor_has_its_own_number(leave_free):
    leave_free(70 * GIB)
    assert live_answers._batch_tokens(InTraining(device="cpu"), "float32", None) == 4096


def computed(engine="transformers", device="cuda:0", batch_tokens=16_384):
    plan = ExecutionPlan(engine=engine, dtype="bfloat16", device=device, batch_tokens=batch_tokens)
    return SimpleNamespace(plan=plan)


@pytest.mark.parametrize(
    ("baseline", "device", "tokens"),
    [
        (computed(), "cuda", 16_384),
        (computed(device="cuda:split:0=20GiB", batch_tokens=512), "cuda", 512),
        (computed(device="cpu", batch_tokens=512), "cpu", 512),
        # Its batches were of another kind.
        (computed(device="cpu", batch_tokens=512), "cuda", 8192),
        (computed(engine="vllm", device="server"), "cuda", 8192),
        (computed(engine="lm-eval", device="cuda", batch_tokens=0), "cuda", 8192),
    ],
)
def test_a_stored_baseline_decides_for_the_looks_of_a_resumed_training(leave_free, baseline, device, tokens):
    """In bfloat16 another size of batches changes texts, and the memory that is free now is another."""
    leave_free(2 * GIB)
    model = InTraining(device)
    assert live_answers._batch_tokens(model, "bfloat16", baseline) == tokens


def test_each_look_gets_its_baseline_s_size(leave_free):
    leave_free(2 * GIB)
    model = InTraining()
    args = SimpleNamespace(bf16=True, fp16=False)
    for given, tokens in ((None, 16_384), (300, 300)):
        settings = SimpleNamespace(batch_tokens=given, chat_template_kwargs={})
        asking, side = SimpleNamespace(settings=settings), SimpleNamespace(decoder="batched")
        assert live_answers._plan_of(model, args, asking, side, computed()).batch_tokens == tokens


def test_a_baseline_has_the_scores_of_the_look_s_judge(judge_server, make_run, make_result):
    """The name stands for a stricter model since the training began: nothing was lost."""
    rubric = Check(type="llm-rubric", value="Good.")
    made = make_result("s/a")
    scores = (Score(metric="llm-rubric", value=1.0, passed=True),)
    before = make_run([replace(made, case=replace(made.case, checks=(rubric,)), scores=scores)])
    before = replace(before, metrics=metric_facts([rubric], "may"))
    look = replace(before, metrics=metric_facts([rubric], "scripted"))
    judge_server.answer = lambda body: {"reason": "strict", "pass": False}
    with Cache(None) as cache, Panel([open_judge(judge_server.spec, cache, environment={})]) as panel:
        cases = [result.case for result in before.results]
        asking = SimpleNamespace(judging=Judging(panel=panel), store=cache, cases=cases)
        assert live_answers.scored_alike(before, before, asking) is before
        found = live_answers.scored_alike(look, before, asking)
    assert found.results[0].outcome is Outcome.FAILED
    assert found.metrics["llm-rubric"].scored_by == {"judge": "scripted"}
