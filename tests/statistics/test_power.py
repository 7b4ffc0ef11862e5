"""The printed minimum detectable drop: known figures, and the power that it promises, by simulation."""

import math
from functools import cache
from statistics import NormalDist, stdev

import numpy as np
import pytest
from scipy.stats import multinomial

from harness.statistics.clusters import group
from harness.statistics.paired_binary import mcnemar_p, tango_interval
from harness.statistics.paired_graded import alike_jumps, jumps_p, mean_drop
from harness.statistics.power import (
    churn_of,
    detectable_averaged_drop,
    detectable_drop,
    detectable_mean_drop,
    gain_chances,
    regression_power,
)

NORMAL_QUANTILE = 1.6448536269514722
Z = NormalDist()
# Of one-sided levels of 5 % for the test, the interval of 90 %, and a power of 80 %.
Z_LEVEL, Z_POWER = Z.inv_cdf(0.95), Z.inv_cdf(0.8)


def alone(drops):
    return group(list(drops), range(len(drops)))


def monte_carlo_error(rate, runs):
    return 3 * (rate * (1 - rate) / runs) ** 0.5


@pytest.mark.parametrize(("n", "drop"), [(20, 0.36), (50, 0.17), (100, 0.10), (200, 0.06)])
def test_known_detectable_drops_of_the_exact_test(n, drop):
    """At 5 % and 80 % power with 2 % of cases flipping each way by chance."""
    assert detectable_drop(n, 0.02, 0.05, mid=False) == pytest.approx(drop, abs=0.011)


@pytest.mark.parametrize("n", [20, 50, 100, 200])
def test_the_mid_p_form_detects_smaller_drops(n):
    assert detectable_drop(n, 0.02, 0.05) < 0.92 * detectable_drop(n, 0.02, 0.05, mid=False)


def test_too_few_cases_detect_nothing():
    """Three losses of three have a mid-p of 1/16, beyond 5 %; at a fifth of the level four are too few as well."""
    assert detectable_drop(3, 0.02, 0.05) is None
    assert detectable_drop(1, 0.02, 0.05) is None
    assert detectable_drop(4, 0.02, 0.01) is None
    assert detectable_mean_drop(group([0.1, 0.2], [0, 1]), 0.05) is None
    assert detectable_mean_drop(group([0.0] * 4, range(4)), 0.05) is None


def test_more_metrics_and_more_noise_cost_power():
    assert detectable_drop(60, 0.02, 0.05) < detectable_drop(60, 0.02, 0.01)
    assert detectable_drop(60, 0.02, 0.05) < detectable_drop(60, 0.10, 0.05)


def test_a_drop_within_the_margin_is_no_regression_however_sure():
    """With 5 000 cases a drop of 3 points is plain to see, but the gate tolerates 5."""
    assert detectable_drop(5000, 0.02, 0.05) < 0.02
    assert 0.04 < detectable_drop(5000, 0.02, 0.05, margin=0.05) < 0.06


def test_the_power_of_a_worked_example():
    """Five cases, one in ten gained by chance, at 5 %: by hand.

    Four losses and no gain have a mid-p of 1/32, four losses beside a gain one of 7/64: only four or five losses
    without a gain are called a drop. No gain has a chance of 0.9^5; a case that is not gained is lost with
    s = (0.1 + drop) / 0.9, so the power is 0.9^5 (5 s^4 (1 - s) + s^5).
    """
    power = regression_power(5, 0.1, 0.05)
    for drop, expected in ((0.3, 0.07424), (0.5, 0.27216), (0.6, 0.40817), (0.7, 0.53248)):
        assert power(drop) == pytest.approx(expected, abs=1e-9)
    assert detectable_drop(5, 0.1, 0.05, power=0.40817) == pytest.approx(0.6, abs=6e-4)
    assert detectable_drop(5, 0.1, 0.05, power=0.6) is None  # the largest possible drop, 0.8, has 0.59049


def test_a_single_loss_may_be_enough():
    """Three cases at a level of 0.3: one loss without a gain has a mid-p of 1/4, and beside a gain none is enough."""
    power = regression_power(3, 0.1, 0.3)
    for drop in (0.2, 0.4):
        assert power(drop) == pytest.approx(0.9**3 * (1 - (1 - (0.1 + drop) / 0.9) ** 3))


