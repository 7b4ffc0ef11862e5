"""Clusters of pass-or-fail cases: worked examples, coverage over shapes, and both errors by simulation."""

import math

import numpy as np
import pytest
from scipy.stats import t as student

from harness.statistics.clustered_drop import (
    clustered_drop,
    excludes_unseen,
    unseen_bound,
)
from harness.statistics.clusters import Units, degrees_of_freedom, group
from harness.statistics.paired_binary import tango_interval
from harness.statistics.paired_graded import mean_drop

# Sizes of clusters: a usual set, one huge cluster, two thirds of it, a handful, equal ones, and uneven ones.
SHAPES = {
    "many small": [3] * 16 + [1] * 6,
    "half in one": [50] + [1] * 50,
    "most in one": [80] + [1] * 20,
    "three": [20] * 3,
    "ten equal": [10] * 10,
    "uneven": [1, 1, 1, 2, 2, 3, 3, 4, 5, 7, 9, 12, 16, 22, 40],
    "uneven many": sorted([1] * 20 + [2] * 15 + [3] * 10 + [5] * 8 + [10] * 5 + [20, 30]),
}
# Lost and gained shares: no change at two rates, a drop of 0.1, and a large one.
RATES = [(0.02, 0.02), (0.08, 0.08), (0.12, 0.02), (0.32, 0.02)]


def test_a_worked_example_of_equal_clusters():
    """Ten clusters of four; two of them lost two cases: mean 0.1, deviations 0.4 (twice) and -0.1 (eight times).

    The variance of the mean is (2 x 0.16 + 8 x 0.01) / (10 x 9) = 0.004444, so t = 0.1 / 0.066667 = 1.5 with 9
    degrees of freedom: p = 0.0839, and the interval is 0.1 +- 1.833113 x 0.066667.
    """
    units = Units(sums=(2.0, 2.0, *[0.0] * 8), sizes=(4.0,) * 10)
    found = clustered_drop(units, 0.9)
    assert degrees_of_freedom(units) == pytest.approx(9)
    assert found.p_value == pytest.approx(student.sf(1.5, 9))
    assert (found.low, found.high) == pytest.approx((0.1 - 0.122208, 0.1 + 0.122208), abs=1e-5)
    # Each loss moves a cluster by half; with one whole cluster added a jump is (2 x 0.25 + 1) / 2 = 0.75.
    assert unseen_bound(units, 0.9) == pytest.approx(
        0.75 * tango_interval(4 / 3, 0, 10, 0.9, continuity=0).high
    )
    assert found.high_unseen == pytest.approx(max(found.high, unseen_bound(units, 0.9)))


def test_a_worked_example_of_uneven_clusters():
    """One cluster with half of eight cases, four with one: shares 1/2 and 1/8, b = 1/2 and 1/56.

    1 / (1/4 + 4/64 + (1/2 + 4/56)^2 - 1/4 - 4/56^2) = 1 / 0.387755 = 2.5789 degrees of freedom, not 4.
    """
    units = Units(sums=(0.0, 1.0, 0.0, 0.0, 0.0), sizes=(4.0, 1.0, 1.0, 1.0, 1.0))
    assert degrees_of_freedom(units) == pytest.approx(1 / (1 / 16 + (4 / 7) ** 2 - 4 / 56**2))
    # Deviations from the mean of 1/8: -1/16 over 1/2, 7/64 over 7/8, and three times -1/64 over 7/8.
    error = math.sqrt((1 / 16) ** 2 * 2 + ((7 / 64) ** 2 + 3 * (1 / 64) ** 2) * 8 / 7)
    found = clustered_drop(units, 0.9)
    assert found.p_value == pytest.approx(student.sf(1 / 8 / error, degrees_of_freedom(units)))


def test_a_worked_example_of_jumps_of_uneven_clusters():
    """Six clusters of one case and six of three, of which one lost a case and one gained one.

    The mean size is 2, so both moved by a half; a case's own cluster has 60/24 cases on average, 1.25 mean sizes. With
    such a one added a jump is (2 x 1/4 + 1.25^2) / (2 x 1/2 + 1.25) = 2.0625 / 2.25 = 11/12: 6/11 of one each way.
    """
    units = Units(sums=(1.0, *[0.0] * 5, -1.0, *[0.0] * 5), sizes=(1.0, 3.0) * 6)
    counted = tango_interval(6 / 11, 6 / 11, 12, 0.9, continuity=0)
    assert unseen_bound(units, 0.9) == pytest.approx(11 / 12 * counted.high)


def test_clusters_of_which_nearly_all_moved_alike_are_counted():
    """18 of 20 clusters of three lost one case each, two lost none: two jumps of a third up from a third.

    (2 x 1/9 + 1/9) / (2 x 1/3 + 1/3) is a third, so Tango's interval of two gains in twenty is taken by thirds.
    Where the 18 lost all their cases the jumps are whole, and no bound is beyond all cases.
    """
    alike, counted = (1.0,) * 18 + (0.0,) * 2, tango_interval(0, 2, 20, 0.9)
    found = clustered_drop(Units(sums=alike, sizes=(3.0,) * 20), 0.9)
    assert found.method == "score of counted jumps"
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (0.3, (1 + counted.low) / 3, (1 + counted.high) / 3)
    )
    # No drop would need gains beyond all cases; twenty clusters say no more than this.
    assert found.p_value == pytest.approx(0.5**20)
    whole = clustered_drop(Units(sums=alike, sizes=(1.0,) * 20), 0.9)
    assert whole.low == pytest.approx(1 + counted.low)
    assert 1 + counted.high > 1 == whole.high


