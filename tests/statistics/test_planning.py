"""How many cases it takes: against simulation of the gate's own rule."""

import math
from collections import Counter

import numpy as np
import pytest

from harness.statistics.paired_binary import mcnemar_p, tango_interval
from harness.statistics.planning import cases_that_settle, pass_chance, rates_seen
from harness.statistics.power import regression_power


def flips(random, n, lose, gain):
    drawn = random.random(n)
    return int((drawn < lose).sum()), int((drawn >= 1 - gain).sum())


def test_the_chance_to_pass_of_a_worked_example():
    """60 cases that never flip leave a bound of 0.0508, 61 one of 0.0500: those pass.

    With 61 cases of which 2 % flip each way, no loss passes beside none or one gain, one beside two or three, two
    beside four or five and so on; the chances of those tables are added up.
    """
    assert pass_chance(60, 0.0, 0.05) == 0.0
    assert (
        pass_chance(4, 0.0, 0.05) == pass_chance(1, 0.0, 0.8) == 0.0
    )  # of a handful the score test is too sure
    assert pass_chance(61, 0.0, 0.05) == 1.0
    most = [
        max((lost for lost in range(20) if tango_interval(lost, gained, 61, 0.9).high <= 0.05), default=-1)
        for gained in range(14)
    ]
    assert most[:6] == [0, 0, 1, 1, 2, 2]
    chance = math.fsum(
        math.comb(61, gained)
        * math.comb(61 - gained, lost)
        * 0.02 ** (gained + lost)
        * 0.96 ** (61 - gained - lost)
        for gained, largest in enumerate(most)
        for lost in range(largest + 1)
    )
    assert pass_chance(61, 0.02, 0.05) == pytest.approx(chance, abs=1e-8)
    assert chance == pytest.approx(0.424915, abs=1e-6)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("n", "churn", "margin"), [(60, 0.01, 0.1), (100, 0.02, 0.05), (200, 0.05, 0.05), (40, 0.0, 0.1)]
)
def test_the_chance_to_pass_is_that_of_the_rule(n, churn, margin):
    """3000 simulated pairs of runs in which nothing changed."""
    random = np.random.default_rng(n)
    passed = np.mean(
        [tango_interval(*flips(random, n, churn, churn), n, 0.9).high <= margin for _ in range(3000)]
    )
    assert pass_chance(n, churn, margin) == pytest.approx(passed, abs=0.03)


def chances(cases, lose, gain, *, margin=0.05, level=0.05, confidence=0.9):
    """How often so many cases pass, and how often they regress."""
    passes = pass_chance(cases, gain, margin, confidence, drop=lose - gain)
    return passes, regression_power(cases, gain, level, margin=margin, confidence=confidence)(lose - gain)


@pytest.mark.parametrize(
    ("lose", "gain", "settings", "cases"),
    [
        (0.02, 0.02, {}, 140),
        (0.02, 0.02, {"power": 0.6}, 100),
        (0.02, 0.02, {"confidence": 0.98}, 240),
        (0.07, 0.02, {}, 190),
        (0.12, 0.02, {"power": 0.6}, 60),
        (0.12, 0.02, {"level": 0.01}, 130),
        (0.02, 0.02, {"margin": 0.1}, 60),
    ],
)
def test_so_many_cases_settle_it_and_ten_fewer_do_not(lose, gain, settings, cases):
    power = settings.pop("power", 0.8)
    given = {"margin": 0.05, "level": 0.05, "confidence": 0.9, **settings}
    assert cases_that_settle(lose, gain, **given, power=power) == cases
    fewer, enough = (sum(chances(n, lose, gain, **given)) for n in (cases - 10, cases))
    assert fewer < power <= enough


def test_equal_models_are_settled_by_passes_and_fallen_ones_by_regressions():
    passed, refused = chances(cases_that_settle(0.02, 0.02, 0.05, 0.05), 0.02, 0.02)
    assert passed > 0.76
    assert refused < 0.04
    passed, refused = chances(cases_that_settle(0.07, 0.02, 0.05, 0.05), 0.07, 0.02)
    assert refused > 0.74
    assert passed < 0.06