def test_the_level_is_reached_by_what_equals_it():
    """Four losses have a mid-p of exactly 1/32, five of 1/64: all five cases."""
    share = (0.1 + 0.5) / 0.9
    assert regression_power(5, 0.1, 1 / 32)(0.5) == pytest.approx(
        0.9**5 * (5 * share**4 * (1 - share) + share**5)
    )
    assert regression_power(5, 0.1, 1 / 64)(0.5) == pytest.approx(0.9**5 * share**5)
    assert regression_power(5, 0.1, 1 / 64)(1.0) == pytest.approx(
        0.9**5
    )  # no more than all that did not gain


@pytest.mark.parametrize("confidence", [0.9, 0.98])
@pytest.mark.parametrize("mid", [True, False])
def test_the_power_with_a_margin_equals_enumeration(confidence, mid):
    """Every table of twelve cases, by the published interval and test."""
    n, churn, margin, level, drop = 12, 0.1, 0.3, 0.2, 0.35
    lose, found = churn + drop, 0.0
    for lost in range(n + 1):
        for gained in range(n + 1 - lost):
            chance = math.comb(n, gained) * math.comb(n - gained, lost)
            chance *= lose**lost * churn**gained * (1 - lose - churn) ** (n - lost - gained)
            beyond = tango_interval(lost, gained, n, confidence).high > margin
            found += chance * (beyond and mcnemar_p(lost, gained, mid=mid) <= level)
    power = regression_power(n, churn, level, margin=margin, confidence=confidence, mid=mid)
    assert power(drop) == pytest.approx(found, abs=1e-8)


@pytest.mark.parametrize("margin", [None, 0.1])
@pytest.mark.parametrize("confidence", [0.9, 0.98])
@pytest.mark.parametrize("mid", [True, False])
@pytest.mark.parametrize("power", [0.5, 0.8])
def test_the_detectable_drop_is_where_the_power_is_reached(margin, confidence, mid, power):
    drop = detectable_drop(150, 0.05, 0.02, margin=margin, confidence=confidence, mid=mid, power=power)
    found = regression_power(150, 0.05, 0.02, margin=margin, confidence=confidence, mid=mid)
    assert found(drop) >= power > found(drop - 0.001)


@pytest.mark.parametrize("confidence", [0.9, 0.98])
def test_a_surer_interval_reaches_beyond_the_margin_sooner(confidence):
    """Of 1000 cases the margin decides, not the test: the drop is the smaller, the wider the interval."""
    drop = detectable_drop(1000, 0.02, 0.05, margin=0.1, confidence=confidence)
    found = regression_power(1000, 0.02, 0.05, margin=0.1, confidence=confidence)
    assert found(drop) >= 0.8 > found(drop - 0.001)
    still = group([0.0] * 1000, range(1000))
    churn = churn_of(0, 0, 1000)
    counted = detectable_drop(1000, churn, 0.05, margin=0.1, confidence=confidence, mid=False)
    assert detectable_mean_drop(still, 0.05, margin=0.05, confidence=confidence, reach=0.5) == pytest.approx(
        0.5 * counted
    )


def test_how_many_are_gained_by_chance():
    gains, chances = gain_chances(3, 0.5)
    assert gains.tolist() == [0, 1, 2, 3]
    assert chances.tolist() == pytest.approx([1 / 8, 3 / 8, 3 / 8, 1 / 8])
    assert gain_chances(200, 0.01)[0].tolist() == list(range(17))  # 17 have a chance of 3e-11


def test_the_churn_of_a_worked_example():
    """Half of the flips and a tenth of a flip; of many more losses than gains, the gains and their error."""
    assert churn_of(3, 4, 100) == churn_of(4, 3, 100) == pytest.approx(3.6 / 101)
    assert churn_of(3, 20, 100) == churn_of(20, 3, 100) == pytest.approx((3 + 2) / 100)
    assert churn_of(0, 5, 40) == pytest.approx(1 / 40)
    assert churn_of(0, 0, 9) == pytest.approx(0.1 / 10)


