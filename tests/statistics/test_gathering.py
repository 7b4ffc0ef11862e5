"""Losses that gather in a part: beyond what is as frequent elsewhere, and beyond what varies most anyway."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from harness.statistics import gathering
from harness.statistics.gathering import (
    Extent,
    _chosen,
    _corrected,
    _drop_p,
    _independent,
    _moves_of,
    gathering_p,
)


def drop_p(drops, clusters, part):
    """The test of one part's drop, without a correction."""
    return _drop_p(_moves_of(np.array(drops, dtype=float), np.array(clusters)), np.array(part))


def chosen_p(lost, clusters, parts, others=()):
    """Fisher's tests of one case of each cluster."""
    return _chosen(np.array(lost), np.array(clusters), [np.array(part) for part in parts], others)


def test_three_lost_cases_may_be_what_varies_most():
    """All three lost cases of ten are in a part of three: one of 120 choices, but three flips are one way in 1 of 8."""
    marked = [True] * 3 + [False] * 7
    assert _independent(marked, [[0, 1, 2]], ()) == pytest.approx([1 / 120])
    assert gathering_p([1.0] * 3 + [0.0] * 7, range(10), [[0, 1, 2]]) == [0.125]


def test_a_worked_example_of_a_drop():
    """Of 20 cases in the part 8 are lost and 2 gained, of 20 others 2 and 2.

    The mean drop is 0.15, so the squares inside are 8 x 0.7225 + 2 x 1.3225 + 10 x 0.0225 = 8.65, those outside 4.45,
    which is less than what 20 of all 40 cases have on average: 13.1 / 2 = 6.55. One more case moves by 1.15, as the
    furthest. The variance is (8.65 + 6.55 + 1.3225) / 20^2.
    """
    drops = [1.0] * 8 + [-1.0] * 2 + [0.0] * 10 + [1.0] * 2 + [-1.0] * 2 + [0.0] * 16
    score = math.erfc(0.3 / math.sqrt(16.5225 / 400) / math.sqrt(2)) / 2
    assert drop_p(drops, range(40), range(20)) == (pytest.approx(score), 10)
    assert score == pytest.approx(0.0700, abs=1e-4)
    # The sign test of 8 and 2 is just below: 56 of 1024.
    assert score > 56 / 1024


@pytest.mark.parametrize("size", [1, 3])
def test_the_drop_is_that_of_its_definition_over_all_clusters(size):
    """Sums over every cluster, with a part or without; parts of few clusters, of most and of all but one case."""
    random = np.random.default_rng(5)
    drops = random.choice([-1.0, 0.0, 0.0, 1.0, 1.0], 60)
    rows = np.arange(60) // size
    off = drops - drops.mean()
    for part in (range(9), range(40), [*range(58)], [*range(0, 60, 7)], random.permutation(60)[:30]):
        belongs = np.isin(np.arange(60), part)
        inside, outside = belongs.sum(), (~belongs).sum()
        own, rest = (np.bincount(rows, weights=off * side) for side in (belongs, ~belongs))
        shares, usual = own / inside - rest / outside, (off**2).mean()
        lacking = max(usual / inside - ((own / inside) ** 2).sum(), 0.0)
        lacking += max(usual / outside - ((rest / outside) ** 2).sum(), 0.0)
        error = math.sqrt((shares**2).sum() + (shares**2).max() + lacking)
        score = math.erfc((drops[belongs].mean() - drops[~belongs].mean()) / error / math.sqrt(2)) / 2
        votes = np.bincount(rows[belongs], weights=drops[belongs])
        lost, flipped = (votes > 0).sum(), (votes != 0).sum()
        signs = binom.sf(lost - 1, flipped, 0.5)
        expected = max(score, signs) if 2 * lost > flipped else 1.0
        assert drop_p(drops, rows, part) == (pytest.approx(expected, rel=1e-9), flipped)


def test_a_part_that_gained_as_much_lost_nothing():
    drops = [1.0, -1.0] * 10 + [0.0] * 80
    assert drop_p(drops, range(100), range(20)) == (1.0, 20)
    assert gathering_p(drops, range(100), [range(20)]) == [1.0]


