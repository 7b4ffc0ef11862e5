"""The test and the interval of a mean drop, by worked examples and by simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import paired_graded
from harness.statistics.clusters import Units, group
from harness.statistics.paired_binary import drop_p, tango_interval
from harness.statistics.paired_graded import (
    BOOTSTRAP_FROM,
    MOST_RESAMPLES,
    mean_drop,
    moved_units,
    paired_interval,
)
from tests.statistics.conftest import alone


def test_the_same_scores_give_the_same_figures():
    drops = alone(np.random.default_rng(1).normal(0.1, 0.3, 60).tolist())
    assert paired_interval(drops, 0.9) == paired_interval(drops, 0.9)


def test_resamples_are_the_same_in_one_portion_and_in_many(monkeypatch):
    drops = alone(np.random.default_rng(1).normal(0.1, 0.3, 60).tolist())
    whole = mean_drop(drops, 0.9, resamples=99)
    assert whole.method == "studentised bootstrap"
    monkeypatch.setattr(paired_graded, "_CELLS", 7 * 60)
    assert mean_drop(drops, 0.9, resamples=99) == whole


def test_the_bootstrap_needs_enough_that_moved():
    """One large move among many small ones weighs like one: 200 cases, and still hardly any evidence."""
    drops = alone([1.0] + [0.001] * 199)
    assert moved_units(drops) < 2
    assert paired_interval(drops, 0.9).method == "score of counted jumps"
    assert paired_interval(alone([0.1, -0.1] * BOOTSTRAP_FROM), 0.9).method == "studentised bootstrap"


def test_the_bootstrap_of_a_worked_example():
    """Thirty units of one and two cases, 199 resamples: the definition in plain loops, with the same draws.

    Of each resample the mean's distance from the sample's mean over its own error (at least a thousandth of the
    sample's); the bounds are the mean less the 95 % and the 5 % quantile of those, times the sample's error.
    """
    sums = [0.4, 0.1, -0.2, 0.3, 0.2, -0.1, 0.5, 0.3, 0.2, 0.1] * 3
    sizes = [1.0, 2.0] * 15

    def mean_and_error(places):
        total = math.fsum(sizes[place] for place in places)
        mean = math.fsum(sums[place] for place in places) / total
        squares = math.fsum((sums[place] - mean * sizes[place]) ** 2 for place in places)
        return mean, math.sqrt(squares) / total

    mean, error = mean_and_error(range(30))
    quotients = []
    for drawn in np.random.default_rng(0).integers(0, 30, size=(199, 30)).tolist():
        other, spread = mean_and_error(drawn)
        quotients.append((other - mean) / max(spread, error / 1000))
    quotients.sort()
    # 5 % of the 198 steps between 199 values: 9.9.
    shallow = quotients[188] + 0.1 * (quotients[189] - quotients[188])
    steep = quotients[9] + 0.9 * (quotients[10] - quotients[9])
    units = Units(sums=tuple(sums), sizes=tuple(sizes))
    interval = paired_interval(units, 0.9, reach=0.01, resamples=199)
    assert (interval.low, interval.high) == pytest.approx((mean - shallow * error, mean - steep * error))
    reached = sum(quotient >= mean / error for quotient in quotients)
    assert mean_drop(units, 0.9, reach=0.01, resamples=199).p_value == (1 + reached) / 200
    assert (interval.estimate, interval.confidence) == (pytest.approx(5.4 / 45), 0.9)
    assert interval.method == "studentised bootstrap"


def test_a_drop_that_is_hardly_there_has_the_p_value_of_its_quotients():
    """Thirty scores around 0.02: many resamples lie as far above the mean as the mean above 0."""
    sums = [0.42, 0.12, -0.38, 0.32, -0.28, -0.08, 0.02, 0.22, -0.18, 0.02] * 3
    units, mean = alone(sums), math.fsum(sums) / 30
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in sums)) / 30
    reached = 0
    for drawn in np.random.default_rng(0).integers(0, 30, size=(199, 30)).tolist():
        values = [sums[place] for place in drawn]
        other = math.fsum(values) / 30
        spread = math.sqrt(math.fsum((value - other) ** 2 for value in values)) / 30
        reached += (other - mean) / max(spread, error / 1000) >= mean / error
    assert 20 < reached < 150
    assert mean_drop(units, 0.9, reach=0.01, resamples=199).p_value == (1 + reached) / 200


@pytest.mark.parametrize(
    ("drops", "expected"),
    [
        ([1.0] * 3 + [0.0] * 57, drop_p(3, 0, 60)),
        ([0.5] * 3 + [0.0] * 57, drop_p(3, 0, 60)),
        ([0.5] * 3 + [-0.5] + [0.0] * 56, drop_p(3, 1, 60)),
        ([-0.5] * 3 + [0.0] * 57, 1.0),
        ([0.5, -0.5] + [0.0] * 58, 1.0),
        # Two of 60 fell by 1 where all others fell by 0.4: two jumps of 0.6 beyond what they share.
        ([1.0] * 2 + [0.4] * 58, drop_p(2, 0, 60, -0.4 / 0.6)),
    ],
)
def test_counted_jumps_have_the_score_tests_p_value(drops, expected):
    """Moves of one size are as many lost and gained cases; a mean that did not fall is no evidence."""
    found = mean_drop(alone(drops), 0.9, reach=1.0)
    assert found.method == "score of counted jumps"
    assert found.p_value == pytest.approx(expected)


@pytest.mark.parametrize(("drop", "p_value"), [(0.3, 0.5**20), (0.0, 1.0), (-0.3, 1.0)])
def test_where_all_moved_alike_and_no_more_can_hide_it_is_a_coins_chance(drop, p_value):
    found = mean_drop(alone([drop] * 20), 0.9, light_tails=True)
    assert (found.low, found.high, found.high_unseen) == pytest.approx((drop, drop, drop))
    assert found.p_value == p_value


def clusters_that_gain(random, count, size, rate):
    """Whole clusters gain everything with the probability ``rate``, else nothing."""
    gained = np.repeat(random.random(count) < rate, size)
    return group((-gained.astype(float)).tolist(), np.repeat(np.arange(count), size).tolist())


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_clusters_that_nearly_all_gained_have_a_narrow_interval(kept):
    """22 clusters of 3: resamples without the few that did not gain have no spread to divide by."""
    units = group([0.0] * (3 * kept) + [-1.0] * (66 - 3 * kept), [place // 3 for place in range(66)])
    interval = paired_interval(units, 0.9, reach=0.05, span=1.0)
    assert -1 <= interval.low <= interval.estimate <= interval.high < -0.6


@pytest.mark.simulation
@pytest.mark.parametrize("rate", [0.98, 0.9])
def test_the_interval_of_clusters_that_nearly_all_gained_holds_the_truth(rate):
    """500 samples: each bound is wrong in at most 5 % and three standard deviations; none is as wide as the scale."""
    random = np.random.default_rng(3)
    found = [
        paired_interval(clusters_that_gain(random, 40, 3, rate), 0.9, reach=0.05, span=1.0, resamples=499)
        for _ in range(500)
    ]
    allowed = 0.05 + 3 * (0.05 * 0.95 / 500) ** 0.5
    assert np.mean([interval.low > -rate for interval in found]) <= allowed
    assert np.mean([interval.high < -rate for interval in found]) <= allowed
    assert max(interval.high - interval.low for interval in found) < 0.4


def test_a_certain_drop_has_as_small_a_p_as_its_level_needs():
    """Of 4999 resamples none says less than 1/5000; twice the level's are drawn, and the interval stays that of the first."""
    drops = alone(np.random.default_rng(1).normal(0.6, 0.1, 100).tolist())
    usual = mean_drop(drops, 0.9)
    assert usual.p_value == mean_drop(drops, 0.9, finest=1 / 5000).p_value == 1 / 5000
    for finest, p_value in ((1 / 5001, 1 / 10_003), (5e-5, 1 / 40_001), (1e-9, 1 / (MOST_RESAMPLES + 1))):
        assert mean_drop(drops, 0.9, finest=finest) == replace(usual, p_value=p_value)


def test_no_more_are_drawn_than_p_needs(monkeypatch):
    """Not where the usual ones reach the drop, and no more once two do: p is above the level for certain."""
    drawn = []
    whole = paired_graded._mean_and_error

    def counted(sums, sizes):
        drawn.append(len(sums))
        return whole(sums, sizes)

    monkeypatch.setattr(paired_graded, "_mean_and_error", counted)
    monkeypatch.setattr(paired_graded, "_CELLS", 1000 * 40)
    moves = np.random.default_rng(1).normal(0, 0.1, 40)
    moves -= moves.mean()
    error = np.sqrt((moves * moves).mean() / 40)
    seen = {}
    for quotient in np.arange(2.0, 9.0, 0.25):
        drawn.clear()
        found = mean_drop(alone((moves + quotient * error).tolist()), 0.9, finest=2e-5)
        # The sample itself, and the resamples.
        seen[quotient] = (sum(drawn) - 1, found.p_value)
        assert max(drawn) <= 1000
    usual, stopped, all_of_them = (
        {quotient for quotient, (count, _) in seen.items() if count in counts}
        for counts in ({4999}, range(5000, 100_000), {100_000})
    )
    assert max(usual) < min(stopped) <= max(stopped) < min(all_of_them)
    assert all(seen[quotient][1] > 2e-5 for quotient in usual | stopped)
    assert all(seen[quotient][1] <= 2e-5 for quotient in all_of_them)


@pytest.mark.simulation
@pytest.mark.parametrize("kind", ["dense", "skewed"])
def test_more_resamples_keep_the_level(kind):
    """Of 19 none can reject at 2 %, and then a hundred decide: without a drop in at most 2 % of 3000 samples."""
    random, runs = np.random.default_rng(8), 3000
    found = [
        mean_drop(alone(KINDS[kind](random, 40, 0.0).tolist()), 0.9, resamples=19, finest=0.02).p_value
        for _ in range(runs)
    ]
    assert 0.005 < np.mean([p <= 0.02 for p in found]) <= 0.02 + 3 * (0.02 * 0.98 / runs) ** 0.5


def test_few_losses_are_counted_as_tango_counts_flips():
    """Whole losses of independent cases: the pass rate's interval, but for the one imagined beside them."""
    interval, counted = paired_interval(alone([1.0] * 3 + [0.0] * 57), 0.9), tango_interval(3, 0, 60, 0.9)
    assert (interval.low, interval.high) == pytest.approx((counted.low, counted.high))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([-1.0, -0.3, 0.0, 0.0, 0.2, 1.0]), min_size=1, max_size=40),
    st.sampled_from([1, 3, 50]),
)
def test_every_interval_is_finite_and_holds_its_estimate(drops, cluster):
    units = group(drops, [place // cluster for place in range(len(drops))])
    interval = paired_interval(units, 0.9, span=1.0, resamples=199)
    assert math.isfinite(interval.low)
    assert -1 <= interval.low <= interval.estimate + 1e-9
    assert interval.estimate - 1e-9 <= interval.high <= 1


def dense(random, n, drop):
    """Every score moves a little."""
    return np.clip(random.normal(drop, 0.3, n), -1, 1)


def skewed(random, n, drop):
    """Many small gains, some large losses."""
    return np.clip(random.exponential(0.15, n), 0, 1) - 0.15 + drop


def sparse(random, n, drop):
    """Most answers are the same; a few lose much, some move either way."""
    lost = np.where(random.random(n) < drop / 0.55 / 0.9, random.uniform(0.1, 1, n), 0.0)
    return np.where(random.random(n) < 0.1, random.choice([-0.3, 0.3], n), lost)


def broken(random, n, drop):
    """Scores that hardly move, and a few answers that break altogether."""
    return np.where(
        random.random(n) < drop / 0.8, 0.8, np.where(random.random(n) < 0.4, random.normal(0, 0.1, n), 0)
    )


KINDS = {"dense": dense, "skewed": skewed}


@pytest.mark.simulation
@pytest.mark.parametrize("kind", [dense, skewed, sparse, broken])
@pytest.mark.parametrize(("n", "margin"), [(20, 0.2), (60, 0.1), (100, 0.05), (200, 0.1)])
def test_a_drop_at_the_margin_passes_in_about_five_percent(kind, n, margin):
    """800 runs each; Monte-Carlo error of three standard deviations allowed. Student's t would fail this."""
    random = np.random.default_rng(n)
    passed = [
        mean_drop(alone(kind(random, n, margin).tolist()), 0.9, reach=0.8, resamples=499).high_unseen
        <= margin
        for _ in range(800)
    ]
    assert np.mean(passed) <= 0.05 + 3 * (0.05 * 0.95 / 800) ** 0.5


@pytest.mark.simulation
@pytest.mark.parametrize("kind", [dense, skewed])
@pytest.mark.parametrize("n", [40, 100])
def test_the_interval_covers_the_truth(kind, n):
    """Where scores move in earnest: the 90 % interval holds the true drop in 86 to 95 % of 800 samples."""
    random = np.random.default_rng(n)
    intervals = [
        paired_interval(alone(kind(random, n, 0.05).tolist()), 0.9, reach=0.5, resamples=499)
        for _ in range(800)
    ]
    truth = 0.05
    assert 0.86 <= np.mean([i.low <= truth <= i.high for i in intervals]) <= 0.955


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 60])
@pytest.mark.parametrize("cluster", [1, 4])
def test_no_change_is_rarely_called_a_drop(n, cluster):
    """Both sides alike in distribution: answers of equal quality, some of which differ."""
    random = np.random.default_rng(n)
    rejected = 0
    for _ in range(800):
        shift = np.repeat(random.normal(0, 0.2, n // cluster), cluster)
        drops = np.where(random.random(n) < 0.5, shift + random.normal(0, 0.1, n), 0.0)
        units = group(drops.tolist(), [place // cluster for place in range(n)])
        rejected += mean_drop(units, 0.9, reach=0.5, resamples=499).p_value <= 0.05
    assert rejected / 800 <= 0.05 + 3 * (0.05 * 0.95 / 800) ** 0.5


@pytest.mark.simulation
def test_unequal_clusters_are_resampled_whole():
    """Clusters of 1 to 6 cases that move together: 90 % intervals hold the truth in at least 86 % of 500 samples."""
    random = np.random.default_rng(2)
    sizes = np.array([1 + place % 6 for place in range(40)], dtype=float)
    covered = 0
    for _ in range(500):
        sums = sizes * random.normal(0.03, 0.3, 40)
        interval = paired_interval(Units(sums=tuple(sums), sizes=tuple(sizes)), 0.9, reach=0.5, resamples=499)
        covered += interval.low <= 0.03 <= interval.high
    assert 0.86 <= covered / 500 <= 0.95


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1, 1).map(lambda x: round(x, 2)), min_size=4, max_size=60),
    st.integers(1, 4),
    st.sampled_from([None, 0.05, 0.4, 1.0]),
)
def test_the_test_and_the_interval_never_contradict_each_other(drops, cluster, rise):
    """P is at most 5 % where the 90 % interval is above 0, and only there; within rounding."""
    units = group(drops, [place // cluster for place in range(len(drops))])
    found = mean_drop(units, 0.9, reach=1.0, span=1.0, rise=rise, resamples=499)
    if found.low > 0.002:
        assert found.p_value <= 0.052
    if found.low < -0.002:
        assert found.p_value >= 0.048


def test_a_worked_example_of_the_test():
    """Four of twenty units lost whole: (4 - 1/4) / sqrt(4) = 1.875, which a normal exceeds in 3.04 %."""
    found = mean_drop(alone([1.0] * 4 + [0.0] * 16), 0.9)
    assert found.p_value == pytest.approx(0.0304, abs=5e-5)
    assert found.low > 0
