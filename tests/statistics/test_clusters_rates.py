"""Intervals of one rate or mean, against published and library values and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from harness.statistics.clusters import (
    Units,
    mean_interval,
    rate_interval,
    ratio_interval,
    standard_error,
    wilson,
)


@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.9, 0.95]))
def test_wilson_equals_scipy(successes, n, confidence):
    successes = min(successes, n)
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    interval = wilson(successes, n, confidence)
    assert interval.low == pytest.approx(expected.low, abs=1e-9)
    assert interval.high == pytest.approx(expected.high, abs=1e-9)


def test_wilson_of_a_published_example():
    """Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 gives 0.2553 to 0.3662."""
    interval = wilson(81, 263, 0.95)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)


def test_a_rate_without_clusters_is_wilsons():
    assert rate_interval([True, False, True], range(3)) == wilson(2, 3)


def test_wilson_says_what_it_is():
    interval = wilson(8, 10)
    assert (interval.estimate, interval.confidence, interval.method) == (0.8, 0.9, "Wilson")
    assert all(wilson(0, n).low == 0.0 for n in range(1, 60))
    assert all(wilson(n, n).high == 1.0 for n in range(1, 60))


def test_the_confidence_reaches_every_interval():
    passed, single, pairs = [True, True, False, False], range(4), [0, 0, 1, 1]
    assert rate_interval(passed, single, 0.98) == wilson(2, 4, 0.98)
    assert rate_interval(passed, pairs, 0.98).confidence == 0.98
    assert rate_interval(passed, pairs, 0.98).low < rate_interval(passed, pairs).low
    for make in (mean_interval, rate_interval):
        assert make([1.0, 0.0, 1.0, 1.0], single, 0.98).confidence == 0.98
        assert make([1.0, 0.0, 1.0, 1.0], single, 0.98).low < make([1.0, 0.0, 1.0, 1.0], single).low


def test_two_clusters_have_a_design_effect():
    """One passes whole, one fails whole: squares 1 + 1, over 4 x 1/4, times 2: an effect of 4, so one case."""
    interval = rate_interval([True, True, False, False], [0, 0, 1, 1])
    expected = wilson(0.5, 1)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("passed", "low", "high"), [(True, None, 1.0), (False, 0.0, None)])
def test_clusters_that_are_all_alike_end_at_the_end_of_the_scale(passed, low, high):
    interval = rate_interval([passed] * 12, [0, 1, 2] * 4)
    expected = wilson(3.0 if passed else 0.0, 3)
    assert interval.low == (pytest.approx(expected.low) if low is None else low)
    assert interval.high == (pytest.approx(expected.high) if high is None else high)
    assert interval.estimate == float(passed)


def test_cases_that_agree_inside_their_cluster_count_once():
    """Ten clusters of four equal outcomes tell hardly more than ten cases."""
    passed = [True] * 7 + [False] * 3
    one, four = (
        wilson(7, 10),
        rate_interval([each for each in passed for _ in range(4)], sorted([*range(10)] * 4)),
    )
    assert four.estimate == one.estimate
    assert four.high - four.low == pytest.approx(one.high - one.low, rel=0.06)


def test_the_design_effect_of_a_worked_example():
    """Rao and Scott by hand: clusters (1 1) (0 0) (1 1) (1 0), a rate of 5/8.

    Squares (2 - 1.25)^2 x 2 + 1.25^2 + 0.25^2 = 2.75, over 8 x 5/8 x 3/8 = 1.875, times 4/3 for four clusters:
    a design effect of 88/45, and 8 / (88/45) = 45/11 effective cases.
    """
    interval = rate_interval([True, True, False, False, True, True, True, False], [0, 0, 1, 1, 2, 2, 3, 3])
    expected = wilson(5 / 8 * 45 / 11, 45 / 11)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    # Wilson's formula with z = 1.644854: centre 0.575240 and half 0.309478.
    assert (interval.low, interval.high) == pytest.approx((0.265762, 0.884718), abs=1e-6)
    assert interval.method == "Wilson over 4 clusters"


def test_clusters_that_balance_out_earn_no_more_than_their_cases():
    """Each of four clusters passes one of two: a design effect of 0, taken as 1, so eight cases."""
    interval = rate_interval([True, False] * 4, [0, 0, 1, 1, 2, 2, 3, 3])
    expected = wilson(4, 8)
    assert (interval.low, interval.high) == (expected.low, expected.high)


def test_clusters_that_all_pass_count_once():
    """There is no spread to estimate a design effect from, so the worst is assumed."""
    assert rate_interval([True] * 12, [0, 1, 2] * 4).low == pytest.approx(wilson(3, 3).low)


@pytest.mark.simulation
@pytest.mark.parametrize("together", [0.0, 0.5, 1.0])
def test_clustered_rates_cover_the_truth(together):
    """30 clusters of 4, alike with the given probability: the 90 % interval holds the rate in 86 to 95 %."""
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(1500):
        shared = random.random(30)[:, None] < together
        passed = np.where(shared, random.random((30, 1)) < 0.8, random.random((30, 4)) < 0.8)
        interval = rate_interval(passed.ravel().tolist(), np.repeat(np.arange(30), 4).tolist())
        covered += interval.low <= 0.8 <= interval.high
    assert 0.86 <= covered / 1500 <= 0.95


def test_a_mean_without_clusters_is_students_t():
    """Against scipy's own."""
    values = [0.1, 0.4, 0.35, 0.8, 0.9, 0.2]
    expected = ttest_1samp(values, 0).confidence_interval(0.9)
    interval = mean_interval(values, range(6))
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_values_that_never_vary_leave_room_for_the_unseen():
    """Ten equal values don't prove that all are: 95 % one-sided leaves 1 - 0.05^(1/10) unseen."""
    interval = mean_interval([0.0] * 10, range(10), least=0.0, most=1.0)
    assert (interval.low, interval.high) == (0.0, pytest.approx(1 - 0.05 ** (1 / 10)))
    assert mean_interval([0.0], [0]).high == pytest.approx(0.95)


