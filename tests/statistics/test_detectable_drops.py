"""What sets of clusters detect and pass: against the gate's own procedure."""

import numpy as np
import pytest

from harness.statistics.clustered_drop import clustered_drop
from harness.statistics.clusters import Units
from harness.statistics.detectable_drops import (
    USUAL_ALIKE,
    Flips,
    alike_of,
    clusters_that_settle,
    detectable_cluster_drop,
    flips_as_observed,
    flips_by_chance,
    verdict_chances,
)

CALM = Flips(lose=0.02, gain=0.02, alike=0.5)


def units(sums, sizes):
    return Units(sums=tuple(map(float, sums)), sizes=tuple(map(float, sizes)))


def test_whole_clusters_of_a_worked_example():
    """Three of ten clusters of four were lost whole: their cases flip alike, but three say little more than a half.

    The moments give 1; with two clusters' weight for the usual half it is (3 x 1 + 2 x 0.5) / 5 = 0.8.
    """
    assert alike_of(units([4, 4, 4] + [0] * 7, [4] * 10)) == pytest.approx(0.8)
    assert alike_of(units([0] * 10, [4] * 10)) == USUAL_ALIKE
    assert alike_of(units([1, 1, -1] + [0] * 7, [1] * 10)) == USUAL_ALIKE  # clusters of one say nothing
    # Ten of ten clusters lost one case each: they flip alone, (10 x 0 + 2 x 0.5) / 12.
    assert alike_of(units([1] * 10, [10] * 10)) == pytest.approx(1 / 12)


def test_rates_of_a_worked_example():
    seen = units([2, -1] + [0] * 8, [3] * 10)
    assert (flips_as_observed(seen).lose, flips_as_observed(seen).gain) == pytest.approx((2 / 30, 1 / 30))
    by_chance = flips_by_chance(seen)
    assert by_chance.lose == by_chance.gain == pytest.approx(2 / 31)


def test_chances_without_luck():
    """Nothing flips: ten clusters leave 0.21 possible, a hundred 0.026. All is lost: five clusters are needed."""
    still = Flips(lose=0.0, gain=0.0, alike=1.0)
    assert verdict_chances([4] * 10, still, 0.05, margin=0.05).passes == 0.0
    assert verdict_chances([4] * 100, still, 0.05, margin=0.05).passes == 1.0
    gone = Flips(lose=1.0, gain=0.0, alike=1.0)
    assert verdict_chances([4] * 4, gone, 0.05).regress == 0.0
    assert verdict_chances([4] * 5, gone, 0.05).regress == 1.0
    assert verdict_chances([4] * 5, gone, 0.01, margin=0.05).regress == 0.0


def test_three_clusters_detect_nothing():
    assert detectable_cluster_drop([20] * 3, CALM, 0.05, margin=0.05) is None
    assert detectable_cluster_drop([20], CALM, 0.05, margin=0.05) is None


def test_what_costs_power():
    sizes = [3] * 20
    plain = detectable_cluster_drop(sizes, CALM, 0.05, margin=0.05)
    alike = detectable_cluster_drop(sizes, Flips(lose=0.02, gain=0.02, alike=1.0), 0.05, margin=0.05)
    noisy = detectable_cluster_drop(sizes, Flips(lose=0.1, gain=0.1, alike=0.5), 0.05, margin=0.05)
    assert plain < detectable_cluster_drop(sizes, CALM, 0.01, margin=0.05)
    assert plain < alike
    assert plain < noisy
    assert plain > detectable_cluster_drop([3] * 80, CALM, 0.05, margin=0.05)


def test_more_of_the_same_settles_it():
    """22 clusters without a flip leave a drop of 0.11 possible, 66 leave 0.04."""
    still = units([0] * 22, [2] * 22)
    found = clusters_that_settle(still, 0.05, margin=0.05)
    assert found == 3 * 44
    assert clustered_drop(units([0] * 66, [2] * 66), 0.9).high_unseen <= 0.05
    assert clustered_drop(units([0] * 44, [2] * 44), 0.9).high_unseen > 0.05


@pytest.mark.simulation
@pytest.mark.parametrize("sizes", [[3] * 16 + [1] * 6, [3] * 40, [1] * 20 + [2] * 15 + [5] * 8 + [10, 20]])
@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_the_detectable_drop_is_found_in_eighty_percent(sizes, alike):
    """Of independent draws, judged by the gate's own procedure: within 3 points of the drop."""
    flips = Flips(lose=0.02, gain=0.02, alike=alike)
    drop = detectable_cluster_drop(sizes, flips, 0.05, margin=0.05)
    random, count, runs = np.random.default_rng(5), np.array(sizes), 400

    def found(lose):
        results = []
        for _ in range(runs):
            law = [lose, 0.02, 0.98 - lose]
            single = random.multinomial(count, law)
            whole = random.choice([1, -1, 0], len(sizes), p=law) * count
            sums = np.where(random.random(len(sizes)) < alike, whole, single[:, 0] - single[:, 1])
            result = clustered_drop(units(sums, sizes), 0.9)
            results.append(result.p_value <= 0.05 and result.high > 0.05)
        return np.mean(results)

    error = 3 * (0.16 / runs) ** 0.5
    assert found(0.02 + drop) == pytest.approx(0.8, abs=error + 0.02)
    assert found(0.02 + drop + 0.03) >= 0.8 - error
    assert found(max(0.02 + drop - 0.03, 0.0)) <= 0.8 + error


@pytest.mark.simulation
@pytest.mark.parametrize("alike", [0.0, 0.5])
@pytest.mark.parametrize("drop", [0.0, 0.03, 0.08])
def test_many_clusters_are_normal(monkeypatch, alike, drop):
    """200 clusters of 1 to 4 cases: 3 points of probability apart; the allowance of a pass costs a few more."""
    sizes, flips = [1, 2, 3, 4] * 50, Flips(lose=0.03 + drop, gain=0.03, alike=alike)
    simulated = verdict_chances(sizes, flips, 0.05, margin=0.05)
    monkeypatch.setattr("harness.statistics.detectable_drops._SIMULATED_UP_TO", 100)
    by_formula = verdict_chances(sizes, flips, 0.05, margin=0.05)
    assert by_formula.regress == pytest.approx(simulated.regress, abs=0.03)
    assert -0.03 <= by_formula.passes - simulated.passes <= 0.09
