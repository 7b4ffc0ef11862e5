"""A drift is found, a steady series is left alone at the stated rate."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.drift import (
    CHANGE_FROM,
    TREND_FROM,
    change_point,
    holm_of_possible,
    is_nearer_a_line,
    least_p,
    rises_less_falls,
    trend_p,
)


def test_the_exact_p_value_of_a_worked_example():
    """Of the 5! orders of five values two are monotone."""
    assert trend_p([1, 2, 3, 4, 5]) == pytest.approx(2 / 120)
    assert trend_p([0.5] * 6) == 1.0


def test_a_step_is_found_where_it_is():
    place, p_value = change_point([0.9, 0.91, 0.89, 0.9, 0.92, 0.9, 0.7, 0.71, 0.69, 0.7, 0.72, 0.7])
    assert place == 6
    assert p_value < 0.05


def test_the_p_value_of_a_change_in_a_worked_example():
    """Ten values, the first five above all others: of 10! orders 2 x 5! x 5! split them so, 1 in 126."""
    place, p_value = change_point([6, 7, 8, 9, 10, 1, 2, 3, 4, 5])
    assert place == 5
    assert p_value == pytest.approx(1 / 126, abs=3 * (1 / 126 / 9999) ** 0.5)


@pytest.mark.parametrize(
    "test", [(trend_p, TREND_FROM), (lambda values: change_point(values)[1], CHANGE_FROM)]
)
def test_the_stated_minimum_is_enough_for_two_tests_and_one_less_is_not(test):
    """A series that only falls, or one clear step; Holm doubles the smaller of two p-values."""
    p_value, least = test

    def smallest(n):
        return min(
            p_value([float(-place) for place in range(n)]),
            p_value([*[1.0 + 1e-3 * p for p in range(n // 2)], *[1e-3 * p for p in range(n - n // 2)]]),
        )

    assert 2 * smallest(least) <= 0.05
    assert 2 * smallest(least - 1) > 0.05


@pytest.mark.parametrize(
    "values",
    [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 2], [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1, 1]],
)
def test_the_p_value_of_a_series_with_ties_is_that_of_its_orders(values):
    """Pass rates of few cases tie. Of the 20 orders of three low and three high values two are as steep."""

    def rises(order):
        return abs(sum((now > then) - (now < then) for then, now in itertools.combinations(order, 2)))

    orders = list(itertools.permutations(values))
    exact = sum(rises(order) >= rises(values) for order in orders) / len(orders)
    assert trend_p(values) == pytest.approx(exact, abs=4 * (exact / 9999) ** 0.5)
    assert trend_p(values) == trend_p(values)
    called = {order for order in set(orders) if trend_p(order) <= 0.05} if len(set(orders)) < 40 else set()
    assert len(called) <= 0.05 * len(set(orders))


def test_the_least_p_value_is_that_of_the_sorted_orders():
    """Five values without ties: 2 of 120 orders; with a pair 4; a constant series shows nothing."""
    assert least_p([3, 1, 2, 5, 4]) == pytest.approx(2 / 120)
    assert least_p([3, 1, 2, 5, 5]) == pytest.approx(4 / 120)
    assert least_p([0.9] * 6) == 1.0
    assert least_p([1, 1, 1, 2]) == pytest.approx(2 * 6 / 24)


def test_a_series_that_shows_nothing_costs_the_others_nothing():
    """Holm over the three tests that can have 2 / 120; a constant one and one that can have 0.4 are none of them."""
    p_values, least = [2 / 120, 0.4, 0.3, 1.0, 0.4], [2 / 120] * 3 + [1.0, 0.4]
    adjusted = holm_of_possible(p_values, least, 0.05)
    assert adjusted == pytest.approx([3 * 2 / 120, 0.6, 0.6, 1.0, 1.0])
    assert adjusted[0] <= 0.05
    # A fourth that can have it is one too many.
    assert holm_of_possible([*p_values, 1.0], [*least, 2 / 120], 0.05)[0] > 0.05
    assert holm_of_possible([], [], 0.05) == []


def test_rounding_is_no_trend_and_no_step():
    """Losses of batches of another size differ in the seventh place."""
    values = [2.3100001] * 6 + [2.3100003] * 6
    assert trend_p(values) == least_p(values) == 1.0
    assert change_point(values)[1] == 1.0
    assert rises_less_falls(values) == 0
    small = [1e-9 * value for value in (1, 2, 3, 4, 5)]
    assert trend_p(small) == pytest.approx(2 / 120)


@pytest.mark.parametrize(
    ("values", "nearer"),
    [([3, 2, 1, 0], True), ([1, 1, 0, 0], False), ([5, 4, 1, 0], True), ([6, 5, 1, 0], False)],
)
def test_a_line_and_two_levels_in_worked_examples(values, nearer):
    """Of 5 4 1 0 a line leaves 17 - 81/5 = 0.8 of the squares, two levels 1; of 6 5 1 0 they leave 26 - 121/5 = 1.8 and 1."""
    assert is_nearer_a_line(values) is nearer
    assert is_nearer_a_line(values[::-1]) is nearer


@pytest.mark.parametrize("half", [2, 3, 7])
def test_neither_a_line_nor_a_change_in_the_middle_is_favoured(half):
    """Both leave (n^2 / 4 - 1) / (n^2 - 1) of the other's squares: what is made of equal squares of both is on the edge."""
    times = [place - half + 0.5 for place in range(2 * half)]
    size = math.sqrt(math.fsum(time * time for time in times))
    level = 1 / math.sqrt(2 * half)
    for part, nearer in ((0.501, True), (0.499, False)):
        mixed = [part * time / size + (1 - part) * math.copysign(level, time) for time in times]
        assert is_nearer_a_line(mixed) is nearer


