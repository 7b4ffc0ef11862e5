"""Probes of what the base could do: forgetting, its tripwire, and a must-pass case."""

import math
from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.errors import BaselineError
from harness.presentation.sentences import sentences_of
from harness.types import Outcome, Score
from tests.comparison.conftest import OPEN, PASS, REGRESS, row_of


def probe_run(make_result, make_run, forgotten, losses=()):
    results = [
        make_result(f"general/{n:03}", n >= forgotten, tags=["knowledge" if n < 60 else "arithmetic", "easy"])
        for n in range(100)
    ]
    return make_run(results, probes={"general"}, losses=losses)


def test_forgetting_is_named_with_its_skills(make_result, make_run):
    comparison, verdict = run_gate(probe_run(make_result, make_run, 65), probe_run(make_result, make_run, 0))
    assert verdict.outcome is REGRESS
    assert row_of(comparison, name="general").margin == 0.10
    assert comparison.forgetting.overall.retained == 35
    assert sentences_of(verdict)[1] == (
        "forgetting: kept 35 of 100 passed probes, 35% [28%, 43%]; least of knowledge 0/60, arithmetic 35/40"
    )


def test_the_loss_alone_is_a_tripwire(make_result, make_run):
    """Perplexity on general text doubles, no probe is lost: that is no regression, and no pass either."""
    now = probe_run(make_result, make_run, 0, {"one": 3.7, "two": 3.2, "three": 3.9})
    then = probe_run(make_result, make_run, 0, {"one": 3.0, "two": 2.5, "three": 3.1})
    comparison, verdict = run_gate(now, then)
    assert comparison.forgetting.tripped
    assert verdict.outcome is OPEN
    assert any(
        reason.startswith("tripwire: cross-entropy on general text rose by 0.73")
        for reason in sentences_of(verdict)
    )


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_no_ground_for_a_pass(make_result, make_run, loss):
    then = {"one": 3.0, "two": 2.5, "three": 3.1}
    now = probe_run(make_result, make_run, 0, then | {"two": loss})
    assert run_gate(now, probe_run(make_result, make_run, 0, then))[1].outcome is OPEN


def test_a_baseline_that_passes_too_little_to_lose_is_no_ground_for_a_pass(run_with):
    """Of 200 cases the baseline passes 2, and so does the candidate."""
    equal = run_gate(run_with(200, 198), run_with(200, 198))
    assert equal[1].outcome is OPEN
    assert sentences_of(equal[1])[0] == (
        "orders: the baseline passes 2 of 200 cases, no more than the margin of 0.05 allows to lose: "
        "choose cases that it passes"
    )


def test_what_the_baseline_lacked_and_the_candidate_gained_is_a_pass(run_with):
    assert run_gate(run_with(80, 40), run_with(80, 80))[1].outcome is PASS


def test_probes_of_which_the_baseline_passes_none_are_refused(make_result, make_run):
    now, then = (
        probe_run(make_result, make_run, 0, {}),
        make_run([make_result(f"general/{n:03}", False) for n in range(100)]),
    )
    with pytest.raises(BaselineError, match="general: the baseline passes none of its 100 probes"):
        run_gate(now, then)


def test_a_failed_must_pass_case_fails_the_run_whatever_the_comparison_says(make_result, make_run):
    """One of 200 cases fails on both sides, so nothing was lost; but it must pass."""
    results = [make_result(f"s/{n:03}", n > 0) for n in range(200)]
    results[0] = replace(results[0], case=replace(results[0].case, must_pass=True))
    run = make_run(results)
    comparison, verdict = run_gate(run, run)
    assert row_of(comparison, name="s").verdict is PASS
    assert verdict.outcome is REGRESS
    assert sentences_of(verdict)[0] == "s: 1 must-pass case did not pass: 000"


@pytest.mark.parametrize("outcome", [Outcome.ERRORED, Outcome.UNSCORED])
def test_a_must_pass_case_without_a_verdict_is_no_pass_and_no_regression(make_result, make_run, outcome):
    """Its set tolerates that it has none."""
    results = [make_result(f"s/{n:03}", True) for n in range(200)]
    base = make_run(results)
    case = replace(results[0].case, must_pass=True)
    unknown = replace(results[0], case=case, outcome=outcome, scores=())
    now = make_run([unknown, *results[1:]])
    tolerant = replace(now.golden_sets[0].gate, max_errored=0.1, max_unscored=0.1)
    now = replace(now, golden_sets=(replace(now.golden_sets[0], gate=tolerant),))
    verdict = run_gate(now, base)[1]
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0] == "s: 1 must-pass case without a verdict: 000"
    # One check broke, and another one shows that it fails.
    failed = replace(unknown, scores=(Score(metric="equals", value=0.0, passed=False),))
    assert run_gate(make_run([failed, *results[1:]]), base)[1].outcome is REGRESS
