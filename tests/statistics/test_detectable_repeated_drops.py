"""What is detected where each case has several answers: against the gate's own procedure."""

from statistics import NormalDist

import numpy as np
import pytest
from scipy.special import nctdtr, nctdtrinc
from scipy.stats import t

from harness.statistics.clusters import Units, group
from harness.statistics.detectable_drops import Flips, detectable_cluster_drop, verdicts_of
from harness.statistics.detectable_repeated_drops import (
    detectable_repeated_cluster_drop,
    detectable_repeated_clusters,
    detectable_repeated_drop,
)
from harness.statistics.paired_binary import Trials
from tests.statistics.chance import at_most

Z = NormalDist()
# Of one-sided levels of 5 % for the test, the interval of 90 %, and a power of 80 %.
Z_LEVEL, Z_POWER = Z.inv_cdf(0.95), Z.inv_cdf(0.8)


def units(sums, sizes):
    return Units(sums=tuple(map(float, sums)), sizes=tuple(map(float, sizes)))


def places(clusters, size):
    return [place for place in range(clusters) for _ in range(size)]


def test_answers_in_many_clusters_of_a_worked_example():
    """220 clusters of four cases that pass five of five answers; each falls to 1 - d, an error of sqrt(d (1 - d) / 4400).

    With 219 degrees of freedom a quotient with a centre of 2.4942 errors is beyond 1.6518 in 80 %, so that d / (1 - d) =
    2.4942^2 / 4400. Where clusters moved by a quarter up and down their own error is the larger: sqrt(0.0625 / 219).
    """
    centre = nctdtrinc(219, 0.2, t.ppf(0.95, 219))
    assert centre == pytest.approx(2.4942, abs=1e-4)
    trials, clusters = [Trials(5, 5, 5, 5)] * 880, places(220, 4)
    still, uneven = units([0] * 220, [4] * 220), units([1, -1] * 110, [4] * 220)
    share = centre**2 / 4400
    found = detectable_repeated_cluster_drop(trials, clusters, still, 0.05)
    assert found == pytest.approx(share / (1 + share), abs=5e-4)
    error = (0.0625 / 219) ** 0.5
    found = detectable_repeated_cluster_drop(trials, clusters, uneven, 0.05, margin=0.01)
    assert found == pytest.approx(centre * error, abs=1e-3)
    # Beyond a margin of 0.5 the interval reaches where the drop is less than 1.6518 estimated errors below it.
    beyond = detectable_repeated_cluster_drop(trials, clusters, uneven, 0.05, margin=0.5)
    assert 1 - nctdtr(219, (beyond - 0.5) / error, -t.ppf(0.95, 219)) == pytest.approx(0.8, abs=0.01)


def test_answers_in_few_clusters_of_a_worked_example():
    """Ten clusters of four whose drops vary by a quarter up and down, far more than answers that all passed.

    Student's t of 9 degrees of freedom: 2.6733 errors of sqrt(10 x 0.0625 / 90).
    """
    trials, error = [Trials(5, 5, 5, 5)] * 40, (0.625 / 90) ** 0.5
    uneven = units([1, -1] * 5, [4] * 10)
    centre = nctdtrinc(9, 0.2, 1.8331)
    found = detectable_repeated_cluster_drop(trials, places(10, 4), uneven, 0.05, margin=0.05)
    assert found == pytest.approx(centre * error, rel=0.06)
    # Four clusters can't show anything.
    few = units([0] * 4, [4] * 4)
    assert detectable_repeated_cluster_drop(trials[:16], places(4, 4), few, 0.05) is None


