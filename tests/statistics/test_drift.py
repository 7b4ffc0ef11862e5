"""A drift is found, a steady series is left alone at the stated rate."""

import random

import pytest

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


@pytest.mark.simulation
@pytest.mark.parametrize("test", [trend_p, lambda values: change_point(values)[1]])
def test_steady_series_are_called_drifting_in_at_most_five_percent(test):
    random_ = random.Random(7)
    runs = 1000
    found = sum(test([random_.gauss(0.8, 0.03) for _ in range(12)]) <= 0.05 for _ in range(runs))
    assert found / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
