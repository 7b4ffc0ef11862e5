"""The printed minimum detectable drop: known figures, and the power that it promises, by simulation."""

import math
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest

from harness.statistics.clusters import group
from harness.statistics.detectable_repeated_drops import detectable_averaged_drop
from harness.statistics.paired_binary import mcnemar_p, tango_interval
from harness.statistics.paired_graded import mean_drop
from harness.statistics.power import (
    churn_of,
    detectable_drop,
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
