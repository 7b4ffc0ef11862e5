"""Regressed cases, each shown on its own: what the gate makes of them."""

from dataclasses import replace

import numpy as np
import pytest

from harness.comparison.confirmation import confirm
from harness.comparison.gate import run_gate
from harness.comparison.metric_verdicts import judge
from harness.comparison.pairing import PairedMetric
from harness.comparison.regressed_cases import (
    CaseTest,
    ResampledAnswers,
    case_tests,
    measured_churn,
    regressed_cases,
    regressions_of,
    shared_case_tests,
)
from harness.presentation.sentences import sentences_of
from harness.statistics.paired_binary import Trials
from harness.types import GateSettings, GateVerdict, Stability

PASS, REGRESS = GateVerdict.PASS, GateVerdict.REGRESS


def test_one_broken_case_in_a_large_set_is_a_regression(run_of):
    """The pass rate fell by half a point, well within the margin; one case of 200 went from always to never."""
    comparison, verdict = run_gate(run_of([0] + [5] * 199), run_of([5] * 200))
    assert comparison.metrics[0].verdict is PASS
    assert verdict.outcome is REGRESS
    assert [case.key for case in comparison.regressed_cases] == ["s/000"]
    assert comparison.regressed_cases[0].was == Stability(passed=5, answers=5)
    assert (
        sentences_of(verdict)[0] == "s: 1 of 200 cases regressed, each beyond chance: 000 5/5 → 0/5 (p=0.004)"
    )


def test_the_p_that_is_told_of_a_case_counts_the_models(run_of):
    """What decides is at most 0.05, for one model and for one of several; of a hundred one case shows nothing."""
    now, then = run_of([0] + [5] * 199), run_of([5] * 200)
    alone, of_three, of_many = (
        run_gate(now, then, regress_alpha=0.05 / models)[0].regressed_cases for models in (1, 3, 100)
    )
    assert 2 * alone[0].p_value < of_three[0].p_value <= 0.05
    assert of_many == ()


@pytest.mark.parametrize(("times", "found"), [(1, ["a", "b"]), (3, ["a"]), (10, [])])
def test_so_does_that_of_cases_that_are_counted(times, found):
    own = Trials(5, 5, 0, 5)
    test = CaseTest("s", ("a", "b", "c"), (own,) * 3, (0.01, 0.02, 1.0), together=0.001)
    cases = regressed_cases(test, 0.002 * times, 0.05, times)
    assert [case.key for case in cases] == found
    assert [case.p_value for case in cases] == pytest.approx([0.01 * times, 0.02 * times][: len(found)])


def test_a_set_may_tolerate_regressed_cases(run_of):
    """Named anyway; two of a hundred are more than one per cent."""
    tolerant = {"s": GateSettings(max_regressed=0.01)}
    _, verdict = run_gate(run_of([0] + [5] * 199, gates=tolerant), run_of([5] * 200))
    assert verdict.outcome is PASS
    assert any(
        "1 of 200 cases regressed" in reason and "1% are tolerated" in reason
        for reason in sentences_of(verdict)
    )
    _, verdict = run_gate(run_of([0, 0] + [5] * 98, gates=tolerant), run_of([5] * 100))
    assert verdict.outcome is REGRESS


def test_probes_of_forgetting_tolerate_their_margin_instead(run_of):
    comparison, verdict = run_gate(run_of([0] + [5] * 199, probes={"s"}), run_of([5] * 200))
    assert (comparison.regressed_cases, verdict.outcome) == ((), PASS)


def test_single_answers_break_no_case_and_cost_nothing(run_of):
    """Without repeats the level is not shared: the p-value of the pass rate stays as it is."""
    comparison, _ = run_gate(run_of([0] * 4 + [1] * 76, answers=1), run_of([1] * 80, answers=1))
    assert comparison.regressed_cases == ()
    assert comparison.metrics[0].p_adjusted == comparison.metrics[0].p_value


def test_a_noise_record_lets_single_answers_break_a_case(run_of):
    """After 79 reruns without a change one failure is beyond chance; after five it isn't."""
    now, then = run_of([0] + [1] * 79, answers=1), run_of([1] * 80, answers=1)
    keys = [result.key for result in now.results]
    known = dict.fromkeys(keys, Stability(passed=79, answers=79))
    comparison, verdict = run_gate(now, then, stability=known)
    assert verdict.outcome is REGRESS
    assert [case.key for case in comparison.regressed_cases] == ["s/000"]
    little = dict.fromkeys(keys, Stability(passed=5, answers=5))
    assert run_gate(now, then, stability=little)[0].regressed_cases == ()


