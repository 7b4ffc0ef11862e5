"""A drift is found, a steady series is left alone at the stated rate."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from harness.statistics.drift import change_point, trend_p


def test_the_exact_p_value_of_a_worked_example():
    """Of the 5! orders of five values two are monotone."""
    assert trend_p([1, 2, 3, 4, 5]) == pytest.approx(2 / 120)
    assert trend_p([0.5] * 6) == 1.0


def test_a_step_is_found_where_it_is():
    place, p_value = change_point([0.9, 0.91, 0.89, 0.9, 0.92, 0.9, 0.7, 0.71, 0.69, 0.7, 0.72, 0.7])
    assert place == 6
    assert p_value < 0.05


def test_pettitts_p_value_of_a_worked_example():
    """Twelve values, split in halves that don't overlap: K = 36, 2 exp(-6 * 36^2 / (12^3 + 12^2))."""
    place, p_value = change_point([*range(6), *range(10, 16)])
    assert place == 6
    assert p_value == pytest.approx(2 * 2.718281828 ** (-6 * 1296 / 1872), rel=1e-6)


def test_two_values_have_a_trend():
    """Three low ones, then three high ones: 9 pairs rise, with a variance of (6 x 5 x 17 - 2 x 3 x 2 x 11) / 18 = 21."""
    expected = math.erfc(9 / math.sqrt(21) / math.sqrt(2))
    assert trend_p([0, 0, 0, 1, 1, 1]) == pytest.approx(expected)


def test_a_series_without_a_change_has_none():
    assert change_point([0.5] * 8) == (1, 1.0)


def test_the_first_of_equal_places_is_named():
    """1 2 2 1 differs as much before its first as before its last value: K = 2."""
    assert change_point([1, 2, 2, 1]) == (1, min(1.0, 2 * math.exp(-6 * 4 / (64 + 16))))


def test_a_change_may_come_at_once():
    """The first value lies above all four others: K = 4, which five values may show at any time."""
    assert change_point([5, 1, 1, 1, 1]) == (1, 1.0)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=9))
def test_pettitts_statistic_is_that_of_ranks(values):
    """Twice the sum of the first ranks less t (n + 1), as in the paper; equal values share their ranks."""
    n, ranks = len(values), rankdata(values)
    sums = [abs(2 * math.fsum(ranks[:t]) - t * (n + 1)) for t in range(1, n)]
    place, p_value = change_point(values)
    assert p_value == pytest.approx(min(1.0, 2 * math.exp(-6 * max(sums) ** 2 / (n**3 + n**2))))
    if max(sums) > 0:
        assert place == 1 + sums.index(max(sums))


@pytest.mark.simulation
@pytest.mark.parametrize("test", [trend_p, lambda values: change_point(values)[1]])
def test_steady_series_are_called_drifting_in_at_most_five_percent(test):
    random_ = random.Random(7)
    runs = 1000
    found = sum(test([random_.gauss(0.8, 0.03) for _ in range(12)]) <= 0.05 for _ in range(runs))
    assert found / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