def test_the_unseen_count_with_the_whole_scale():
    """Ten equal grades of 3 on a scale of 1 to 5: 4 x (1 - 0.05^(1/10)) either way.

    On an open scale a case may move by the mean, in any unit, or by what the caller says.
    """
    unseen = 1 - 0.05 ** (1 / 10)
    grades = mean_interval([3.0] * 10, range(10), least=1.0, most=5.0)
    assert (grades.low, grades.high) == pytest.approx((3 - 4 * unseen, 3 + 4 * unseen))
    for scale in ({}, {"least": 0.0}, {"most": 9.0}):
        for size in (1e-12, 1.0, 1e12):
            cost = mean_interval([3 * size] * 10, range(10), **{end: at * size for end, at in scale.items()})
            assert (cost.low / size, cost.high / size) == pytest.approx((3 - 3 * unseen, 3 + 3 * unseen))
        open_ended = mean_interval([3.0] * 10, range(10), **scale, unit=1.0)
        assert (open_ended.low, open_ended.high) == pytest.approx((3 - unseen, 3 + unseen))
        assert (open_ended.method, open_ended.confidence) == ("rule of three", 0.9)
    assert mean_interval([0.0] * 10, range(10)).high == pytest.approx(unseen)
    two = ratio_interval(Units(sums=(1.0, 1.0), sizes=(1.0, 1.0)))
    assert two.high == pytest.approx(1 + 1 - 0.05 ** (1 / 2))


def test_two_values_have_a_spread():
    """0 and 1: a variance of 1/2, so an error of 1/2; one value, or one cluster, has none."""
    assert standard_error(Units(sums=(0.0, 1.0), sizes=(1.0, 1.0))) == pytest.approx(0.5)
    assert standard_error(Units(sums=(3.0,), sizes=(4.0,))) == 0.0