@pytest.mark.parametrize(("lost", "clusters"), [(38, 40), (40, 40), (18, 20), (5, 5)])
def test_no_p_value_is_below_what_the_number_of_clusters_can_show(lost, clusters):
    """38 of 40 clusters lost whole was p = 0: if signs are random, all fall with 0.5^40."""
    units = Units(sums=(3.0,) * lost + (0.0,) * (clusters - lost), sizes=(3.0,) * clusters)
    assert clustered_drop(units, 0.9).p_value >= 0.5**clusters
    assert mean_drop(units, 0.9).p_value >= 0.5**clusters


def test_the_variance_is_unbiased_for_independent_cases():
    """CR2's promise, exactly: over all signs of eight independent cases its mean is the mean's variance, 1/8."""
    sizes, starts = (4.0, 2.0, 1.0, 1.0), (0, 4, 6, 7)
    found = []
    for pattern in range(256):
        signs = [1.0 if pattern >> place & 1 else -1.0 for place in range(8)]
        sums = [sum(signs[a : a + int(size)]) for a, size in zip(starts, sizes, strict=True)]
        mean = sum(sums) / 8
        found.append(
            math.fsum(
                ((part - mean * size) / 8) ** 2 / (1 - size / 8)
                for part, size in zip(sums, sizes, strict=True)
            )
        )
    assert np.mean(found) == pytest.approx(1 / 8)


def test_no_flips_exclude_nothing_that_whole_clusters_could_do():
    found = clustered_drop(Units(sums=(0.0,) * 22, sizes=(2.0,) * 22), 0.9)
    bound = tango_interval(0, 0, 22, 0.9, continuity=0).high
    assert (found.low, found.high, found.high_unseen) == pytest.approx((-bound, bound, bound))
    assert found.p_value == 1.0


@pytest.mark.parametrize("sizes", list(SHAPES.values()))
def test_a_total_loss_regresses_if_clusters_suffice(sizes):
    """Signs alone give 0.5 to the power of their number: below 5 % from five clusters on."""
    found = clustered_drop(Units(sums=tuple(map(float, sizes)), sizes=tuple(map(float, sizes))), 0.9)
    assert found.p_value == pytest.approx(0.5 ** len(sizes))
    assert (found.low > 0) == (found.p_value <= 0.05)
    assert found.high == 1.0


@pytest.mark.parametrize("sign", [1, -1])
def test_test_and_interval_agree(sign):
    """P is at most the level if and only if the interval is above 0, for a thousand random sets."""
    random = np.random.default_rng(0)
    for _ in range(1000):
        sizes = random.integers(1, 9, random.integers(2, 12))
        sums = np.round(random.normal(sign * 0.2, 0.5, len(sizes)).clip(-1, 1) * sizes)
        units = Units(sums=tuple(sums.tolist()), sizes=tuple(sizes.astype(float).tolist()))
        found = clustered_drop(units, 0.9)
        assert (found.low > 0) == (found.p_value <= 0.05)
        assert found.low <= found.estimate <= found.high <= found.high_unseen + 1e-12
        for margin in (0.05, 0.2, 0.5, 1.0):
            assert excludes_unseen(units, margin, 0.9) == (unseen_bound(units, 0.9) <= margin)


def drawn(random, sizes, lose, gain, alike):
    """Each cluster's drop: whole clusters flip with the probability ``alike``, otherwise case by case."""
    law = [lose, gain, 1 - lose - gain]
    count = np.array(sizes)
    single = random.multinomial(count, law)
    whole = random.choice([1, -1, 0], len(sizes), p=law) * count
    sums = np.where(random.random(len(sizes)) < alike, whole, single[:, 0] - single[:, 1])
    return Units(sums=tuple(sums.astype(float).tolist()), sizes=tuple(map(float, sizes)))


@pytest.mark.simulation
def test_the_interval_covers_the_truth_over_all_shapes():
    """Nominal 90 %: 88 to 93 % in the middle of 7 shapes x 3 correlations x 4 rates, with neither error rate high.

    Few clusters that may be lost whole cover more. A true drop of nothing is refuted in at most 5 % of runs.
    The bound that a pass needs is below the truth in about 5 % at worst.
    """
    runs, coverage, wrong_passes, alarms = 300, [], [], []
    random = np.random.default_rng(11)
    for sizes in SHAPES.values():
        for alike in (0.0, 0.5, 1.0):
            for lose, gain in RATES:
                found = [clustered_drop(drawn(random, sizes, lose, gain, alike), 0.9) for _ in range(runs)]
                truth = lose - gain
                coverage.append(np.mean([each.low <= truth <= each.high for each in found]))
                wrong_passes.append(np.mean([each.high_unseen < truth for each in found]))
                if truth == 0:
                    alarms.append(np.mean([each.p_value <= 0.05 for each in found]))
    assert 0.88 <= np.median(coverage) <= 0.935
    assert np.max(alarms) <= 0.05 + 3.5 * (0.05 * 0.95 / runs) ** 0.5
    assert np.max(wrong_passes) <= 0.05 + 3.5 * (0.05 * 0.95 / runs) ** 0.5


def test_units_of_one_case_are_clusters_of_one():
    units = group([1.0, 0.0, 0.0, -1.0, 1.0, 1.0], range(6))
    assert degrees_of_freedom(units) == pytest.approx(5)
