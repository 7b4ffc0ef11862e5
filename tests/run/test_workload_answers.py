"""Answers are assembled by side; what failed is named, and takes its case's references with it."""

import pytest

from harness.run.cache import Cache
from harness.run.workload import assemble, look_up, plan_workload
from harness.types import Check, Completion, TextLoss


@pytest.fixture
def answers(models, plan, case_of):
    """Two cases with two references each, answered and scored on both sides."""
    check = Check(type="perplexity")
    cases = [case_of(name, references=("x", "y"), checks=(check,)) for name in "ab"]
    sides = {side: models[side] for side in ("candidate", "baseline")}
    with Cache(None) as cache:
        found = look_up(plan_workload(sides, cases, with_text=True), sides, plan, cache)
    for place, request in enumerate(found.workload.answers):
        found.completions[place] = Completion(
            text=request.side, stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.1
        )
    for place, request in enumerate(found.workload.texts):
        found.losses[place] = TextLoss(passage=request.key, nats_per_token=float(place), tokens=1)
    return found


def test_each_side_has_its_own(answers, plan):
    candidate, baseline = (assemble(side, answers, plan) for side in ("candidate", "baseline"))
    assert {key: given.text for key, given in baseline.completions.items()} == {
        "s/a": "baseline",
        "s/b": "baseline",
    }
    places = {
        key: [loss.nats_per_token for loss in found] for key, found in baseline.reference_losses.items()
    }
    # The candidate's four come first.
    assert places == {"s/a": [4.0, 5.0], "s/b": [6.0, 7.0]}
    assert len(candidate.text_losses) == len(baseline.text_losses) == len(answers.workload.passages) / 2
    assert {other: len(found) for other, found in candidate.divergences.items()} == {
        "baseline": len(answers.workload.divergences)
    }
    assert baseline.divergences == {}
    assert candidate.failures == baseline.failures == {}


def test_an_answer_that_failed_is_named_on_its_side(answers, plan):
    del answers.completions[1]
    answers.failures[1] = "not a number"
    candidate, baseline = (assemble(side, answers, plan) for side in ("candidate", "baseline"))
    assert list(candidate.completions) == ["s/a"]
    assert candidate.failures == {"s/b": "not a number"}
    assert (list(baseline.completions), baseline.failures) == (["s/a", "s/b"], {})


def test_a_reference_that_failed_leaves_its_case_without(answers, plan):
    del answers.losses[0]
    answers.failed_texts[0] = "not a number"
    candidate, baseline = (assemble(side, answers, plan) for side in ("candidate", "baseline"))
    assert list(candidate.reference_losses) == ["s/b"]
    assert (candidate.loss_failures, baseline.loss_failures) == ({"s/a": "not a number"}, {})
    assert list(baseline.reference_losses) == ["s/a", "s/b"]


def test_a_reference_that_is_not_measured_leaves_its_case_without_and_is_no_failure(answers, plan):
    del answers.losses[0]
    answers.unmeasured_texts[0] = "too long"
    answers.unmeasured_texts[len(answers.workload.references)] = "a passage is of no case"
    candidate, baseline = (assemble(side, answers, plan) for side in ("candidate", "baseline"))
    assert (list(candidate.reference_losses), candidate.loss_failures) == (["s/b"], {})
    assert (candidate.unmeasured, baseline.unmeasured) == ({"s/a": "too long"}, {})
    answers.failed_texts[1] = "not a number"
    candidate = assemble("candidate", answers, plan)
    assert (candidate.unmeasured, candidate.loss_failures) == ({}, {"s/a": "not a number"})
