"""The decision about each gated metric: the same in any unit."""

import math
import random

import pytest

from harness.comparison.metric_verdicts import judge_metrics
from harness.comparison.pairing import PairedMetric
from harness.types import GateVerdict

UNITS = (1e-300, 2**-40, 1e-9, 1e12, 1e300)


def judged(baseline, candidate, unit, *, margin=0.05, higher_is_better=True, **scale):
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
        **({"least": 0.0, "most": math.inf} | {end: value * unit for end, value in scale.items()}),
    )
    (row,) = judge_metrics([metric], {("s", "mine"): margin * unit})
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