def test_clusters_need_not_be_together():
    """Cases in any order have the drop of their clusters."""
    random = np.random.default_rng(6)
    trials = [Trials(int(each), 3, 3, 3) for each in random.integers(1, 4, 60)]
    clusters, drops = places(12, 5), np.array([(each.baseline_passed - 3) / 3 for each in trials])
    order = random.permutation(60)
    drop = detectable_repeated_cluster_drop(
        trials, clusters, group(drops.tolist(), clusters), 0.05, margin=0.05
    )
    mixed = [clusters[place] for place in order]
    moved = group(drops[order].tolist(), mixed)
    again = detectable_repeated_cluster_drop(
        [trials[place] for place in order], mixed, moved, 0.05, margin=0.05
    )
    assert again == pytest.approx(drop, rel=0.05)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("sizes", "world"), [([10] * 10, "two"), ([3] * 20, "vary"), ([1, 2, 4, 8, 10] * 4, "two")]
)
def test_a_drop_of_answers_in_clusters_is_found_in_eighty_percent(sizes, world):
    """Three answers on both sides; a fifth of the cases pass every other time, or chances vary: the middle printed drop."""
    random, n, runs = np.random.default_rng(9), sum(sizes), 1500
    clusters, starts = np.repeat(np.arange(len(sizes)), sizes), np.cumsum([0, *sizes[:-1]])

    def chance(shape):
        two = np.where(np.arange(n) % 5 == 0, 0.5, 1.0) * np.ones(shape)
        return two if world == "two" else random.beta(4, 1.2, shape)

    def printed():
        then, now = random.binomial(3, np.stack([chance(n)] * 2))
        trials = [Trials(int(before), 3, int(after), 3) for before, after in zip(then, now, strict=True)]
        moves = group(((then - now) / 3).tolist(), clusters.tolist())
        return detectable_repeated_cluster_drop(trials, clusters.tolist(), moves, 0.05, margin=0.05)

    middle, rates = np.median([printed() for _ in range(60)]), chance((runs, n))
    # A fall of all chances by more, since some can't fall so far.
    falls = np.linspace(middle, 2 * middle + 0.01, 50)
    fall = falls[np.argmin([abs(np.minimum(rates, each).mean() - middle) for each in falls])]
    now = random.binomial(3, np.maximum(rates - fall, 0.0))
    sums = np.add.reduceat((random.binomial(3, rates) - now) / 3, starts, axis=1)
    assert verdicts_of(sums, sizes, 0.05, margin=0.05)[0].mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.simulation
@pytest.mark.parametrize(("clusters", "answers"), [(40, 3), (24, 5)])
def test_both_what_shows_a_drop_and_what_reaches_beyond_the_margin_are_needed(clusters, answers):
    """Near the margin a small spread fails the one and a large one the other: together they are found in 80 %."""
    size, random, runs = 120 // clusters, np.random.default_rng(2), 20_000
    trials = alike_trials(1.0, 120, baseline=answers, candidate=answers)
    still = units([0] * clusters, [size] * clusters)
    drop = detectable_repeated_cluster_drop(trials, places(clusters, size), still, 0.05, margin=0.03)
    kept = random.binomial(size * answers, 1 - drop, (runs, clusters)) / answers
    refused, _ = verdicts_of(size - kept, [size] * clusters, 0.05, margin=0.03)
    assert refused.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.simulation
@pytest.mark.parametrize("sizes", [[5] * 20, [3] * 16 + [1] * 6, [10] * 10], ids=["20x5", "22", "10x10"])
@pytest.mark.parametrize("answers", [3, 10])
def test_several_answers_in_clusters_keep_the_level(sizes, answers):
    """Nothing changed: each of three sets has a third of the level, and all of them together five percent."""
    random, runs = np.random.default_rng(5), 20_000
    chance = np.where(
        random.random((runs, len(sizes))) < 0.3, 1.0, random.uniform(0.3, 0.95, (runs, len(sizes)))
    )
    for rates in (chance, np.full_like(chance, 0.5), np.full_like(chance, 0.95)):
        then, now = (random.binomial(np.array(sizes) * answers, rates) / answers for _ in range(2))
        for level in (0.05, 0.05 / 3):
            refused, _ = verdicts_of(then - now, sizes, level, margin=None)
            assert refused.mean() <= at_most(level, runs)


def alike_trials(was, cases, *, baseline=5, candidate=5):
    """Cases that all pass with one chance, as often as it says."""
    return [
        Trials(
            candidate_passed=round(was * candidate),
            candidate=candidate,
            baseline_passed=round(was * baseline),
            baseline=baseline,
        )
    ] * cases


def test_repeated_answers_of_a_worked_example():
    """Forty cases of five answers a side, all of a chance of 0.6 that falls by d.

    The test's statistic shifts by 2.5 d a case. Its variance a case is 25/9 p (1 - p) at p = 0.6 - d/2 under "no
    drop", and 2.5^2 (0.24 + (0.6 - d) (0.4 + d)) / 5 in truth.
    """

    def is_found(d, margin=0.0):
        noise = (0.24 + (0.6 - d) * (0.4 + d)) / 5
        pooled = (0.6 - d / 2) * (0.4 + d / 2)
        detected = (
            2.5 * d * 40 - Z_LEVEL * (25 / 9 * pooled * 40) ** 0.5 >= Z_POWER * (6.25 * noise * 40) ** 0.5
        )
        return detected and (d - margin) * 40 + (Z_LEVEL - Z_POWER) * (noise * 40) ** 0.5 >= 0

    trials = alike_trials(0.6, 40)
    for margin in (None, 0.05, 0.2):
        drop = detectable_repeated_drop(trials, 0.05, margin=margin)
        assert is_found(drop, margin or -1.0)
        assert not is_found(drop - 6e-4, margin or -1.0)
    assert (
        detectable_repeated_drop(trials, 0.05, margin=0.2)
        > 0.16
        > detectable_repeated_drop(trials, 0.05) + 0.03
    )
    assert detectable_repeated_drop(alike_trials(0.6, 2), 0.05, margin=0.9) is None


