"""Losses that gather in a part: exact where cases are independent, by permutation where they are clustered."""

from itertools import permutations

import numpy as np
import pytest

from harness.statistics.gathering import gathering_p


def test_a_worked_example_of_independent_cases():
    """3 of 10 cases are marked, all in a part of 3: one of 120 choices."""
    marked = [True] * 3 + [False] * 7
    (p_value,) = gathering_p(marked, range(10), [[0, 1, 2]])
    assert p_value == pytest.approx(1 / 120)


def test_a_worked_example_of_clusters():
    """Two of six clusters of two are marked whole and make up the part: one of 15 choices of two clusters."""
    marked = [True] * 4 + [False] * 8
    (p_value,) = gathering_p(marked, [place // 2 for place in range(12)], [range(4)])
    assert p_value == pytest.approx(1 / 15, abs=0.01)


def test_it_equals_enumeration():
    """Shares of 0, 1/2 and 1 over five clusters, dealt out in all 120 ways."""
    marked = [True, True, True, False, False, False, False, False, True, False]
    clusters = [place // 2 for place in range(10)]
    part = [0, 2, 3, 8]
    shares = np.array([1.0, 0.5, 0.0, 0.0, 0.5])
    inside = np.array([1.0, 2.0, 0.0, 0.0, 1.0])
    sums = [float(np.array(order) @ inside) for order in permutations(shares)]
    expected = np.mean([value >= shares @ inside - 1e-9 for value in sums])
    assert gathering_p(marked, clusters, [part])[0] == pytest.approx(expected, abs=0.02)


def test_a_part_of_everything_stands_out_nowhere():
    assert gathering_p([True, False, False, True], [0, 0, 1, 1], [range(4)]) == [1.0]