def test_the_mean_drop_of_a_worked_example():
    """50 scores of +0.1 and 50 of -0.1: the error is sqrt(100 x 0.01 x 100/99) / 100 = 0.0100504.

    "No drop" is rejected in 80 % of runs from (1.644854 + 0.841621) x 0.0100504 = 0.024990 on. Beyond a margin
    of 0.05 the bound reaches in 80 % of runs from 0.05 - (1.644854 - 0.841621) x 0.0100504 = 0.041927 on.
    """
    units = group([0.1, -0.1] * 50, range(100))
    assert detectable_mean_drop(units, 0.05) == pytest.approx(0.024990, abs=2e-6)
    assert detectable_mean_drop(units, 0.05, margin=0.05) == pytest.approx(0.041927, abs=2e-6)
    # At a level of 1 %: (2.326348 + 0.841621) x 0.0100504; with a margin of 0.01 the test is the harder part.
    assert detectable_mean_drop(units, 0.01, margin=0.01) == pytest.approx(0.031839, abs=2e-6)
    # The 98 % interval and 90 % power: 0.05 - (2.326348 - 1.281552) x 0.0100504.
    stricter = detectable_mean_drop(units, 0.05, margin=0.05, confidence=0.98, power=0.9)
    assert stricter == pytest.approx(0.039499, abs=2e-6)


def test_where_hardly_any_score_moved_whole_units_are_counted():
    """Of 1000 units none moved: the drop of a pass rate in so many cases, times what a unit can lose."""
    still = group([0.0] * 1000, range(1000))
    counted = detectable_drop(1000, churn_of(0, 0, 1000), 0.05, margin=0.1, mid=False)
    assert detectable_mean_drop(still, 0.05, margin=0.05, reach=0.5) == pytest.approx(counted * 0.5)
    assert detectable_mean_drop(still, 0.05, margin=0.5, reach=0.5) is None


def test_a_mean_drop_of_a_worked_example():
    """Forty of a hundred scores moved, by 0.5 down or 0.3 up: (1.645 + 0.842) of a standard error are found."""
    drops = [0.5] * 20 + [-0.3] * 20 + [0.0] * 60
    error = stdev(drops) / 10
    seen = alone(drops)
    assert detectable_mean_drop(seen, 0.05) == pytest.approx((Z_LEVEL + Z_POWER) * error, rel=1e-9)
    assert detectable_mean_drop(seen, 0.01, power=0.5) == pytest.approx(Z.inv_cdf(0.99) * error, rel=1e-9)
    # Beyond a margin of 0.2 the interval's upper end reaches, with this power, from 0.2 - (1.645 - 0.842) errors on.
    assert detectable_mean_drop(seen, 0.05, margin=0.05) == pytest.approx(
        (Z_LEVEL + Z_POWER) * error, rel=1e-9
    )
    assert detectable_mean_drop(seen, 0.05, margin=0.2) == pytest.approx(
        0.2 - (Z_LEVEL - Z_POWER) * error, rel=1e-9
    )
    assert detectable_mean_drop(seen, 0.05, margin=0.2, confidence=0.8, power=0.9) == pytest.approx(
        0.2 - (Z.inv_cdf(0.9) - Z.inv_cdf(0.9)) * error, rel=1e-9
    )


@pytest.mark.parametrize("moved", [5, 8])
def test_counted_jumps_need_more(moved):
    """Five or more of a hundred moved by 0.5: the drop's own part makes it 1 / sqrt(1 - z^2 / n) times as large."""
    drops = [0.5] * moved + [0.0] * (100 - moved)
    z = Z_LEVEL + Z_POWER
    counted = z * stdev(drops) / 10 / (1 - z * z / 100) ** 0.5
    assert detectable_mean_drop(alone(drops), 0.05) == pytest.approx(counted, rel=1e-9)


def by_the_rule(n, churn, drop, reach, rise, margin=None, level=0.05):
    """Power of the rule itself, summed over numbers of lost and gained units; more than 14 are regressions."""
    gained_by = reach if rise is None else min(reach, rise)

    @cache
    def regresses(lost, gained):
        moves = [reach] * lost + [-gained_by] * gained + [0.0] * (n - lost - gained)
        found = mean_drop(group(moves, range(n)), 0.9, reach=reach, rise=rise)
        return found.p_value <= level and (margin is None or found.high > margin)

    share = (drop - churn * (reach - gained_by)) / reach
    return math.fsum(
        float(
            multinomial.pmf(
                [lost, gained, n - lost - gained], n, [churn + share, churn, 1 - 2 * churn - share]
            )
        )
        for lost in range(n + 1)
        for gained in range(min(n - lost, 3) + 1)
        if (regresses(lost, gained) if lost + gained < 15 else lost > 2 * gained)
    )


