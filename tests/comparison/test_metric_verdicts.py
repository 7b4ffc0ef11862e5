"""The decision about each gated metric: the same in any unit."""

import math
import random
from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.comparison.metric_drop import cases_to_settle
from harness.comparison.metric_verdicts import judge
from harness.comparison.pairing import PairedMetric
from harness.statistics.paired_binary import Trials
from harness.types import GateSettings, GateVerdict, MetricFacts, Outcome
from tests.comparison.conftest import OPEN, REGRESS, row_of, scored

UNITS = (1e-300, 2**-40, 1e-9, 1e12, 1e300)


def judged(baseline, candidate, unit, *, margin=0.05, higher_is_better=True, population="sample", **scale):
    keys = tuple(f"s/{number}" for number in range(len(baseline)))
    metric = PairedMetric(
        set_name="s",
        metric="mine",
        kind="graded",
        keys=keys,
        baseline=tuple(value * unit for value in baseline),
        candidate=tuple(value * unit for value in candidate),
        clusters=tuple(range(len(keys))),
        higher_is_better=higher_is_better,
        reproducible=population == "cases",
        **({"least": 0.0, "most": math.inf} | {end: value * unit for end, value in scale.items()}),
    )
    ((row,), _) = judge([metric], {("s", "mine"): margin * unit}, populations={"s": population})
    return row


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("scale", [{}, {"most": 2.0}], ids=["without an end", "with both ends"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_score_has_the_same_verdict_and_figures_in_any_unit(unit, scale, sign):
    """At 1e-9 and below, a move counted as rounding: a cost that doubled in all cases passed."""
    draw = random.Random(1)
    baseline = [draw.uniform(0.5, 1.5) for _ in range(40)]
    noisy = [value - sign * draw.gauss(0.15, 0.2) for value in baseline]
    lost = [0.0 if sign > 0 else 2.0] * 40
    for candidate, verdict in (
        (baseline, None),
        (noisy, GateVerdict.REGRESS),
        (lost, GateVerdict.REGRESS),
    ):
        of_one, row = (
            judged(baseline, candidate, each, higher_is_better=sign > 0, **scale) for each in (1.0, unit)
        )
        assert row.verdict is of_one.verdict
        assert verdict in {None, row.verdict}
        assert row.p_value == pytest.approx(of_one.p_value, rel=1e-6)
        for figure in (
            lambda row: row.drop.estimate,
            lambda row: row.drop.low,
            lambda row: row.drop.high,
            lambda row: row.high_unseen,
            lambda row: row.minimum_detectable_drop,
            lambda row: row.baseline.mean.high,
            lambda row: row.margin,
        ):
            assert figure(row) / unit == pytest.approx(figure(of_one), rel=1e-6)


def test_equal_scores_pass_in_any_unit():
    for unit in UNITS:
        assert judged([1.0] * 80, [1.0] * 80, unit).verdict is GateVerdict.PASS


@pytest.mark.parametrize("sign", [1, -1])
def test_a_value_beyond_all_others_is_compared(sign):
    """In units of a mean of 1e-80 one of 1e100 would have no square."""
    tiny, spiked = [1e-80] * 40, [1e-80] * 39 + [1e100]
    row = judged(tiny, spiked, 1.0, higher_is_better=sign > 0)
    assert row.verdict is GateVerdict.INCONCLUSIVE
    assert row.drop.estimate == pytest.approx(-sign * 1e100 / 40)
    assert all(map(math.isfinite, (row.drop.low, row.drop.high, row.high_unseen)))


@pytest.mark.parametrize("maximum", [1.0, 1e10, 1e100, None])
@pytest.mark.parametrize("population", ["sample", "cases"])
@pytest.mark.parametrize("size", [1e-11, 0.1])
def test_a_scale_far_longer_than_its_values_hides_no_drop(make_result, make_run, maximum, population, size):
    """On [0, 1e10] a fall of every case from 5 to 2 passed with a margin of 1, as less than rounding."""
    if maximum is not None and 5 * size > maximum:
        return
    facts = {"rouge-l": MetricFacts(kind="graded", least=0.0, most=maximum)}

    def verdict_of(now, margin, then=5.0):
        gates = {"s": GateSettings(metric_margins={"rouge-l": margin * size}, population=population)}
        runs = [
            replace(make_run(scored(make_result, [value * size] * 100), gates=gates), metrics=facts)
            for value in (now, then)
        ]
        return row_of(run_gate(*runs)[0], "rouge-l", "s").verdict

    # Of a sample, such a long scale leaves open that a few unseen cases gained more than all others lost.
    shown = (
        {GateVerdict.REGRESS} if population == "cases" else {GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE}
    )
    for now, margin in ((2.0, 1.0), (2.0, 3.0 * (1 - 1e-5)), (5.0 - 1e-7, 0.5e-7), (5.0 - 1e-9, 0.0)):
        assert verdict_of(now, margin) in shown
    if maximum is None or (maximum, size) == (1.0, 0.1):
        assert verdict_of(2.0, 1.0) is GateVerdict.REGRESS
    # Neither a drop of the margin exactly nor rounding is one; a sample may have lost more, unseen.
    same = {GateVerdict.PASS} if population == "cases" else shown
    for now, margin in ((2.0, 3.0), (5.0 - 1e-7, 1e-7), (5.0 - 1e-14, 0.0), (5.0 + 1e-7, 0.0)):
        assert verdict_of(now, margin) in same
    assert verdict_of(5.0 - 1e-14, 0.0) is not GateVerdict.REGRESS


def test_a_margin_far_below_the_values_is_kept():
    """Times in seconds since 1970 with a margin of 0.05 s: a fall by 0.5 s was less than a billionth of them."""
    then = [1.7e9 + place for place in range(40)]
    for fell, verdict in ((0.5, GateVerdict.REGRESS), (0.04, GateVerdict.PASS), (0.0, GateVerdict.PASS)):
        row = judged(then, [value - fell for value in then], 1.0, population="cases")
        assert row.verdict is verdict
    # One value far from all others makes their moves no rounding.
    now = [2.0] * 99 + [1e12]
    assert (
        judged([5.0] * 99 + [1e12], now, 1.0, margin=1.0, population="cases").verdict is GateVerdict.REGRESS
    )


@pytest.mark.parametrize("unit", [2**-60, 1e-6, 1.0, 1e12])
@pytest.mark.parametrize("population", ["sample", "cases"])
def test_what_cost_nothing_before_costs_more_in_any_currency(unit, population):
    """A rise from 0 by less than 1 was left open for good, and a rise by 4e-10 passed with a margin of 1e-10."""
    cost = {"higher_is_better": False, "population": population}
    assert judged([0.0] * 40, [4.0] * 40, unit, margin=1.0, **cost).verdict is GateVerdict.REGRESS
    assert (
        judged([0.0] * 40, [4.0] * 20 + [0.0] * 20, unit, margin=1.0, **cost).verdict is GateVerdict.REGRESS
    )
    rare = judged([0.0] * 40, [0.0] * 39 + [4.0], unit, margin=1.0, **cost)
    assert rare.verdict is not GateVerdict.REGRESS


@pytest.mark.parametrize("unit", [2**-60, 1e-6, 1.0, 1e12])
def test_where_all_is_zero_the_margin_tells_the_unit(unit):
    """As on a scale of 1 with the default margin: 40 cases without a cost show too little, and 80 enough."""
    for n, verdict in ((40, GateVerdict.INCONCLUSIVE), (80, GateVerdict.PASS)):
        assert judged([0.0] * n, [0.0] * n, unit, higher_is_better=False).verdict is verdict
    assert judged([0.0] * 80, [0.0] * 80, unit, margin=0.0).verdict is GateVerdict.INCONCLUSIVE


@pytest.mark.parametrize("population", ["sample", "cases"])
@pytest.mark.parametrize(("passed", "possible"), [(3, False), (5, False), (20, True), (80, True)])
def test_no_drop_is_said_to_be_detected_that_the_baseline_can_not_fall_by(
    make_result, make_run, population, passed, possible
):
    """80 cases show a drop of 0.08, with a margin of 0.05; of 5 that the baseline passes 0.0625 can be lost."""
    gate = GateSettings(margin=0.05 if population == "sample" else 0.07, population=population)
    run = make_run([make_result(f"s/{n:02}", n < passed) for n in range(80)], gates={"s": gate})
    able = row_of(run_gate(run, run)[0], name="s").minimum_detectable_drop
    if possible:
        assert able == pytest.approx(0.08, abs=0.03)
        assert able <= passed / 80
    else:
        assert able is None


def test_nor_a_drop_of_scores_beyond_their_worst_value(make_result, make_run):
    """Of 20 scores at 0.1 no more than 0.1 can be lost; at 0.9 a drop of a third is found."""
    for value, possible in ((0.1, False), (0.9, True)):
        gates = {"s": GateSettings(metric_margins={"rouge-l": 0.05})}
        run = make_run(scored(make_result, [value] * 20), gates=gates)
        able = row_of(run_gate(run, run)[0], "rouge-l", "s").minimum_detectable_drop
        assert (able is not None) is possible
        assert able is None or able <= value


def test_what_six_scores_of_nearly_a_half_detect_is_told(make_result, make_run):
    """It is 0.58 (20^(1/6) - 1) = 0.376 or a little more, of 0.49 that there is: beside REGRESS the row said none.

    0.58 is what six values of 0.49 could gain, with one more from 0.
    """
    gates = {"s": GateSettings(metric_margins={"rouge-l": 0.05}, margin=0.99, max_regressed=1.0)}
    before = [0.48, 0.49, 0.50] * 2
    then = make_run(scored(make_result, before, Outcome.UNSCORED), gates=gates)
    for now, verdict in (([0.08, 0.06, 0.07] * 2, REGRESS), ([0.49, 0.48, 0.49, 0.5, 0.5, 0.49], OPEN)):
        row = row_of(
            run_gate(make_run(scored(make_result, now, Outcome.UNSCORED), gates=gates), then)[0],
            "rouge-l",
            "s",
        )
        assert row.verdict is verdict
        assert 0.37 < row.minimum_detectable_drop < 0.4


def test_no_more_is_detected_than_there_is(make_result, make_run):
    """Six values of 0.2 could gain 0.83: a drop would have to be 0.53, gated or not."""
    run = make_run(scored(make_result, [0.19, 0.2, 0.21] * 2))
    moved = make_run(scored(make_result, [0.2, 0.19, 0.2, 0.21, 0.21, 0.2]))
    assert row_of(run_gate(moved, run)[0], "rouge-l", "s").minimum_detectable_drop is None


def test_so_many_cases_as_have_not_settled_it_are_not_said_to_settle_it():
    """209 cases in 166 clusters settle a fall of 14 cases in most runs; this is one of the others."""
    clusters = (*(place // 2 for place in range(86)), *range(43, 166))
    passed = tuple(float(place < 209 - 14) for place in range(209))
    metric = PairedMetric(
        set_name="s",
        metric="pass-rate",
        kind="binary",
        keys=tuple(f"s/{place}" for place in range(209)),
        baseline=(1.0,) * 209,
        candidate=passed,
        clusters=clusters,
        trials=tuple(Trials(1, 1, int(now), 1) for now in passed),
    )
    ((row,), _) = judge([metric], {("s", "pass-rate"): 0.1})
    assert cases_to_settle(metric, 0.05, 0.1, 0.9) == 209
    assert (row.verdict, row.cases_to_settle) == (OPEN, None)


@pytest.mark.parametrize(("lost", "verdict"), [(1, OPEN), (3, OPEN), (5, REGRESS)])
def test_what_is_detected_of_losses_without_an_end_is_as_large_as_those_seen(lost, verdict):
    """Single references of 30 lose 5 nats a token: from 4 on they regress, and 0.17 was told as detected."""
    row = judged([2.0] * 30, [7.0] * lost + [2.0] * (30 - lost), 1.0, margin=0.1, higher_is_better=False)
    assert row.verdict is verdict
    assert row.minimum_detectable_drop > 0.6
