"""Tests whether losses gather in a part of a set beyond chance, for independent cases and for clusters.

Two kinds of chance can do it. Where cases are lost one as likely as any other, a part may have more of them:
Fisher's exact test. And where a part's answers vary more than others', it has most of what flips, though as
much is gained as lost and nothing changed: the drops themselves are tested. A part has to pass both.
"""

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import median
from typing import TYPE_CHECKING

from harness.statistics.paired_binary import Trials, above_zero, case_p, mcnemar_p

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Above so many cases the exact fractions take longer than all else.
_EXACT_UP_TO = 1000
_UNCLEAR = 0.1
_NEARLY = 1 + 1e-9  # of one p-value computed in two ways
_BY_CHANCE = 1e-9  # of a drop: smaller ones are rounding
# Choices of one case of each cluster, as far as they don't take more numbers than this.
_CHOICES, _NUMBERS = 50, 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far a part reaches.

    Attributes:
        cases: Number of its cases.
        clusters: Number of clusters with such a case, or a larger number.
        flipped: Number of clusters with such a case that was lost or gained, or a larger number.
    """

    cases: int
    clusters: int
    flipped: int


def gathering_p(
    drops: Sequence[float],
    clusters: Sequence[str | int],
    parts: Sequence[Sequence[int]],
    others: Sequence[Extent] = (),
) -> list[float]:
    """For each part the p-value of "it lost no more than the rest", corrected over all parts.

    It is the larger one of two, so that it holds under either hypothesis. That lost cases are as frequent as
    elsewhere: Fisher's exact test; of clusters that of one case each, by random choices, which holds for
    clusters of any sizes and however alike their cases are (Hoffman, E. B., Sen, P. K. and Weinberg, C. R.
    (2001). Within-cluster resampling. Biometrika 88; twice the median of p-values is one: Meinshausen, N.,
    Meier, L. and Bühlmann, P. (2009). P-values for high-dimensional regression. JASA 104). And that the drop
    is as large as elsewhere, however much each part's answers vary: see :func:`_drop_p`. The seed is fixed.

    Args:
        drops: One value per case, above 0 where it was lost, below where it was gained.
        clusters: Each case's cluster; a name of its own for a case without one.
        parts: The indices of each part's cases.
        others: Parts that were left out because too few of their cases were lost. Which these are is chance,
            so the correction is over them, too.

    Returns:
        One p-value per part, in order.
    """
    import numpy as np

    if not parts:
        return []
    numbers = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    rows, moved = np.array([numbers[name] for name in clusters]), np.array(drops, dtype=float)
    places = [np.asarray(part if isinstance(part, array) else list(part), dtype=np.intp) for part in parts]
    lost = moved > _BY_CHANCE
    alone = len(numbers) == len(moved)
    frequent = _independent(lost.tolist(), parts, others) if alone else _chosen(lost, rows, places, others)
    fallen = _fallen(moved, rows, places, others)
    return [above_zero(max(pair)) for pair in zip(frequent, fallen, strict=True)]


def _fallen(
    drops: "NDArray[np.float64]",
    rows: "NDArray[np.intp]",
    parts: "Sequence[NDArray[np.intp]]",
    others: Sequence[Extent],
) -> list[float]:
    moved = _moves_of(drops, rows)
    found, least = [], []
    for part in parts:
        p_value, flipped = _drop_p(moved, part)
        found.append(p_value)
        least.append(0.5**flipped)
    left_out = [0.5**other.flipped for other in others if other.cases < len(drops)]
    return _corrected(found, least, left_out)


@dataclass(frozen=True, slots=True)
class _Moves:
    """How all cases moved.

    Attributes:
        drops: Each case's drop.
        rows: Each case's cluster, as a number.
        off: The drops less their mean.
        sums: Their sums by cluster.
        squares: Those squared.
        usual: The mean of the squares of ``off``.
    """

    drops: "NDArray[np.float64]"
    rows: "NDArray[np.intp]"
    off: "NDArray[np.float64]"
    sums: "NDArray[np.float64]"
    squares: "NDArray[np.float64]"
    usual: float


def _moves_of(drops: "NDArray[np.float64]", rows: "NDArray[np.intp]") -> _Moves:
    import numpy as np

    off = drops - drops.mean()
    sums = np.bincount(rows, weights=off).astype(float)
    return _Moves(drops, rows, off, sums, sums**2, float((off**2).mean()))


def _drop_p(moved: _Moves, part: "NDArray[np.intp]") -> tuple[float, int]:
    """The p-value of "the drop in a part is no larger than elsewhere", and how many of its clusters flipped.

    The difference of both mean drops is a sum over clusters, and the sum of their squares its variance, with
    each drop taken from the mean of all: a robust score test, for which no part needs to vary as the others.
    One more cluster is added that moved as far as the furthest: a skewed sample with a large sum has a small
    spread. And a side that happens to have lost nothing shows too small a one, so it counts at least as the
    cases of the whole set would, one by one. Few flips are far from normal: p is at least that of the sign
    test of the part's own clusters, which holds exactly where nothing changed.

    Args:
        moved: All cases.
        part: The part's cases.

    Returns:
        The p-value, and the number.
    """
    import numpy as np

    inside, outside = len(part), len(moved.drops) - len(part)
    clusters, places = np.unique(moved.rows[part], return_inverse=True)
    votes = np.bincount(places, weights=moved.drops[part])
    lost, gained = int((votes > _BY_CHANCE).sum()), int((votes < -_BY_CHANCE).sum())
    if not outside:
        return 1.0, 0
    if lost <= gained:
        return 1.0, lost + gained
    own = np.bincount(places, weights=moved.off[part]).astype(float)
    rest = moved.sums[clusters] - own
    # Clusters without a case of the part are outside as a whole, and are most of all.
    elsewhere = np.delete(moved.squares, clusters) / outside**2
    total = float(own.sum())
    difference = total / inside - (float(moved.sums.sum()) - total) / outside
    own, rest = own / inside, rest / outside
    shares = (own - rest) ** 2
    lacking = max(moved.usual / inside - float((own**2).sum()), 0.0)
    lacking += max(moved.usual / outside - float((rest**2).sum() + elsewhere.sum()), 0.0)
    furthest = max(float(shares.max()), float(elsewhere.max(initial=0.0)))
    error = math.sqrt(float(shares.sum() + elsewhere.sum()) + furthest + lacking)
    score = math.erfc(difference / error / math.sqrt(2)) / 2 if error > 0 else 1.0
    return max(score, mcnemar_p(lost, gained, mid=False)), lost + gained


def _corrected(p_values: Sequence[float], least: Sequence[float], others: Sequence[float]) -> list[float]:
    """P-values times the number of tests that could have had so small a one.

    Tarone, R. E. (1990). A modified Bonferroni method for discrete data. Biometrics 46.

    Args:
        p_values: The p-values.
        least: The smallest that each could have had.
        others: The same of tests that were not made.
    """
    import numpy as np

    able = np.sort(np.array([*least, *others]))
    return [min(1.0, p * max(int(np.searchsorted(able, p * _NEARLY, side="right")), 1)) for p in p_values]


def _chosen(
    lost: "NDArray[np.bool_]",
    rows: "NDArray[np.intp]",
    parts: "Sequence[NDArray[np.intp]]",
    others: Sequence[Extent],
) -> list[float]:
    """Fisher's tests of one case of each cluster, twice their median over random choices."""
    import numpy as np

    sizes = np.bincount(rows)
    order, starts = np.argsort(rows, kind="stable"), np.cumsum(sizes) - sizes
    choices = min(max(_NUMBERS // (len(sizes) * max(len(parts), 1)), 5), _CHOICES)
    places = np.random.default_rng(0).random((choices, len(sizes))) * sizes
    chosen = order[starts + places.astype(np.intp)]  # (choices, clusters)
    marked = lost[chosen]
    total = marked.sum(axis=1).tolist()
    tails = lru_cache(maxsize=1024)(partial(_tails, n=len(sizes)))
    p_values, least = [], []
    for part in parts:
        belongs = np.zeros(len(lost), dtype=bool)
        belongs[part] = True
        of_part = belongs[chosen]
        size, seen = of_part.sum(axis=1).tolist(), (of_part & marked).sum(axis=1).tolist()
        of_choices = [tails(each, lost_in) for each, lost_in in zip(size, total, strict=True)]
        of_seen = [float(each[number]) for each, number in zip(of_choices, seen, strict=True)]
        p_values.append(2 * median(of_seen))
        least.append(2 * median(float(each[-1]) for each in of_choices))
    # Of a part that was left out it is unknown how often it is chosen: as is the most telling.
    most = [1 / math.comb(len(sizes), min(other.clusters, len(sizes) // 2)) for other in others]
    return _corrected(p_values, least, most)


def _independent(
    marked: Sequence[bool], parts: Sequence[Sequence[int]], others: Sequence[Extent]
) -> list[float]:
    """Fisher's tests of independent cases.

    The corrected p-value is the sum, over all parts, of the probability of such a p-value, which is 0 for a
    part too small to have one: Westfall, P. H. and Wolfinger, R. D. (1997). Multiple tests with discrete
    distributions. The American Statistician 51(1).
    """
    total, n = sum(marked), len(marked)
    sizes = Counter([*map(len, parts), *(other.cases for other in others)])
    tails = {size: _tails(size, total, n) for size in sizes}
    alone = [
        _fisher(sum(marked[i] for i in part), len(part), total, n)
        if n <= _EXACT_UP_TO
        else float(tails[len(part)][sum(marked[i] for i in part)])
        for part in parts
    ]
    found, last = {}, 0.0
    for p in sorted(set(alone)):
        # The sums only grow: what comes after an unclear one needs no more than a bound.
        last = min(max(last, p, _chances(p, sizes, tails) if last < _UNCLEAR else p * sizes.total()), 1.0)
        found[p] = last
    return [found[p] for p in alone]


def _chances(p_value: float, sizes: Counter[int], tails: "Mapping[int, NDArray[np.float64]]") -> float:
    """The sum over all parts of the probability of at most this p-value.

    Args:
        p_value: The p-value.
        sizes: How many parts there are of each size.
        tails: The possible p-values of each size, which are their own probabilities.
    """
    import numpy as np

    chances = []
    for size, number in sizes.items():
        within = int(np.searchsorted(-tails[size], -p_value * _NEARLY))
        chances.append(number * float(tails[size][within]) if within < len(tails[size]) else 0.0)
    return math.fsum(chances)


def _fisher(inside: int, size: int, marked: int, n: int) -> float:
    """Probability that at least this many marked cases are in a part of this size."""
    rest = n - size
    return case_p(Trials(rest - (marked - inside), rest, size - inside, size))


def _tails(size: int, marked: int, n: int) -> "NDArray[np.float64]":
    """The same in floating point of 0 marked cases, of 1, and so on to the most that are possible.

    By the quotients of the hypergeometric probabilities that follow each other: scipy's own takes longer for
    one of thousands of cases than this takes for all of them.

    Args:
        size: Cases of the part.
        marked: Marked cases.
        n: All cases.
    """
    import numpy as np

    least, most = max(0, size + marked - n), min(size, marked)
    fewer = np.arange(least, most, dtype=float)
    rises = np.log((size - fewer) * (marked - fewer)) - np.log((fewer + 1) * (n - size - marked + fewer + 1))
    logarithms = np.concatenate([np.zeros(1), np.cumsum(rises)])
    chances = np.exp(logarithms - logarithms.max())
    tails = np.cumsum(chances[::-1])[::-1] / chances.sum()
    # No fewer than that are possible.
    return np.concatenate([np.ones(least + 1), tails[1:]])
