"""Losses that gather in a part: exact where cases are independent, by permutation where they are clustered."""

import sys
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import hypergeom

from harness.statistics import gathering
from harness.statistics.gathering import Extent, gathering_p


def test_a_worked_example_of_independent_cases():
    """3 of 10 cases are marked, all in a part of 3: one of 120 choices."""
    marked = [True] * 3 + [False] * 7
    (p_value,) = gathering_p(marked, range(10), [[0, 1, 2]])
    assert p_value == pytest.approx(1 / 120)


def test_no_p_value_is_nothing():
    """600 marked cases of 2000, all in one part of 600, are one of 1e529 choices."""
    marked = [True] * 600 + [False] * 1400
    assert 0 < gathering_p(marked, range(2000), [range(600)])[0] < 1e-300


def test_a_worked_example_of_several_parts():
    """3 of 10 cases are marked, all in the first part of 3 (1/120), two in another of 3 (22/120).

    Of p-values up to 1/120 each part of 3 has one of 1/120, a part of 2 none (its least is 3/45), nor one of 9 (its least
    is 84/120). Of those up to 22/120 each part of 3 has that one, and the part of 2 its least.
    """
    marked = [True] * 3 + [False] * 7
    parts = [[0, 1, 2], [1, 2, 3], [0, 4], range(1, 10)]
    found = gathering_p(marked, range(10), parts)
    assert found[0] == pytest.approx(2 / 120)
    assert found[1] == pytest.approx(2 * 22 / 120 + 3 / 45)
    assert found[3] == 1
    left_out = [Extent(cases=3, clusters=3), Extent(cases=2, clusters=2), Extent(cases=4, clusters=4)]
    # One of 4 has all three in 4 of 120 choices, which is more.
    assert gathering_p(marked, range(10), parts, left_out)[0] == pytest.approx(3 / 120)


def test_parts_that_were_left_out_count_in_clusters_too():
    """As many clusters as could be dealt so rarely; one cluster of twelve never is."""
    marked = [True] * 6 + [False] * 18
    clusters = [place // 2 for place in range(24)]
    (alone,), (among,), (of_one,) = (
        gathering_p(marked, clusters, [range(6)], [Extent(cases=8, clusters=of)] * 3)
        if of
        else gathering_p(marked, clusters, [range(6)])
        for of in (0, 4, 1)
    )
    assert alone == pytest.approx(1 / 220, abs=0.003)
    assert among == pytest.approx(4 * alone)
    assert of_one == alone


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


@pytest.mark.parametrize(("inside", "size", "marked", "n"), [(3, 5, 4, 12), (1, 2, 6, 9), (0, 3, 2, 10)])
def test_independent_cases_are_fishers_exact_test(inside, size, marked, n):
    """The same as scipy's hypergeometric tail."""
    cases = [True] * inside + [False] * (size - inside) + [True] * (marked - inside)
    cases += [False] * (n - len(cases))
    expected = hypergeom.sf(inside - 1, n, marked, size)
    assert gathering_p(cases, range(n), [range(size)]) == pytest.approx([expected])


def test_several_parts_of_unequal_clusters_equal_enumeration():
    """Six clusters of one to three cases, three parts that overlap, all 720 deals.

    A part's count is standardised by its mean and spread over the deals, and compared with each deal's largest.
    """
    marked = [True, False, True, True, False, True, False, False, True, False, False]
    clusters = ["a", "a", "b", "c", "c", "c", "d", "e", "e", "f", "f"]
    parts = [[0, 2, 3], [2, 3, 4, 5], [7, 8, 9]]
    names = sorted(set(clusters))
    shares = [np.mean([m for m, of in zip(marked, clusters, strict=True) if of == name]) for name in names]
    inside = np.array([[sum(clusters[case] == name for case in part) for part in parts] for name in names])
    sums = np.array([np.array(deal) @ inside for deal in permutations(shares)])
    scores = (sums - sums.mean(axis=0)) / sums.std(axis=0)
    observed = (np.array(shares) @ inside - sums.mean(axis=0)) / sums.std(axis=0)
    expected = [float((scores.max(axis=1) >= each - 1e-9).mean()) for each in observed]
    assert gathering_p(marked, clusters, parts) == pytest.approx(expected, abs=0.02)
    assert len(set(expected)) == 3


def test_the_same_runs_give_the_same_figures():
    """The deals are drawn with a fixed seed."""
    marked, clusters = [True, False] * 6 + [True, True], [place // 2 for place in range(14)]
    first, second = (gathering_p(marked, clusters, [[0, 1, 12], [12, 13]]) for _ in range(2))
    assert first == second
    assert gathering_p(marked, clusters, []) == []


def test_a_part_of_everything_stands_out_nowhere():
    assert gathering_p([True, False, False, True], [0, 0, 1, 1], [range(4)]) == [1.0]


def test_many_cases_take_the_same_probabilities_in_no_time(monkeypatch):
    """A tenth of 1200 cases is lost, and more of them in two parts; of 100 000 too."""
    marked = [place % 10 == 0 for place in range(1200)]
    parts = [range(300), [*range(0, 600, 10), *range(601, 1000)], range(1, 1200, 10)]
    fast = gathering_p(marked, range(1200), parts)
    monkeypatch.setattr(gathering, "_EXACT_UP_TO", 1200)
    assert fast == pytest.approx(gathering_p(marked, range(1200), parts), rel=1e-9)
    many = [place % 10 == 0 for place in range(100_000)]
    few, none = gathering_p(many, range(100_000), [range(0, 100_000, 5), range(50_000)])
    assert few < 1e-300
    assert none > 0.4


@pytest.mark.parametrize("inside", [0, 1, 40, 100])
def test_the_tail_of_many_cases_is_scipys_own(monkeypatch, inside):
    """To the last bit, and also where this version of scipy has no such function of its own."""
    expected = float(hypergeom.sf(inside - 1, 2000, 300, 100))
    assert gathering._tails(inside, 100, 300, 2000) == expected
    monkeypatch.setitem(sys.modules, "scipy.special._ufuncs", None)
    assert gathering._tails(inside, 100, 300, 2000) == expected


def test_a_part_that_must_have_so_many_lost_cases_stands_out_nowhere():
    assert gathering._tails(99, 100, 1999, 2000) == 1.0
