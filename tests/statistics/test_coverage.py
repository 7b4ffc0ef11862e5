"""Coverage of every interval at a nominal 95 %, two-sided: the share of samples whose interval holds the truth.

Within 93 to 97 % (and the Monte-Carlo error of three standard deviations) from about sixty cases on. Where few cases
moved, the intervals are wider on purpose: then only the lower limit is asked for.
"""

import numpy as np
import pytest
from scipy import stats

from harness.statistics.clusters import group, mean_interval, rate_interval, wilson
from harness.statistics.paired_binary import tango_interval
from harness.statistics.paired_graded import paired_interval

NOMINAL = 0.95


def covered(intervals, truth):
    return [interval.low <= truth <= interval.high for interval in intervals]


def hold(found, *, most=0.97):
    """The coverage is between 93 % and the upper limit, give or take three standard deviations."""
    error = 3 * (NOMINAL * (1 - NOMINAL) / len(found)) ** 0.5
    assert 0.93 - error <= np.mean(found) <= most + error


def test_worked_examples_of_each_interval():
    """Newcombe's and Fagerland's published ones; Student's t: 2.776445 x sqrt(2.5 / 5); jumps of one size are Tango's."""
    assert ends(wilson(81, 263, NOMINAL)) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert ends(tango_interval(1, 7, 21, NOMINAL, continuity=0)) == pytest.approx((-0.517, -0.026), abs=6e-4)
    assert ends(mean_interval([1.0, 2.0, 3.0, 4.0, 5.0], range(5), NOMINAL)) == pytest.approx(
        (1.0367568, 4.9632432)
    )
    # Two of three clusters pass whole: as if there were three cases, with a design effect of 2 x 3 / 2.
    assert ends(rate_interval([True] * 4 + [False] * 2, [0, 0, 1, 1, 2, 2], NOMINAL)) == pytest.approx(
        ends(wilson(4 / 3, 2, NOMINAL))
    )
    few = group([0.5, 0.5] + [0.0] * 98, range(100))
    counted = tango_interval(2, 0, 100, NOMINAL)
    assert ends(paired_interval(few, NOMINAL, reach=0.5)) == pytest.approx(
        (counted.low / 2, counted.high / 2)
    )


def ends(interval):
    return interval.low, interval.high


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 50, 100, 500])
def test_wilson(n):
    """Exactly, on average over rates from 0.02 to 0.98, as Newcombe (1998) tells it."""
    intervals = [wilson(passed, n, NOMINAL) for passed in range(n + 1)]
    low, high = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
    rates = np.linspace(0.02, 0.98, 97)
    chances = stats.binom.pmf(np.arange(n + 1)[None, :], n, rates[:, None])
    inside = (low <= rates[:, None]) & (rates[:, None] <= high)
    assert 0.93 <= (chances * inside).sum(axis=1).mean() <= 0.97


@pytest.mark.simulation
@pytest.mark.parametrize(("n", "most"), [(20, 1.0), (50, 0.975), (100, 0.97), (200, 0.97), (500, 0.97)])
def test_tango(n, most):
    """Drops of 0 to 20 points, 1 to 10 % gained by chance; the quarter case of continuity shows in small sets."""
    random, kept, found = np.random.default_rng(n), {}, []
    for drop in (0.0, 0.02, 0.05, 0.1, 0.2):
        for gain in (0.01, 0.02, 0.05, 0.1):
            for lost, gained, _ in random.multinomial(
                n, [gain + drop, gain, 1 - 2 * gain - drop], 250
            ).tolist():
                if (lost, gained) not in kept:
                    kept[lost, gained] = tango_interval(lost, gained, n, NOMINAL)
                found += covered([kept[lost, gained]], drop)
    hold(found, most=most)


def normal(random, n, drop):
    return np.clip(random.normal(drop, 0.2, n), -1, 1)


def skewed(random, n, drop):
    return random.exponential(0.15, n) - 0.15 + drop


def sparse(random, n, drop):
    """Three scores in ten move."""
    return np.where(random.random(n) < 0.3, random.normal(drop / 0.3, 0.2, n), 0.0)


@pytest.mark.simulation
@pytest.mark.parametrize("kind", [normal, skewed, sparse])
@pytest.mark.parametrize(("n", "most"), [(20, 1.0), (60, 0.975), (200, 0.97)])
def test_graded_scores(kind, n, most):
    """The studentised bootstrap, and counted jumps where few moved."""
    random, found = np.random.default_rng(n), []
    for drop in (0.0, 0.05, 0.1):
        for _ in range(150):
            units = group(kind(random, n, drop).tolist(), range(n))
            found += covered([paired_interval(units, NOMINAL, reach=0.7, span=1.0, resamples=499)], drop)
    hold(found, most=most)


def together(random, clusters, whole, single):
    """Clusters of three: half of them alike."""
    return np.where(np.repeat(random.random(clusters) < 0.5, 3), np.repeat(whole, 3), single)


@pytest.mark.simulation
@pytest.mark.parametrize(("clusters", "most"), [(20, 1.0), (60, 0.97), (120, 0.97)])
def test_drops_of_clusters(clusters, most):
    random, found, places = np.random.default_rng(clusters), [], np.repeat(np.arange(clusters), 3).tolist()
    for drop in (0.0, 0.05, 0.1):
        chances = [0.1 + drop, 0.1, 0.8 - drop]
        for _ in range(200):
            whole, single = (
                random.choice([1.0, -1.0, 0.0], size, p=chances) for size in (clusters, 3 * clusters)
            )
            units = group(together(random, clusters, whole, single).tolist(), places)
            found += covered([paired_interval(units, NOMINAL, reach=0.9, span=1.0, resamples=499)], drop)
    hold(found, most=most)


@pytest.mark.simulation
@pytest.mark.parametrize("clusters", [20, 60, 120])
def test_means_and_rates_of_clusters(clusters):
    """Student's t over clusters, and Wilson's interval with a design effect."""
    random, places = np.random.default_rng(clusters), np.repeat(np.arange(clusters), 3).tolist()
    means, rates = [], []
    for _ in range(1000):
        shifts = np.repeat(random.normal(0, 0.1, clusters), 3)
        scores = shifts + random.normal(0.5, 0.1, 3 * clusters)
        means += covered([mean_interval(scores.tolist(), places, NOMINAL)], 0.5)
        passed = together(random, clusters, random.random(clusters) < 0.7, random.random(3 * clusters) < 0.7)
        rates += covered([rate_interval(passed.tolist(), places, NOMINAL)], 0.7)
    hold(means)
    hold(rates)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 50, 200])
def test_means_of_single_cases(n):
    random = np.random.default_rng(n)
    draws = random.normal(0.5, 0.2, (1000, n)).tolist()
    hold(covered([mean_interval(scores, range(n), NOMINAL) for scores in draws], 0.5))