def test_many_cases_are_settled_by_the_normal_approximation():
    """Of 0.02: 620 exactly, 810 for a drop of the margin; beyond 2000 by formula, near what is exact there."""
    assert cases_that_settle(0.1, 0.1, 0.02, 0.05) == pytest.approx(3100, rel=0.02)
    below = cases_that_settle(0.0615, 0.0615, 0.02, 0.05)
    assert sum(chances(below, 0.0615, 0.0615, margin=0.02)) == pytest.approx(0.8, abs=0.02)


def test_a_smaller_margin_needs_more_cases():
    needed = [cases_that_settle(0.02, 0.02, margin, 0.05) for margin in (0.2, 0.1, 0.05, 0.02)]
    assert needed == sorted(needed)


def test_no_number_of_cases_shows_that_nothing_at_all_was_lost():
    assert cases_that_settle(0.02, 0.02, 0.0, 0.05) is None
    assert cases_that_settle(0.3, 0.3, 0.0001, 0.05) is None


def test_further_cases_flip_as_often_as_these_and_once_more():
    assert rates_seen(3, 1, 98) == pytest.approx((0.04, 0.02))
    # Of ten cases without a flip nothing is known but what is usual.
    assert rates_seen(0, 0, 10) == pytest.approx((0.2 / 10.4, 0.2 / 10.4))
    assert cases_that_settle(*rates_seen(0, 0, 10), 0.05, 0.05) == cases_that_settle(0.02, 0.02, 0.05, 0.05)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("n", "lose", "gain"),
    [(40, 0.02, 0.02), (60, 0.05, 0.05), (60, 0.05, 0.02), (60, 0.07, 0.02), (100, 0.03, 0.03)],
)
def test_what_inconclusive_sets_are_told_settles_them(n, lose, gain):
    """Sets of which the first n cases leave it open: that many decide it in 80 % of runs, or more."""
    draws = np.random.default_rng(n).multinomial(n, [lose, gain, 1 - lose - gain], 1000)
    settled, weights = [], []
    for (lost, gained), count in Counter(map(tuple, draws[:, :2].tolist())).items():
        beyond = tango_interval(lost, gained, n, 0.9).high > 0.05
        if beyond and mcnemar_p(lost, gained) > 0.05:
            told = cases_that_settle(*rates_seen(lost, gained, n), 0.05, 0.05, least=n)
            settled.append(sum(chances(told, lose, gain)))
            weights.append(count)
    assert sum(weights) > 200
    assert 0.72 < np.average(settled, weights=weights) < 0.97
    middle = np.quantile(np.repeat(settled, weights), 0.5)
    assert middle > 0.77


@pytest.mark.simulation
@pytest.mark.parametrize("rates", [(0.05, 0.03), (0.05, 0.05), (0.11, 0.06), (0.08, 0.0)])
def test_so_many_cases_settle_it_in_eighty_percent(rates):
    """Runs of the gate's own rule: within 3 points of it, beside the error of 2000 runs and the tens."""
    cases, (lose, gain) = cases_that_settle(*rates, 0.05, 0.05), rates
    random, runs = np.random.default_rng(2), 2000

    def decided(count):
        drawn = random.multinomial(count, [lose, gain, 1 - lose - gain], runs)
        return np.mean(
            [
                tango_interval(lost, gained, count, 0.9).high <= 0.05 or mcnemar_p(lost, gained) <= 0.05
                for lost, gained, _ in drawn.tolist()
            ]
        )

    assert decided(cases) == pytest.approx(0.8, abs=0.05)
    assert decided(max(round(cases * 0.8), 1)) <= 0.8


def test_a_drop_at_the_margin_is_settled_by_a_regression():
    """5 % lost, none gained."""
    cases = cases_that_settle(0.05, 0.0, 0.05, 0.05)
    passed, refused = chances(cases, 0.05, 0.0)
    assert 100 <= cases <= 200
    assert passed < 0.06
    assert refused > 0.7


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_a_set_of_which_each_case_is_gained_settles(n):
    """Nothing is left to be lost: what counts is that an interval of so few cases is within the margin."""
    settled = cases_that_settle(*rates_seen(0, n, n), 0.05, 0.05, least=n)
    assert settled is not None
    assert settled <= 80
