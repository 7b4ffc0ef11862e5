"""Intervals of one rate or mean, against published and library values and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.statistics.rates import mean_interval, wilson


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_equals_scipy(successes, n):
    successes = min(successes, n)
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    interval = wilson(successes, n)
    assert interval.low == pytest.approx(expected.low, abs=1e-9)
    assert interval.high == pytest.approx(expected.high, abs=1e-9)


def test_wilson_of_a_published_example():
    """Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 gives 0.2553 to 0.3662."""
    interval = wilson(81, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


def test_a_mean_without_clusters_is_students_t():
    """Against scipy's own."""
    from scipy.stats import ttest_1samp

    values = [0.1, 0.4, 0.35, 0.8, 0.9, 0.2]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    interval = mean_interval(values, range(6))
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_values_that_never_vary_leave_room_for_the_unseen():
    """Ten equal values don't prove that all are: 95 % one-sided leaves 1 - 0.05^(1/10) unseen."""
    interval = mean_interval([0.0] * 10, range(10), confidence=0.9)
    assert interval.high == pytest.approx(1 - 0.05 ** (1 / 10))
    assert mean_interval([0.0], [0], confidence=0.9).high == pytest.approx(0.95)


def test_repeating_a_case_inside_its_cluster_adds_no_certainty():
    once = mean_interval([0.0, 1.0, 1.0, 0.0, 1.0], range(5))
    five = mean_interval(
        [v for v in (0.0, 1.0, 1.0, 0.0, 1.0) for _ in range(5)], [c for c in range(5) for _ in range(5)]
    )
    assert (once.low, once.high) == pytest.approx((five.low, five.high))


@pytest.mark.parametrize("groups", [12, 40])
def test_clustered_intervals_cover_the_truth(groups):
    """Cases of a cluster share a shift; over 2 000 draws the 90 % interval holds the mean 87 to 93 % of the time."""
    random = np.random.default_rng(groups)
    covered = 0
    for _ in range(2000):
        shift = random.normal(0, 1, groups)
        values = (shift[:, None] + random.normal(0, 0.5, (groups, 4))).ravel()
        interval = mean_interval(values.tolist(), np.repeat(np.arange(groups), 4).tolist(), 0.9)
        covered += interval.low <= 0 <= interval.high
    assert 0.87 <= covered / 2000 <= 0.93


def test_no_interval_is_nan():
    for values in ([1.0], [0.0, 0.0], [0.5, 0.5, 0.5]):
        interval = mean_interval(values, range(len(values)))
        assert math.isfinite(interval.low)
        assert math.isfinite(interval.high)
