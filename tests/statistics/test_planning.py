"""How many cases it takes: against simulation of the gate's own rule."""

import math

import numpy as np
import pytest

from harness.statistics.paired_binary import mcnemar_p, tango_interval
from harness.statistics.planning import cases_that_settle, cases_to_detect, cases_to_pass, pass_chance
from harness.statistics.power import detectable_drop, regression_power


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


@pytest.mark.parametrize(("margin", "churn"), [(0.05, 0.02), (0.1, 0.02), (0.1, 0.05)])
def test_so_many_cases_pass_and_a_third_fewer_do_not(margin, churn):
    cases = cases_to_pass(margin, churn)
    assert pass_chance(cases, churn, margin) >= 0.8
    assert pass_chance(cases * 2 // 3, churn, margin) < 0.8


@pytest.mark.simulation
def test_so_many_cases_detect_the_drop():
    """The smallest detectable drop of that many cases is the one that was asked for."""
    cases = cases_to_detect(0.1, 0.02, 0.05, margin=0.05)
    assert (
        detectable_drop(cases, 0.02, 0.05, margin=0.05)
        <= 0.1
        < detectable_drop(cases - 20, 0.02, 0.05, margin=0.05)
    )
    random = np.random.default_rng(1)
    found = []
    for _ in range(2000):
        lost, gained = flips(random, cases, 0.12, 0.02)
        found.append(mcnemar_p(lost, gained) <= 0.05 and tango_interval(lost, gained, cases, 0.9).high > 0.05)
    assert np.mean(found) >= 0.8 - 3 * (0.16 / 2000) ** 0.5


@pytest.mark.parametrize(
    ("margin", "churn", "power", "confidence", "cases"),
    [
        (0.05, 0.02, 0.8, 0.9, 150),
        (0.05, 0.02, 0.6, 0.9, 110),
        (0.05, 0.02, 0.8, 0.98, 250),
        (0.1, 0.02, 0.8, 0.9, 60),
        (0.1, 0.05, 0.6, 0.9, 60),
    ],
)
def test_ten_cases_fewer_would_not_pass(margin, churn, power, confidence, cases):
    assert cases_to_pass(margin, churn, power, confidence) == cases
    chances = [pass_chance(n, churn, margin, confidence) for n in (cases - 10, cases)]
    assert chances[0] < power <= chances[1]


@pytest.mark.parametrize(
    ("settings", "power", "cases"),
    [
        ({}, 0.8, 80),
        ({"margin": 0.09}, 0.8, 80),
        ({"margin": 0.09}, 0.6, 60),
        ({"margin": 0.11, "confidence": 0.8}, 0.8, 90),
        ({"margin": 0.11, "confidence": 0.98}, 0.8, 80),
    ],
)
def test_ten_cases_fewer_would_not_detect(settings, power, cases):
    """A drop of a tenth at 5 %, two in a hundred flipping each way."""
    assert cases_to_detect(0.1, 0.02, 0.05, power=power, **settings) == cases
    chances = [regression_power(n, 0.02, 0.05, **settings)(0.1) for n in (cases - 10, cases)]
    assert chances[0] < power <= chances[1]


def test_a_drop_that_cannot_be_needs_no_search():
    """No more can be lost than what doesn't flip back."""
    assert cases_to_detect(0.9, 0.05, 0.05) == 10
    assert cases_to_detect(0.91, 0.05, 0.05) is None
    assert cases_to_detect(-0.1, 0.02, 0.05) is None


def test_a_smaller_margin_needs_more_cases():
    needed = [cases_to_pass(margin, 0.02) for margin in (0.2, 0.1, 0.05, 0.02)]
    assert needed == sorted(needed)


def test_no_number_of_cases_shows_that_nothing_at_all_was_lost():
    assert cases_to_pass(0.0, 0.02) is None
    assert cases_to_detect(0.0, 0.02, 0.05) is None
    assert cases_to_pass(0.001, 0.3) is None


def test_as_many_cases_as_said_settle_it():
    """40 cases without a flip leave 0.05 open; 70 without one exclude it."""
    assert cases_that_settle(0, 0, 40, 0.05, 0.05) == 70
    assert cases_that_settle(2, 1, 40, 0.05, 0.05) > 70
    # As many lost as gained: the number that an equal candidate needs.
    assert cases_that_settle(2, 2, 100, 0.05, 0.05) == pytest.approx(cases_to_pass(0.05, 0.02), abs=10)


@pytest.mark.simulation
@pytest.mark.parametrize("seen", [(3, 2, 60), (4, 4, 80), (6, 3, 54), (5, 0, 60)])
def test_so_many_cases_settle_it_in_eighty_percent(seen):
    lost, gained, n = seen
    cases = cases_that_settle(*seen, 0.05, 0.05)
    random, runs = np.random.default_rng(2), 2000

    def decided(count):
        drawn = random.multinomial(count, [lost / n, gained / n, 1 - (lost + gained) / n], runs)
        return np.mean(
            [
                tango_interval(lose, gain, count, 0.9).high <= 0.05 or mcnemar_p(lose, gain) <= 0.05
                for lose, gain, _ in drawn.tolist()
            ]
        )

    assert decided(cases) >= 0.8 - 3 * (0.16 / runs) ** 0.5
    assert decided(max(round(cases * 0.8), 1)) <= 0.8


def test_a_drop_at_the_margin_is_never_settled_by_a_pass():
    """3 of 60 lost, none gained: a drop of the margin; more cases make it a regression."""
    assert 100 <= cases_that_settle(3, 0, 60, 0.05, 0.05) <= 200


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_a_set_of_which_each_case_is_gained_settles_as_fast_as_one_that_never_changes(n):
    """Nothing is left to be lost: what counts is that an interval of so few cases is within the margin."""
    settled = cases_that_settle(0, n, n, 0.05, 0.05)
    assert settled is not None
    assert settled <= cases_that_settle(0, 0, 40, 0.05, 0.05)
