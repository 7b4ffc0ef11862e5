"""A regression has to show again in fresh answers; what can't be looked at again stands."""

from dataclasses import replace

import pytest

from harness.comparison.gate import cases_to_confirm, conclude, judge_runs, with_resampled
from harness.comparison.regressed_cases import ResampledAnswers, regressions_of
from harness.presentation.sentences import sentences_of
from harness.statistics.paired_binary import Trials
from harness.types import GateSettings, GateVerdict, Stability

REGRESS, UNCLEAR = GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE


@pytest.fixture
def runs(make_result, make_run):
    """80 cases of which the candidate loses 12 and gains 2."""

    def build(failed):
        return make_run([make_result(f"orders/{place:03}", place not in failed) for place in range(80)])

    return build(range(12)), build((70, 71))


def answers(keys, was, now, times=3):
    """Fresh answers: of all cases alike, or by key."""
    trials = {
        key: Trials(*(value(key) if callable(value) else value for value in (was, times, now, times)))
        for key in keys
    }
    return ResampledAnswers(trials=trials, times=times, judge_requests=0, duration_s=4.2)


def confirmed(runs, was, now, times=3):
    """Both looks at two runs."""
    first = judge_runs(*runs)
    return conclude(with_resampled(first, answers(cases_to_confirm(first), was, now, times)))


def test_each_set_has_its_own_limit_of_regressed_cases(run_of):
    """Four of 80 cases regressed in every answer: within one set's limit of a tenth, beyond another's of none."""
    judged = judge_runs(run_of([0] * 4 + [5] * 76), run_of([5] * 80))
    assert len(judged.regressed) == 4
    kinds = [
        [each.kind for each in regressions_of(judged.rows, judged.regressed, limits)]
        for limits in ({"s": 0.1}, {"other": 0.1}, {})
    ]
    assert kinds == [["flipped"], ["flipped", "regressed"], ["flipped", "regressed"]]


def test_flipped_cases_of_both_directions_are_to_be_resampled_and_no_others(runs):
    assert cases_to_confirm(judge_runs(*runs)) == {f"orders/{place:03}" for place in (*range(12), 70, 71)}


def test_what_shows_again_regresses(runs):
    comparison, verdict = confirmed(runs, 3, 0)
    (found,) = comparison.confirmations
    assert verdict.outcome is REGRESS
    assert found.stands
    assert (found.was, found.now) == (Stability(passed=42, answers=42), Stability(passed=0, answers=42))
    assert sentences_of(verdict)[1] == (
        "orders: 14 flipped cases resampled confirm it: baseline 42/42, candidate 0/42, "
        "p<1e-15; 84 fresh answers in 4 s"
    )
    assert 0 < found.p_value < 1e-15


def test_what_does_not_show_again_is_inconclusive(runs):
    comparison, verdict = confirmed(runs, 2, 2)
    assert verdict.outcome is UNCLEAR
    assert [row.verdict for row in comparison.metrics] == [UNCLEAR]
    assert "resampled do not confirm a drop: baseline 28/42, candidate 28/42" in "\n".join(
        sentences_of(verdict)
    )


def test_gains_that_show_again_count_against_losses_that_do(runs):
    """Two cases lost for good and two gained for good are no drop."""

    def was(key):
        return 3 if key in {"orders/000", "orders/001"} else 1 if key < "orders/070" else 0

    def now(key):
        return 0 if key in {"orders/000", "orders/001"} else 1 if key < "orders/070" else 3

    _, verdict = confirmed(runs, was, now)
    assert verdict.outcome is UNCLEAR


def test_without_a_regression_nothing_is_asked(runs):
    candidate, _ = runs
    first = judge_runs(candidate, candidate)
    assert cases_to_confirm(first) == frozenset()
    assert conclude(first)[0].confirmations == ()


def test_a_model_that_cannot_answer_again_does_not_clear_itself(runs):
    comparison, verdict = conclude(with_resampled(judge_runs(*runs), None, "out of memory"))
    assert verdict.outcome is REGRESS
    assert "could not be resampled, so the regression stands: out of memory" in sentences_of(verdict)[1]
    (found,) = comparison.confirmations
    assert found.stands is True
    assert found.p_value is None