@pytest.mark.parametrize(
    ("n", "reach", "rise", "margin"),
    [
        (20, 0.7, 0.3, 0.05),
        (20, 0.7, 0.3, None),
        (12, 0.5, 0.5, 0.05),
        (40, 1.0, None, 0.1),
        (8, 0.9, 0.2, 0.05),
    ],
)
def test_where_hardly_any_moved_units_are_lost_whole(n, reach, rise, margin):
    """The drop of a set in which nothing moved is found in 80 % by the rule, and a little less is not."""
    still = alone([0.0] * n)
    drop = detectable_mean_drop(still, 0.05, margin=margin, reach=reach, rise=rise)
    churn = churn_of(0, 0, n)
    assert by_the_rule(n, churn, drop, reach, rise, margin) >= 0.799
    assert by_the_rule(n, churn, drop - 0.01, reach, rise, margin) < 0.8
    assert detectable_mean_drop(still, 0.05, margin=reach, reach=reach, rise=rise) is None


def test_moves_are_counted_in_units_lost_whole():
    """Three lost a half and one gained a quarter of a hundred: churn as of 1.5 lost and 0.25 gained pass rates."""
    drops = [0.5] * 3 + [-0.25] + [0.0] * 96
    drop = detectable_mean_drop(alone(drops), 0.05, margin=0.05)
    assert by_the_rule(100, churn_of(1.5, 0.25, 100), drop, 1.0, None, 0.05) == pytest.approx(0.8, abs=0.02)


def test_few_units_are_lost_whole_even_where_most_moved():
    """Five moved of six: z^2 = 6.2 is more than the units, so that no normal approximation holds.

    A sixth of them gain by chance, five must be lost and none gained: even if all others are lost, that is rare.
    """
    assert detectable_mean_drop(alone([0.5] * 5 + [0.0]), 0.05) is None
    assert by_the_rule(6, 1 / 6, 4 / 6, 1.0, None) == pytest.approx((5 / 6) ** 6, abs=1e-9)


def test_equal_jumps_have_the_p_value_of_the_rule():
    """Four of twenty lost 0.7 and one gained 0.3, all it can: counted jumps, or what so few gains leave open."""
    for lost, gained in ((4, 0), (4, 1), (7, 2), (1, 3)):
        moves = [0.7] * lost + [-0.3] * gained + [0.0] * (20 - lost - gained)
        rule = mean_drop(alone(moves), 0.9, reach=0.7, rise=0.3)
        assert jumps_p(lost, gained, 20, 0.7, 0.3) == pytest.approx(rule.p_value)
    # 4 x 0.7 and 1 x 0.3 with one more 0.7: (4 x 0.49 + 0.09 + 0.49) / (2.8 + 0.3 + 0.7).
    assert alike_jumps(4, 1, 0.7, 0.3)[2] == pytest.approx(2.54 / 3.8)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([0.1, -0.1] * 5, 0.178),
        # One of twenty gained 0.38, the others lost 0.02. As cases lost completely it would be 0.19.
        ([0.02] * 19 + [-0.38], 0.120),
        ([0.15, 0.05, -0.1, -0.1, 0.0] * 4, 0.086),
    ],
)
def test_few_units_detect_what_the_rule_finds_in_samples_of_them(moves, expected):
    """Of other samples of the same moves four in five are a regression, at a drop within 0.02 of the printed one."""
    drop = detectable_mean_drop(alone(moves), 0.05, margin=0.05, rise=0.42)
    assert drop == pytest.approx(expected, abs=0.004)

    def found(fall):
        random, centred = np.random.default_rng(5), np.array(moves) - np.mean(moves)
        samples = [alone((random.choice(centred, len(moves)) + fall).tolist()) for _ in range(200)]
        results = [mean_drop(sample, 0.9, rise=0.42) for sample in samples]
        return np.mean([each.p_value <= 0.05 and each.high > 0.05 for each in results])

    assert found(drop - 0.02) < 0.8 < found(drop + 0.02)


def test_many_units_need_what_unseen_gains_leave_open():
    """A hundred moves of ±0.01 that can gain 0.5: 0.5 (0.05^(-1/100) - 1) = 0.015206, and 0.84 errors."""
    drop = detectable_mean_drop(alone([0.01, -0.01] * 50), 0.05, rise=0.5)
    assert drop == pytest.approx(0.5 * (0.05**-0.01 - 1) + Z_POWER * 0.01 * (100 / 99) ** 0.5 / 10)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [54, 100, 200, 500])