def test_a_long_series_with_ties_follows_the_normal_law():
    """30 low ones, then 30 high ones: all 900 pairs between them rise."""
    variance = (60 * 59 * 125 - 2 * 30 * 29 * 65) / 18
    assert trend_p([0] * 30 + [1] * 30) == pytest.approx(math.erfc(900 / math.sqrt(variance) / math.sqrt(2)))


def test_a_series_without_a_change_has_none():
    assert change_point([0.5] * 8) == (1, 1.0)


def test_the_first_of_equal_places_is_named():
    """1 2 2 1 differs as much before its first as before its last value, as every order of them does or more."""
    assert change_point([1, 2, 2, 1]) == (1, 1.0)


def test_a_change_may_come_at_once():
    """The first value is above all four others; so does it at the end, in 2 of 5 orders."""
    place, p_value = change_point([5, 1, 1, 1, 1])
    assert place == 1
    assert p_value == pytest.approx(2 / 5, abs=0.02)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=9))
def test_the_place_is_that_of_pettitts_statistic(values):
    """The sum of signs between all earlier and all later values, as in the paper."""
    sums = [
        abs(sum((before > after) - (before < after) for before in values[:t] for after in values[t:]))
        for t in range(1, len(values))
    ]
    assert change_point(values)[0] == (1 + sums.index(max(sums)) if max(sums) else 1)


def scores(random_):
    """Twelve means without ties."""
    return [random_.gauss(0.8, 0.03) for _ in range(12)]


def pass_rates(random_):
    """Eight pass rates of 20 cases, many of them equal."""
    return [sum(random_.random() < 0.95 for _ in range(20)) / 20 for _ in range(8)]


@pytest.mark.simulation
@pytest.mark.parametrize("drawn", [scores, pass_rates])
@pytest.mark.parametrize("test", [trend_p, lambda values: change_point(values)[1]])
def test_steady_series_are_called_drifting_in_at_most_five_percent(test, drawn):
    random_ = random.Random(7)
    runs = 400
    found = sum(test(drawn(random_)) <= 0.05 for _ in range(runs))
    assert found / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