def test_a_case_that_was_unstable_in_the_noise_record_is_not_broken(run_of):
    now, then = run_of([0] + [1] * 79, answers=1), run_of([1] * 80, answers=1)
    known = {result.key: Stability(passed=79, answers=79) for result in now.results}
    known["s/000"] = Stability(passed=40, answers=79)
    assert run_gate(now, then, stability=known)[0].regressed_cases == ()


def trials_metric(before, now, repeats):
    return PairedMetric(
        set_name="s",
        metric="pass-rate",
        kind="binary",
        keys=tuple(map(str, range(before.size))),
        candidate=tuple((now / repeats).tolist()),
        baseline=tuple((before / repeats).tolist()),
        clusters=tuple(range(before.size)),
        trials=tuple(Trials(int(b), repeats, int(c), repeats) for b, c in zip(before, now, strict=True)),
    )


@pytest.mark.simulation
@pytest.mark.parametrize("repeats", [3, 5, 10])
@pytest.mark.parametrize("n", [20, 100])
def test_the_whole_gate_keeps_its_level_with_repeats(repeats, n):
    """200 runs of unchanged stable and unstable cases: rows and single cases together alarm in at most 5 %."""
    random, wrong = np.random.default_rng(repeats * n), 0
    rates = np.resize([*[1.0] * 8, 0.95, 0.65], n)
    for _ in range(200):
        metric = trials_metric(random.binomial(repeats, rates), random.binomial(repeats, rates), repeats)
        rows, broken = judge([metric], {("s", "pass-rate"): 0.05})
        wrong += rows[0].verdict is REGRESS or bool(broken)
    assert wrong / 200 <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


def found_broken(random, rates, repeats):
    now = random.binomial(repeats, rates)
    now[0] = 0
    metric = trials_metric(random.binomial(repeats, rates), now, repeats)
    return "0" in {case.key for case in judge([metric], {("s", "pass-rate"): 0.05})[1]}


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("n", "unstable", "repeats"), [(20, 0.2, 5), (200, 0.05, 5), (1000, 0.01, 5), (200, 0.2, 7)]
)
def test_a_broken_case_is_found_with_enough_answers(n, unstable, repeats):
    """In at least 34 of 40 runs. The more cases are unstable, the more answers it takes."""
    random, rates = np.random.default_rng(1), np.ones(n)
    rates[n - round(unstable * n) :] = 0.65
    assert sum(found_broken(random, rates, repeats) for _ in range(40)) >= 34


@pytest.mark.simulation
@pytest.mark.parametrize("whole", [True, False])
def test_the_printed_drop_is_found_with_repeats(whole):
    """What a row prints when nothing changed, lost by whole cases or a little by each: found in 80 % and more."""
    random, runs, found = np.random.default_rng(2), 60, 0
    rates = np.resize([1.0, 1.0, 1.0, 1.0, 0.7], 40)
    for _ in range(runs):
        before, unchanged = random.binomial(5, rates), random.binomial(5, rates)
        (row,), _ = judge([trials_metric(before, unchanged, 5)], {("s", "pass-rate"): 0.05})
        drop = row.minimum_detectable_drop
        gone = random.random(40) < drop / rates.mean()
        now = random.binomial(5, np.where(gone, 0.0, rates) if whole else np.maximum(rates - drop, 0.0))
        (row,), _ = judge([trials_metric(before, now, 5)], {("s", "pass-rate"): 0.05})
        found += row.verdict is REGRESS
    assert found / runs >= 0.8 - 3 * (0.8 * 0.2 / runs) ** 0.5


def test_a_case_counts_as_much_more_at_a_look_as_its_part_of_the_level_is_smaller():
    """Two tests share 5 %: 2.5 % each. Of that the second of two even looks has what the first left.

    The spending of Pocock's shape is alpha ln(1 + (e - 1) t): 0.025 x 0.62011 by the middle, 0.0094971 after it.
    """
    before = np.full(200, 5)
    metric = trials_metric(before, np.array([0, *before[1:]]), 5)
    (at_once,) = judge([metric], {("s", "pass-rate"): 0.05})[1]
    (at_a_look,) = judge([metric], {("s", "pass-rate"): 0.05}, fractions={"s": (0.5, 1.0)})[1]
    assert at_a_look.p_value / at_once.p_value == pytest.approx(0.025 / 0.0094971, rel=1e-4)