@pytest.mark.parametrize("churn", [0.0, 0.01, 0.02, 0.05, 0.10])
def test_the_printed_drop_is_the_detectable_one(n, churn):
    """From runs without a change the gate prints a drop: the middle one is within 3 points of the true one.

    The churn is only known from the run, so that the printed drops differ.
    """

    @cache
    def of(found):
        return detectable_drop(n, found, 0.05, margin=0.05)

    runs = np.random.default_rng(n).multinomial(n, [churn, churn, 1 - 2 * churn], size=200).tolist()
    printed = [of(round(churn_of(lost, gained, n), 4)) for lost, gained, _ in runs]
    assert np.median(printed) == pytest.approx(of(churn), abs=0.03)
    power = regression_power(n, churn, 0.05, margin=0.05)
    assert 0.77 <= np.mean([power(min(drop, 1 - 2 * churn)) for drop in printed]) <= 0.9


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 54, 150])
@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_the_printed_mean_drop_is_the_detectable_one(n, spread):
    """The same of a graded metric with normal drops: at 3 points more it is found, at 3 points less it isn't."""
    random = np.random.default_rng(3)
    printed = np.median(
        [
            detectable_mean_drop(group(random.normal(0, spread, n).tolist(), range(n)), 0.05, margin=0.05)
            for _ in range(15)
        ]
    )

    def found(drop):
        results = [
            mean_drop(group(random.normal(drop, spread, n).tolist(), range(n)), 0.9, reach=0.8, resamples=499)
            for _ in range(200)
        ]
        return np.mean([each.p_value <= 0.05 and each.high > 0.05 for each in results])

    error = monte_carlo_error(0.8, 200)
    assert found(printed + 0.03) >= 0.8 - error
    assert found(printed - 0.03) <= 0.8 + error


def test_the_drop_with_an_averaged_baseline_of_a_worked_example():
    """Of 50 cases 40 always pass and ten in half of the answers; the noise of a drop is 0.06.

    t of 49 degrees of freedom: 1.67655 + 0.84902 = 2.52557. A lost case adds (0.85 - 0.06) / 0.9 = 0.877778 a point
    of drop. d = 0.145851: a share of 0.162057 is lost, the variance is 0.837943 x 0.06 + 0.162057 x 0.85 - d^2 =
    0.166752, and d sqrt(50) = 1.031325 = 2.52557 x 0.408354. A margin of 0.2 is reached from
    0.2 - (1.67655 - 0.84902) x sqrt((0.06 + 0.2 x 0.877778 - 0.04) / 50) = 0.148247 on.
    """
    rates = [1.0] * 40 + [0.5] * 10
    assert detectable_averaged_drop(rates, 0.06, 0.05, margin=0.0) == pytest.approx(0.145851, abs=2e-6)
    assert detectable_averaged_drop(rates, 0.06, 0.05, margin=0.2) == pytest.approx(0.148247, abs=2e-6)
    assert detectable_averaged_drop([0.0] * 50, 0.06, 0.05, margin=0.0) == 1.0
    assert detectable_averaged_drop([1.0], 0.0, 0.05, margin=0.0) == 1.0


@pytest.mark.simulation
@pytest.mark.parametrize(("n", "churn", "reruns"), [(40, 0.1, 10), (100, 0.05, 1), (100, 0.02, 5)])
def test_the_drop_with_an_averaged_baseline_is_found(n, churn, reruns):
    """Cases that pass every other time beside ones that always pass: 3 points more are found, 3 points less not."""
    random = np.random.default_rng(n)

    def drawn(drop):
        chance = np.where(random.random(n) < 4 * churn, 0.5, 1.0)
        now = random.binomial(1, np.where(random.random(n) < drop / (1 - 2 * churn), 0.0, chance))
        return random.binomial(1 + reruns, chance) / (1 + reruns), now

    def printed():
        rates, now = drawn(0.0)
        noise = (churn * (1 + 1 / (1 + reruns)) + (rates - now).var(ddof=1)) / 2
        return detectable_averaged_drop(rates.tolist(), noise, 0.05, margin=0.05)

    def found(drop):
        results = []
        for _ in range(200):
            rates, now = drawn(drop)
            results.append(mean_drop(group((rates - now).tolist(), range(n)), 0.9, span=1.0, resamples=499))
        return np.mean([each.p_value <= 0.05 and each.high > 0.05 for each in results])

    middle, error = np.median([printed() for _ in range(40)]), monte_carlo_error(0.8, 200)
    assert found(middle + 0.03) >= 0.8 - error
    assert found(middle - 0.03) <= 0.8 + error
