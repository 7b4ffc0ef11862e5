"""A metric's drop where numbers reach what a computer can hold: p near 0, and the largest values."""

import math

import pytest

from harness.comparison.metric_drop import compare_metric
from harness.comparison.pairing import PairedMetric
from harness.types import LARGEST_VALUE


def compared(baseline, candidate, *, kind="graded", clusters=None, **scale):
    places = range(len(baseline))
    metric = PairedMetric(
        set_name="s",
        metric="own",
        kind=kind,
        keys=tuple(f"s/{place}" for place in places),
        baseline=tuple(map(float, baseline)),
        candidate=tuple(map(float, candidate)),
        clusters=tuple(clusters or places),
        **scale,
    )
    return compare_metric(metric, detectable=kind == "graded")


@pytest.mark.parametrize("clusters", [None, [place % 1100 for place in range(1200)]])
def test_a_p_value_is_stored_above_zero_however_many_cases_fell(clusters):
    """1200 of 1200 cases lost: half to the power of that is 0 to a computer."""
    row = compared([1] * 1200, [0] * 1200, kind="binary", clusters=clusters)
    assert 0 < row.p_value < 1e-300


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("count", [2, 12, 40])
def test_the_largest_values_are_compared(count, place):
    """Of the scale's last value squares are still numbers; a metric that gives more is errored."""
    before, after = [LARGEST_VALUE] * count, [float(each) for each in range(count)]
    after[place] = -LARGEST_VALUE
    for sides, sign in (((before, after), 1), ((after, before), -1)):
        row = compared(*sides, least=-math.inf, most=math.inf)
        assert all(map(math.isfinite, (row.drop.low, row.drop.high, row.high_unseen, row.p_value)))
        assert sign * row.drop.estimate > 0
