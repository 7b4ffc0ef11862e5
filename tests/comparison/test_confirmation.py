"""A regression has to show again in fresh answers; what can't be looked at again stands."""

import pytest

from harness.comparison.confirmation import ResampledAnswers
from harness.comparison.gate import run_gate
from harness.errors import EngineError
from harness.statistics.per_case import Trials
from harness.types import GateVerdict, Stability

REGRESS, OPEN = GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE


@pytest.fixture
def runs(make_result, make_run):
    """80 cases of which the candidate loses 12 and gains 2."""

    def build(failed):
        return make_run([make_result(f"orders/{place:03}", place not in failed) for place in range(80)])

    return build(range(12)), build((70, 71))


def asking(was, now, times=3, *, seen=None, error=None):
    """Fresh answers: of all cases alike, or by key."""

    def ask_again(keys):
        if seen is not None:
            seen.append(set(keys))
        if error is not None:
            raise error
        trials = {
            key: Trials(*(value(key) if callable(value) else value for value in (was, times, now, times)))
            for key in keys
        }
        return ResampledAnswers(trials=trials, times=times, judge_requests=0, duration_s=4.2)

    return ask_again


def test_flipped_cases_of_both_directions_are_asked_again_and_no_others(runs):
    seen = []
    run_gate(*runs, ask_again=asking(3, 0, seen=seen))
    assert seen == [{f"orders/{place:03}" for place in (*range(12), 70, 71)}]


def test_what_shows_again_regresses(runs):
    comparison, verdict = run_gate(*runs, ask_again=asking(3, 0))
    (found,) = comparison.confirmations
    assert verdict.outcome is REGRESS
    assert found.stands
    assert (found.was, found.now) == (Stability(passed=42, answers=42), Stability(passed=0, answers=42))
    assert verdict.reasons[1] == (
        f"orders: 14 flipped cases asked again confirm it: baseline 42/42, candidate 0/42, "
        f"p={found.p_value:.2g}; 84 fresh answers in 4 s"
    )


def test_what_does_not_show_again_is_open(runs):
    comparison, verdict = run_gate(*runs, ask_again=asking(2, 2))
    assert verdict.outcome is OPEN
    assert [row.verdict for row in comparison.metrics] == [OPEN]
    assert "asked again do not confirm a drop: baseline 28/42, candidate 28/42" in "\n".join(verdict.reasons)


def test_gains_that_show_again_count_against_losses_that_do(runs):
    """Two cases lost for good and two gained for good are no drop."""

    def was(key):
        return 3 if key in {"orders/000", "orders/001"} else 1 if key < "orders/070" else 0

    def now(key):
        return 0 if key in {"orders/000", "orders/001"} else 1 if key < "orders/070" else 3

    _, verdict = run_gate(*runs, ask_again=asking(was, now))
    assert verdict.outcome is OPEN


def test_without_a_regression_nothing_is_asked(runs):
    candidate, _ = runs
    seen = []
    comparison, _ = run_gate(candidate, candidate, ask_again=asking(3, 0, seen=seen))
    assert seen == []
    assert comparison.confirmations == ()


def test_a_model_that_cannot_answer_again_does_not_clear_itself(runs):
    comparison, verdict = run_gate(*runs, ask_again=asking(0, 0, error=EngineError("out of memory")))
    assert verdict.outcome is REGRESS
    assert "could not be asked again, so the finding stands: out of memory" in verdict.reasons[1]
    assert comparison.confirmations[0].p_value is None


def test_a_judge_that_went_down_does_not_clear_a_model(runs):
    """Fresh answers without verdicts show nothing."""

    def ask_again(keys):
        trials = {key: Trials(0, 0, 0, 0) for key in keys}
        return ResampledAnswers(trials=trials, times=3, judge_requests=84, duration_s=1.0)

    _, verdict = run_gate(*runs, ask_again=ask_again)
    assert verdict.outcome is REGRESS
    assert (
        "only 0 and 0 of 42 fresh answers a side have a verdict, so the finding stands" in verdict.reasons[1]
    )


@pytest.mark.parametrize(("now", "outcome"), [(0, REGRESS), (3, OPEN)])
def test_a_broken_case_has_to_break_again(run_of, now, outcome):
    """Of 40 cases asked five times one went from always right to always wrong."""
    comparison, verdict = run_gate(run_of([0] + [5] * 39), run_of([5] * 40), ask_again=asking(3, now))
    assert verdict.outcome is outcome
    assert {each.finding for each in comparison.confirmations} == {"flipped", "broken"}
    assert bool(comparison.broken) == (outcome is REGRESS)
