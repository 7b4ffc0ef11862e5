"""What sets of clusters detect and pass: against the gate's own procedure."""

from functools import cache
from statistics import NormalDist

import numpy as np
import pytest

from harness.statistics.clustered_drop import clustered_drop
from harness.statistics.clusters import Units
from harness.statistics.detectable_drops import (
    RUNS,
    USUAL_ALIKE,
    Flips,
    alike_of,
    clusters_that_settle,
    detectable_cluster_drop,
    drawn_drops,
    flips_as_observed,
    flips_by_chance,
    verdict_chances,
    verdicts_of,
)
from harness.statistics.paired_graded import few_moved_from

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
    """Two lost and one gained of 30 in ten clusters: one by one (1.5 + 0.1) / 31, as wholes (2/3 + 1/3) / 2 of 10.

    As observed 2 % of the cases more flip either way, which is less than one flip.
    """
    seen = units([2, -1] + [0] * 8, [3] * 10)
    assert (flips_as_observed(seen).lose, flips_as_observed(seen).gain) == pytest.approx(
        (2.6 / 31.2, 1.6 / 31.2)
    )
    for whole, churn in ((False, 1.6 / 31), (True, 0.7 / 11)):
        by_chance = flips_by_chance(seen, 2, 1, whole=whole)
        assert by_chance.lose == by_chance.gain == pytest.approx(churn)
        assert by_chance.alike == whole


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
    """22 clusters without a flip leave a drop of 0.11 possible, 66 leave 0.04; any flip needs more of them."""
    still = Flips(lose=0.0, gain=0.0, alike=0.5)
    assert clusters_that_settle([2] * 22, still, 0.05, margin=0.05) == 3
    assert clusters_that_settle([2] * 22, CALM, 0.05, margin=0.05) > 3
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
    monkeypatch.setattr("harness.statistics.detectable_drops.SIMULATED_UP_TO", 100)
    by_formula = verdict_chances(sizes, flips, 0.05, margin=0.05)
    assert by_formula.regress == pytest.approx(simulated.regress, abs=0.03)
    assert -0.03 <= by_formula.passes - simulated.passes <= 0.09


Z = NormalDist()
# Of one-sided levels of 5 % for the test, the interval of 90 %, and a power of 80 %.
Z_LEVEL, Z_POWER = Z.inv_cdf(0.95), Z.inv_cdf(0.8)


@pytest.mark.parametrize("sizes", [[3, 1, 2, 5, 1, 4, 2, 3], [2] * 12, [1] * 40])
@pytest.mark.parametrize("margin", [None, 0.05, 0.4])
def test_simulated_runs_are_judged_as_the_gate_judges(sizes, margin):
    """Each run by itself, by the function that judges real ones; those without any spread are counted there."""
    drops = drawn_drops(sizes, Flips(lose=0.3, gain=0.1, alike=0.4), 60)
    for level, confidence in ((0.05, 0.9), (0.01, 0.8)):
        regresses, passes = verdicts_of(drops, sizes, level, margin=margin, confidence=confidence)
        compared = 0
        for run, regressed, passed in zip(drops, regresses, passes, strict=True):
            seen = units(run, sizes)
            result = clustered_drop(seen, confidence)
            if len(set(run / sizes)) > 1 and few_moved_from(seen) in {None, 0.0}:
                compared += 1
                is_low = result.p_value <= level
                assert regressed == (is_low and (margin is None or result.high > margin))
                assert passed == (margin is not None and max(result.high, result.high_unseen) <= margin)
        assert compared > 20


def test_many_clusters_of_a_worked_example():
    """250 clusters of two, lost at 0.1 and gained at 0.04, of which half flip as one: a mean drop of 0.06.

    The variance of a case is 0.14 - 0.0036, and 500 cases with 0.5 x 500 pairs make 750 of them.
    """
    error = (0.1364 * 750) ** 0.5 / 500
    chances = verdict_chances([2] * 250, Flips(lose=0.1, gain=0.04, alike=0.5), 0.01, margin=0.08)
    assert chances.regress == pytest.approx(
        Z.cdf((0.06 - max(Z.inv_cdf(0.99) * error, 0.08 - Z_LEVEL * error)) / error), abs=1e-9
    )
    assert chances.passes == pytest.approx(Z.cdf((0.08 - Z_LEVEL * error - 0.06) / error), abs=1e-9)
    chances = verdict_chances(
        [2] * 250, Flips(lose=0.1, gain=0.04, alike=0.5), 0.05, margin=0.2, confidence=0.8
    )
    assert chances.regress == pytest.approx(Z.cdf((0.06 - 0.2) / error + Z.inv_cdf(0.9)), abs=1e-9)
    chances = verdict_chances([2] * 250, Flips(lose=0.1, gain=0.04, alike=0.5), 0.05)
    assert (chances.regress, chances.passes) == (pytest.approx(Z.cdf(0.06 / error - Z_LEVEL), abs=1e-9), 0.0)


def test_up_to_two_hundred_clusters_are_simulated():
    """By formula 200 clusters without a flip would pass for sure, and are simulated; 201 don't differ in kind."""
    flips = Flips(lose=0.05, gain=0.05, alike=0.0)
    simulated = verdict_chances([1] * 200, flips, 0.05)
    assert simulated.regress * RUNS == pytest.approx(round(simulated.regress * RUNS), abs=1e-6)
    by_formula = verdict_chances([1] * 201, flips, 0.05)
    assert by_formula.regress == pytest.approx(0.05, abs=1e-9)