def test_a_cluster_is_one_vote():
    """Five clusters of four are lost whole, and one of two other cases each way."""
    drops = [1.0] * 20 + [1.0, -1.0] + [0.0] * 40
    clusters = [place // 4 for place in range(20)] + [5, 5] + [6 + place // 4 for place in range(40)]
    p_value, flipped = drop_p(drops, clusters, range(22))
    assert (p_value, flipped) == (0.5**5, 5)


def test_so_few_flips_can_not_be_what_is_corrected_for():
    """A test that could not have been as small is none of those that might have been."""
    assert _corrected([0.01, 0.2], [0.001, 0.125], [0.005, 0.25]) == [0.02, pytest.approx(0.6)]
    assert _corrected([0.5], [0.5], [0.5] * 9) == [1.0]


def test_no_p_value_is_nothing():
    """600 lost cases of 2000, all in one part of 600, are one of 1e529 choices."""
    drops = [1.0] * 600 + [0.0] * 1400
    assert 0 < gathering_p(drops, range(2000), [range(600)])[0] < 1e-150
    many = [1.0] * 6000 + [0.0] * 14000
    assert 0 < gathering_p(many, range(20000), [range(6000)])[0] < 1e-300


def test_a_worked_example_of_several_parts():
    """3 of 10 cases are marked, all in the first part of 3 (1/120), two in another of 3 (22/120).

    Of p-values up to 1/120 each part of 3 has one of 1/120, a part of 2 none (its least is 3/45), nor one of 9 (its least
    is 84/120). Of those up to 22/120 each part of 3 has that one, and the part of 2 its least.
    """
    marked = [True] * 3 + [False] * 7
    parts = [[0, 1, 2], [1, 2, 3], [0, 4], range(1, 10)]
    found = _independent(marked, parts, ())
    assert found[0] == pytest.approx(2 / 120)
    assert found[1] == pytest.approx(2 * 22 / 120 + 3 / 45)
    assert found[3] == 1
    left_out = [Extent(cases=n, clusters=n, flipped=0) for n in (3, 2, 4)]
    # One of 4 has all three in 4 of 120 choices, which is more.
    assert _independent(marked, parts, left_out)[0] == pytest.approx(3 / 120)


def test_a_worked_example_of_clusters():
    """Two of six clusters of two are marked whole and make up the part: one of 15 choices of two clusters, twice."""
    marked = [True] * 4 + [False] * 8
    assert chosen_p(marked, [place // 2 for place in range(12)], [range(4)]) == pytest.approx([2 / 15])


def test_a_tag_of_one_case_in_each_cluster_can_be_the_driver():
    """Its case is lost in each of 20 clusters of four."""
    drops = [1.0, 0.0, 0.0, 0.0] * 20
    clusters = [place // 4 for place in range(80)]
    assert gathering_p(drops, clusters, [range(0, 80, 4)])[0] < 0.001


def test_it_equals_enumeration(monkeypatch):
    """Five clusters of two, from which one case each is taken in all 32 ways."""
    monkeypatch.setattr(gathering, "_CHOICES", 4000)
    marked = [True, True, True, False, False, False, False, False, True, False]
    part = [0, 2, 3, 8]
    tails = []
    for each in product(range(2), repeat=5):
        cases = [2 * cluster + place for cluster, place in enumerate(each)]
        size, total = sum(case in part for case in cases), sum(marked[case] for case in cases)
        seen = sum(case in part and marked[case] for case in cases)
        tails.append(hypergeom.sf(seen - 1, 5, total, size))
    found = chosen_p(marked, [place // 2 for place in range(10)], [part])
    low, high = 2 * np.quantile(tails, [0.45, 0.55])
    assert low <= found[0] <= high < 1


def test_parts_that_were_left_out_count_in_clusters_too():
    """As many clusters as could be lost so rarely; one cluster of twelve never is."""
    marked = [True] * 6 + [False] * 18
    clusters = [place // 2 for place in range(24)]
    (alone,), (among,), (of_one,) = (
        chosen_p(marked, clusters, [range(6)], [Extent(cases=8, clusters=of, flipped=of)] * 3 if of else [])
        for of in (0, 4, 1)
    )
    assert alone == pytest.approx(2 / 220)
    assert among == pytest.approx(4 * alone)
    assert of_one == alone


@pytest.mark.parametrize(("inside", "size", "marked", "n"), [(3, 5, 4, 12), (1, 2, 6, 9), (0, 3, 2, 10)])
def test_independent_cases_are_fishers_exact_test(inside, size, marked, n):
    """The same as scipy's hypergeometric tail."""
    cases = [True] * inside + [False] * (size - inside) + [True] * (marked - inside)
    cases += [False] * (n - len(cases))
    expected = hypergeom.sf(inside - 1, n, marked, size)
    assert _independent(cases, [range(size)], ()) == pytest.approx([expected])


def test_the_same_runs_give_the_same_figures():
    """The choices are drawn with a fixed seed."""
    drops = [1.0, 0.0] * 30 + [1.0, 1.0]
    clusters = [place // 2 for place in range(62)]
    first, second = (gathering_p(drops, clusters, [range(0, 40, 2), [12, 13]]) for _ in range(2))
    assert first == second
    assert gathering_p(drops, clusters, []) == []


def test_a_part_of_everything_stands_out_nowhere():
    assert gathering_p([1.0, 0.0, 0.0, 1.0], [0, 0, 1, 1], [range(4)]) == [1.0]


def test_many_cases_take_the_same_probabilities_in_no_time(monkeypatch):
    """A tenth of 1200 cases is lost, and more of them in two parts; of 100 000 too."""
    marked = [place % 10 == 0 for place in range(1200)]
    parts = [range(300), [*range(0, 600, 10), *range(601, 1000)], range(1, 1200, 10)]
    fast = _independent(marked, parts, ())
    monkeypatch.setattr(gathering, "_EXACT_UP_TO", 1200)
    assert fast == pytest.approx(_independent(marked, parts, ()), rel=1e-9)
    many = [float(place % 10 == 0) for place in range(100_000)]
    few, none = gathering_p(many, range(100_000), [range(0, 100_000, 5), range(50_000)])
    assert few < 1e-300
    assert none > 0.4


@pytest.mark.parametrize(
    ("size", "marked", "n"), [(100, 300, 2000), (1500, 700, 2000), (3, 5, 12), (0, 4, 9), (9, 9, 9)]
)
def test_tails_are_scipys_own(size, marked, n):
    """Of each number of marked cases that a part can have, down to the rarest."""
    expected = hypergeom.sf(np.arange(min(size, marked) + 1) - 1, n, marked, size)
    assert gathering._tails(size, marked, n) == pytest.approx(expected, rel=1e-10, abs=1e-300)


def test_a_part_that_must_have_so_many_lost_cases_stands_out_nowhere():
    assert gathering._tails(100, 1999, 2000)[99] == 1.0