def test_a_judge_that_went_down_does_not_clear_a_model(runs):
    """Fresh answers without verdicts show nothing."""
    first = judge_runs(*runs)
    trials = {key: Trials(0, 0, 0, 0) for key in cases_to_confirm(first)}
    silent = ResampledAnswers(trials=trials, times=3, judge_requests=84, duration_s=1.0)
    comparison, verdict = conclude(with_resampled(first, silent))
    assert verdict.outcome is REGRESS
    assert comparison.confirmations[0].judge_requests == 84
    assert (
        "only 0 and 0 of 42 fresh answers a side have a verdict, so the regression stands"
        in sentences_of(verdict)[1]
    )


@pytest.mark.parametrize(("now", "outcome"), [(0, REGRESS), (3, UNCLEAR)])
def test_a_regressed_case_has_to_regress_again(run_of, now, outcome):
    """Of 40 cases asked five times one went from always right to always wrong."""
    comparison, verdict = confirmed((run_of([0] + [5] * 39), run_of([5] * 40)), 3, now)
    assert verdict.outcome is outcome
    assert {each.finding for each in comparison.confirmations} == {"flipped", "regressed"}
    assert bool(comparison.regressed_cases) == (outcome is REGRESS)


@pytest.mark.parametrize(
    ("times", "outcome", "problem"),
    [
        (1, REGRESS, "p=0.25; 2 fresh answers in 4 s: so few fresh answers can't show a drop (a larger "),
        (2, REGRESS, ""),
    ],
)
def test_answers_too_few_to_show_a_drop_refute_none(make_run, make_result, times, outcome, problem):
    """One case of 15, always answered wrong: of one new answer a side the least p is 0.25, of two 0.083."""
    sides = [
        make_run([make_result(f"s/{place}", place or not lost) for place in range(15)]) for lost in (1, 0)
    ]
    (row,) = judge_runs(*sides).rows
    first = replace(judge_runs(*sides), rows=(replace(row, verdict=REGRESS),))
    comparison, verdict = conclude(with_resampled(first, answers(cases_to_confirm(first), times, 0, times)))
    assert verdict.outcome is outcome
    assert problem in comparison.confirmations[0].problem or problem in sentences_of(verdict)[1]
    assert bool(problem) == bool(comparison.confirmations[0].problem)


def test_several_regressions_with_few_answers_each_are_not_refuted_by_their_number(make_run, make_result):
    """Three sets, one lost case each, two new answers: 3 times 0.083 is more than 0.2 though all are lost."""
    sides = [
        make_run([make_result(f"{name}/{place}", place or not lost) for name in "abc" for place in range(15)])
        for lost in (1, 0)
    ]
    judged = judge_runs(*sides)
    first = replace(judged, rows=tuple(replace(row, verdict=REGRESS) for row in judged.rows))
    assert len(cases_to_confirm(first)) == 3
    comparison, verdict = conclude(with_resampled(first, answers(cases_to_confirm(first), 2, 0, 2)))
    assert verdict.outcome is REGRESS
    assert [each.stands for each in comparison.confirmations] == [True, True, True]


def test_a_drop_that_is_known_exactly_is_not_resampled(make_run, make_result):
    """Eight lost and five gained of exactly these cases, computed exactly: new answers are the same."""
    sides = [
        make_run(
            [make_result(f"orders/{place:02}", place not in failed) for place in range(54)],
            gates={"orders": GateSettings(population="cases")},
        )
        for failed in (range(8), range(8, 13))
    ]
    first = judge_runs(*sides)
    assert first.rows[0].verdict is REGRESS
    assert first.rows[0].drop.low == first.rows[0].drop.high
    assert cases_to_confirm(first) == frozenset()


def test_a_refuted_drop_is_no_regression_for_the_other_question_either(runs):
    first = judge_runs(*runs)
    first = replace(first, rows=tuple(replace(row, other_question=REGRESS) for row in first.rows))
    comparison, verdict = conclude(with_resampled(first, answers(cases_to_confirm(first), 2, 2)))
    assert [row.other_question for row in comparison.metrics] == [UNCLEAR]
    assert "it would regress" not in "\n".join(sentences_of(verdict))