def test_drawn_drops_have_the_rates_that_were_asked_for():
    sizes = [1, 4, 3]
    alone = drawn_drops(sizes, Flips(lose=0.2, gain=0.4, alike=0.0), 20_000)
    assert alone.shape == (20_000, 3)
    assert alone.mean(axis=0) == pytest.approx([-0.2, -0.8, -0.6], abs=0.03)
    # Of a case alone: 0.6 - 0.04.
    assert alone.var(axis=0) == pytest.approx([0.56, 4 * 0.56, 3 * 0.56], rel=0.05)
    whole = drawn_drops(sizes, Flips(lose=0.2, gain=0.4, alike=1.0), 20_000)
    assert np.unique(whole[:, 1]).tolist() == [-4.0, 0.0, 4.0]
    # A standard error is 0.02 for the largest.
    assert whole.mean(axis=0) == pytest.approx([-0.2, -0.8, -0.6], abs=0.08)
    assert whole.var(axis=0) == pytest.approx([0.56, 16 * 0.56, 9 * 0.56], rel=0.05)
    half = drawn_drops(sizes, Flips(lose=0.2, gain=0.4, alike=0.5), 20_000)
    assert half.var(axis=0)[1] == pytest.approx(10 * 0.56, rel=0.06)
    assert (drawn_drops(sizes, Flips(lose=1.0, gain=0.0, alike=0.0), 3) == sizes).all()
    assert (drawn_drops([1.6, 2.4], Flips(lose=0.0, gain=1.0, alike=1.0), 3) == [-2.0, -2.0]).all()


@pytest.mark.parametrize("power", [0.8, 0.5])
@pytest.mark.parametrize("margin", [None, 0.05, 0.3])
def test_the_detectable_drop_is_the_least_that_is_found(margin, power):
    sizes = [3] * 20

    def chance(drop):
        flips = Flips(lose=0.02 + drop, gain=0.02, alike=0.5)
        return verdict_chances(sizes, flips, 0.05, margin=margin, confidence=0.9).regress

    drop = detectable_cluster_drop(sizes, CALM, 0.05, margin=margin, power=power)
    # One draw of all runs is not quite monotonous in the drop.
    assert chance(drop) >= power > chance(drop - 0.02)


def test_two_clusters_are_enough_to_be_asked_about():
    """Two that are lost have a chance of a quarter each way: a level of 0.3 is above it, of 0.2 below."""
    gone = Flips(lose=0.0, gain=0.0, alike=1.0)
    assert detectable_cluster_drop([4, 4], gone, 0.3) is not None
    assert detectable_cluster_drop([4, 4], gone, 0.2) is None


def test_what_never_settles():
    """As many gains as losses are no drop, but to exclude a millionth takes more than anybody has."""
    assert clusters_that_settle([5] * 20, CALM, 0.05, margin=1e-6) is None
    assert clusters_that_settle([5] * 20, CALM, 0.05, margin=0.2) == 1


def test_chances_are_at_most_what_can_be():
    """All cases flipped: the churn is bounded, and so are both rates together."""
    by_chance = flips_by_chance(units([3, -3] * 5, [3] * 10), 15, 15, whole=True)
    assert by_chance.lose == by_chance.gain == 0.45


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("sizes", "churn"), [([10] * 12, 0.05), ([3] * 16 + [1] * 6, 0.02), ([30] + [1] * 30, 0.02)]
)
def test_what_few_large_clusters_print(sizes, churn):
    """Nothing had changed: the middle one of 40 printed figures is near what 80 % find, in either world."""
    random = np.random.default_rng(3)

    @cache
    def found(rate, alike):
        return detectable_cluster_drop(sizes, Flips(lose=rate, gain=rate, alike=alike), 0.05, margin=0.05)

    for whole, most in ((False, 0.03), (True, 0.05)):
        printed = []
        for _ in range(40):
            law = [churn, churn, 1 - 2 * churn]
            if whole:
                lost, gained = (
                    np.array(sizes) * side for side in random.multinomial(1, law, len(sizes)).T[:2]
                )
            else:
                lost, gained, _ = random.multinomial(sizes, law).T
            flips = flips_by_chance(units(lost - gained, sizes), lost.sum(), gained.sum(), whole=whole)
            printed.append(found(round(flips.lose, 3), flips.alike))
        assert np.median(printed) == pytest.approx(found(churn, float(whole)), abs=most)


def test_further_clusters_flip_once_more():
    """Where nothing is known of it, a flip is half one of a case and half one of a cluster of three: two cases."""
    still = flips_as_observed(units([0.0] * 60, [3.0] * 60))
    assert still.lose == still.gain == pytest.approx(2 / (180 + 2 * 2))
    assert still.alike == 0.5
    lost = flips_as_observed(units([3.0] * 6 + [0.0] * 54, [3.0] * 60))
    one = 1 - lost.alike + 3 * lost.alike
    assert lost.lose == pytest.approx((18 + one) / (180 + 2 * one))
    assert lost.gain == pytest.approx(one / (180 + 2 * one))
    # Of few cases the usual share is less than a flip.
    assert flips_as_observed(units([0.0] * 5, [4.0] * 5)).lose == pytest.approx(0.02 / 1.04)