def test_a_set_that_could_show_nothing_at_the_level_left_costs_the_others_nothing():
    """Two metrics, and the cases of two sets: 5 % by three is 1.67 %, and by four 1.25 %.

    From always right to always wrong is 1/70 with four answers and 1/252 with five: 1/70 is too much beside five.
    """
    ones, lost = np.ones(20, dtype=int), np.array([0] + [1] * 19)
    sets = [replace(trials_metric(n * ones, n * lost, n), set_name=f"of {n}") for n in (5, 4)]
    limits = {each.set_name: 0.0 for each in sets}
    assert [each.set_name for each in case_tests(sets, limits, {}, 0.05 / 3)] == ["of 5", "of 4"]
    assert [each.set_name for each in case_tests(sets, limits, {}, 0.05 / 4)] == ["of 5"]
    assert [each.set_name for each in shared_case_tests(sets, limits, {}, 0.05, others=0)] == ["of 5"]
    assert [each.set_name for each in shared_case_tests(sets[1:], limits, {}, 0.05, others=0)] == ["of 4"]


@pytest.mark.parametrize(
    ("kind", "found"),
    [("binary", 3 / 40), ("graded", 0.05)],
)
def test_what_exactly_these_cases_detect_is_a_whole_number_of_them(kind, found):
    """Answers that reproduce: three of forty are the first that are more than 5 %; a score may fall by any part."""
    metric = PairedMetric(
        set_name="s",
        metric="is-json",
        kind=kind,
        keys=tuple(map(str, range(40))),
        candidate=(1.0,) * 40,
        baseline=(1.0,) * 40,
        clusters=tuple(range(40)),
        reproducible=True,
    )
    ((row,), _) = judge([metric], {("s", "is-json"): 0.05}, populations={"s": "cases"})
    assert row.population == "cases"
    assert row.minimum_detectable_drop == pytest.approx(found)


def test_what_reruns_show_of_the_noise_is_in_the_detectable_drop():
    """Nothing flipped between the runs; of two reruns of each case one differs in every fifth."""
    metric = replace(trials_metric(np.ones(80, dtype=int), np.ones(80, dtype=int), 1), trials=())
    known = {
        key: Stability(passed=1 if place % 5 == 0 else 2, answers=2) for place, key in enumerate(metric.keys)
    }
    plain, noisy = (
        judge([metric], {("s", "pass-rate"): 0.05}, stability=record)[0][0].minimum_detectable_drop
        for record in ({}, known)
    )
    assert noisy > plain + 0.02


def test_only_a_pass_rate_that_regressed_is_confirmed_by_its_flips(run_of):
    rows = run_gate(run_of([0] * 30 + [1] * 50, answers=1), run_of([1] * 80, answers=1))[0].metrics
    (row,) = rows
    other = replace(row, metric="is-json")
    assert [each.kind for each in regressions_of([row, other], [], {})] == ["flipped"]
    assert regressions_of([other], [], {}) == []
    assert regressions_of([replace(row, verdict=PASS)], [], {}) == []
    # One of two answers changes a noise record's rate, which is of pass rates alone.
    assert measured_churn(_metric("pass-rate"), {"s/0": Stability(passed=1, answers=2)}) == 0.5
    assert measured_churn(_metric("is-json"), {"s/0": Stability(passed=1, answers=2)}) == 0.0


def test_a_regression_against_reruns_stands_where_no_case_flipped(run_of):
    """The baseline's run failed where its reruns pass: nothing of the two runs can be resampled."""
    (row,) = run_gate(run_of([0] * 30 + [1] * 50, answers=1), run_of([1] * 80, answers=1))[0].metrics
    against_reruns = replace(row, set_name="other", lost=(), gained=())
    trials = {key: Trials(baseline_passed=5, baseline=5, candidate_passed=0, candidate=5) for key in row.lost}
    answers = ResampledAnswers(trials=trials, times=5, judge_requests=0, duration_s=1.0)
    found = [row, against_reruns]
    rows, _, (flipped, stays) = confirm(found, [], regressions_of(found, [], {}), answers)
    assert [each.verdict for each in rows] == [row.verdict, row.verdict]
    assert (flipped.problem, flipped.stands) == ("", True)
    assert (stays.problem, stays.stands) == (
        "no case flipped between the two runs, so none was resampled",
        True,
    )


def _metric(name):
    return PairedMetric(
        set_name="s",
        metric=name,
        kind="binary",
        keys=("s/0",),
        candidate=(1.0,),
        baseline=(1.0,),
        clusters=(0,),
    )