def test_sides_with_unequal_answers():
    """Two answers of the baseline, six of the candidate: weights of 12/8, and a pooled chance of 0.5 - 0.75 d."""
    trials = alike_trials(0.5, 60, baseline=2, candidate=6)
    drop = detectable_repeated_drop(trials, 0.05)

    def is_found(d):
        now, pooled = 0.5 - d, 0.5 - 0.75 * d
        null, true = 12 / 7 * pooled * (1 - pooled), 2.25 * (0.25 / 2 + now * (1 - now) / 6)
        return 1.5 * d * 60 - Z_LEVEL * (null * 60) ** 0.5 >= Z_POWER * (true * 60) ** 0.5

    assert is_found(drop)
    assert not is_found(drop - 6e-4)


def test_a_chance_falls_no_further_than_to_zero():
    """Half of the cases never passed and can't fall: the mean drop is half of the others'."""
    can, cannot = alike_trials(0.6, 40), alike_trials(0.0, 40)
    alone = detectable_repeated_drop(can, 0.05)
    assert detectable_repeated_drop([*can, *cannot], 0.05) == pytest.approx(alone / 2, abs=1e-3)
    assert detectable_repeated_drop(cannot, 0.05) is None


def test_whole_clusters_of_a_worked_example():
    """Twelve clusters of four that always pass: without noise a lost one is a coin's side, as of single answers."""
    trials, clusters = [Trials(5, 5, 5, 5)] * 48, [place // 4 for place in range(48)]
    still = Flips(lose=0.0, gain=0.0, alike=1.0)
    single = detectable_cluster_drop([4] * 12, still, 0.05, margin=0.05)
    assert detectable_repeated_clusters(trials, clusters, 0.05, margin=0.05) == pytest.approx(
        single, abs=0.01
    )
    # Half of the cases never passed, and can't be lost.
    half = [Trials(0, 5, 0, 5) if place % 2 else Trials(5, 5, 5, 5) for place in range(48)]
    assert detectable_repeated_clusters(half, clusters, 0.05) == pytest.approx(
        detectable_repeated_clusters(trials, clusters, 0.05) / 2
    )
    assert detectable_repeated_clusters(trials[:16], clusters[:16], 0.05) is None
    assert detectable_repeated_clusters(trials[:4], clusters[:4], 0.05) is None


def test_many_whole_clusters_of_a_worked_example():
    """250 pairs of cases that pass every other time: a lost one drops by 1, and others vary by 2 x 0.1.

    The mean of a share s is s / 2, with the variance (s (1 - s) + (1 - s) 0.2) x 250 / 500^2.
    """
    trials, clusters = [Trials(2, 4, 3, 6)] * 500, [place // 2 for place in range(500)]
    noise = 2 * 0.25 * (1 / 4 + 1 / 6)
    for margin in (None, 0.2):
        drop = detectable_repeated_clusters(trials, clusters, 0.05, margin=margin)
        share = drop * 2
        error = ((share * (1 - share) + (1 - share) * noise) * 250) ** 0.5 / 500
        least = max(Z_LEVEL * error, 0.0 if margin is None else margin - Z_LEVEL * error)
        assert drop == pytest.approx(least + Z_POWER * error, abs=2e-3)


@pytest.mark.simulation
@pytest.mark.parametrize("sizes", [[10] * 12, [3] * 16 + [1] * 6, [5] * 28])
def test_whole_clusters_are_found_in_eighty_percent(sizes):
    """Of answers that are drawn, judged as the gate does: a fifth of the cases pass every other time."""
    random, answers, runs, n = np.random.default_rng(4), 5, 1500, sum(sizes)
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    chance = np.where(np.arange(n) % 5 == 0, 0.5, 1.0)
    then = random.binomial(answers, chance, (2, n))
    trials = [Trials(int(b), answers, int(c), answers) for b, c in then.T]
    drop = detectable_repeated_clusters(trials, clusters.tolist(), 0.05, margin=0.05)
    share = drop / np.mean(then / answers)
    lost = np.repeat(random.random((runs, len(sizes))) < share, sizes, axis=1)
    now = random.binomial(answers, np.where(lost, 0.0, chance))
    moves = (random.binomial(answers, chance, (runs, n)) - now) / answers
    sums = np.add.reduceat(moves, np.cumsum([0, *sizes[:-1]]), axis=1)
    assert verdicts_of(sums, sizes, 0.05, margin=0.05)[0].mean() == pytest.approx(0.8, abs=0.04)