@pytest.mark.parametrize("unit", [1e-150, 2**-40, 1e-6, 1e12])
def test_a_mean_has_the_same_interval_in_any_unit(unit):
    """Errors below a billionth counted as none: [0, 1] was told of scores that differ by 1e-10."""
    values = [0.1, 0.4, 0.35, 0.8, 0.9, 0.2]
    for scale in ({}, {"least": 0.0}, {"least": 0.0, "most": 1.0}):
        of_one = mean_interval(values, [0, 0, 1, 1, 2, 3], **scale)
        found = mean_interval(
            [value * unit for value in values],
            [0, 0, 1, 1, 2, 3],
            **{end: at * unit for end, at in scale.items()},
        )
        assert (found.low / unit, found.high / unit) == pytest.approx((of_one.low, of_one.high))
        assert found.method == of_one.method == "t over 4"
    seconds = mean_interval([1.7e9 + place for place in range(4)], range(4))
    assert seconds.high - seconds.estimate == pytest.approx(math.sqrt(5 / 12) * 2.353363434801)
    # Nor is rounding an error.
    assert mean_interval([0.1 * unit + 0.2 * unit, 0.3 * unit], range(2)).method == "rule of three"


def test_no_bound_lies_beyond_the_scale():
    interval = mean_interval([1.0, 1.0, 1.0, 0.2], range(4), least=0.0, most=1.0)
    assert interval.high == 1.0


def test_repeating_a_case_inside_its_cluster_adds_no_certainty():
    once = mean_interval([0.0, 1.0, 1.0, 0.0, 1.0], range(5))
    five = mean_interval(
        [v for v in (0.0, 1.0, 1.0, 0.0, 1.0) for _ in range(5)], [c for c in range(5) for _ in range(5)]
    )
    assert (once.low, once.high) == pytest.approx((five.low, five.high))


def test_a_ratio_weighs_each_unit_by_its_size():
    interval = ratio_interval(Units(sums=(30.0, 10.0), sizes=(100.0, 20.0)))
    assert interval.estimate == pytest.approx(40 / 120)


def test_a_ratio_of_a_worked_example():
    """Sums 3, 1, 2 over 4, 2, 2 cases: a mean of 6/8, residuals 0, -0.5 and 0.5.

    Cochran's error is sqrt(0.5 x 3/2) / 8 = 0.108253, times 2.919986, Student's quantile of two degrees.
    """
    interval = ratio_interval(Units(sums=(3.0, 1.0, 2.0), sizes=(4.0, 2.0, 2.0)))
    assert (interval.low, interval.high) == pytest.approx((0.4339022886, 1.0660977114))
    assert (interval.method, interval.confidence) == ("t over 3", 0.9)


@pytest.mark.simulation
@pytest.mark.parametrize("groups", [12, 40])
def test_clustered_means_cover_the_truth(groups):
    """Cases of a cluster share a shift; over 2 000 draws the 90 % interval holds the mean 87 to 93 % of the time."""
    random = np.random.default_rng(groups)
    covered = 0
    for _ in range(2000):
        shift = random.normal(0, 1, groups)
        values = (shift[:, None] + random.normal(0, 0.5, (groups, 4))).ravel()
        interval = mean_interval(values.tolist(), np.repeat(np.arange(groups), 4).tolist())
        covered += interval.low <= 0 <= interval.high
    assert 0.87 <= covered / 2000 <= 0.93


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=6), st.booleans())
def test_no_interval_is_nan(values, together):
    clusters = [0] * len(values) if together else list(range(len(values)))
    for interval in (
        mean_interval(values, clusters, least=0.0, most=1.0),
        rate_interval([value > 0 for value in values], clusters),
    ):
        assert math.isfinite(interval.low)
        assert math.isfinite(interval.high)
        assert interval.low <= interval.estimate <= interval.high
