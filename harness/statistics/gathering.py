"""Tests whether losses gather in a part of a set beyond chance, for independent cases and for clusters.

Two kinds of chance can do it. Where cases are lost one as likely as any other, a part may have more of them:
Fisher's exact test. And where a part's answers vary more than others', it has most of what flips, though as
much is gained as lost and nothing changed: the drops themselves are tested. A part has to pass both.
"""

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.statistics.paired_binary import Trials, above_zero, case_p, mcnemar_p

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

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
    import numpy as np

    off = drops - drops.mean()
    sums = np.bincount(rows, weights=off).astype(float)
    found, least = [], []
    for part in parts:
        p_value, flipped = _drop_p(drops, off, sums, rows, part)
        found.append(p_value)
        least.append(0.5**flipped)
    left_out = [0.5**other.flipped for other in others if other.cases < len(drops)]
    return _corrected(found, least, left_out)


def _drop_p(
    drops: "NDArray[np.float64]",
    off: "NDArray[np.float64]",
    sums: "NDArray[np.float64]",
    rows: "NDArray[np.intp]",
    part: "NDArray[np.intp]",
) -> tuple[float, int]:
    """The p-value of "the drop in a part is no larger than elsewhere", and how many of its clusters flipped.

    The difference of both mean drops is a sum over clusters, and the sum of their squares its variance, with
    each drop taken from the mean of all: a robust score test, for which no part needs to vary as the others.
    One more cluster is added that moved as far as the furthest: a skewed sample with a large sum has a small
    spread. And a side that happens to have lost nothing shows too small a one, so it counts at least as the
    cases of the whole set would, one by one. Few flips are far from normal: p is at least that of the sign
    test of the part's own clusters, which holds exactly where nothing changed.

    Args:
        drops: Each case's drop.
        off: The same less their mean.
        sums: Their sums by cluster.
        rows: Each case's cluster, as a number.
        part: The part's cases.

    Returns:
        The p-value, and the number.
    """
    import numpy as np

    inside, outside = len(part), len(drops) - len(part)
    votes = np.bincount(rows[part], weights=drops[part])
    lost, gained = int((votes > _BY_CHANCE).sum()), int((votes < -_BY_CHANCE).sum())
    if not outside:
        return 1.0, 0
    if lost <= gained:
        return 1.0, lost + gained
    own = np.bincount(rows[part], weights=off[part], minlength=len(sums))
    rest = sums - own
    difference = off[part].sum() / inside - rest.sum() / outside
    shares = own / inside - rest / outside
    usual = float((off**2).mean())
    lacking = max(usual / inside - float(((own / inside) ** 2).sum()), 0.0)
    lacking += max(usual / outside - float(((rest / outside) ** 2).sum()), 0.0)
    error = math.sqrt(float((shares**2).sum() + (shares**2).max()) + lacking)
    score = math.erfc(float(difference) / error / math.sqrt(2)) / 2 if error > 0 else 1.0
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
    number = max(_NUMBERS // (len(sizes) * max(len(parts), 1)), 5)
    random = np.random.default_rng(0)
    places = random.random((min(number, _CHOICES), len(sizes))) * sizes
    chosen = order[starts + places.astype(np.intp)]  # (choices, clusters)
    marked = lost[chosen]
    total = marked.sum(axis=1)
    p_values, least = [], []
    for part in parts:
        belongs = np.zeros(len(lost), dtype=bool)
        belongs[part] = True
        of_part = belongs[chosen]
        size, seen = of_part.sum(axis=1), (of_part & marked).sum(axis=1)
        p_values.append(2 * float(np.median(_tails(seen, size, total, len(sizes)))))
        least.append(2 * float(np.median(_tails(np.minimum(size, total), size, total, len(sizes)))))
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
    alone = [_fisher(sum(marked[i] for i in part), len(part), total, n) for part in parts]
    found, last = {}, 0.0
    for p in sorted(set(alone)):
        # The sums only grow: what comes after an unclear one needs no more than a bound.
        last = min(max(last, p, _chances(p, sizes, total, n) if last < _UNCLEAR else p * sizes.total()), 1.0)
        found[p] = last
    return [found[p] for p in alone]


def _chances(p_value: float, sizes: Counter[int], marked: int, n: int) -> float:
    """The sum over all parts of the probability of at most this p-value.

    Args:
        p_value: The p-value.
        sizes: How many parts there are of each size.
        marked: Marked cases.
        n: All cases.
    """
    import numpy as np

    of_size, number = (np.array(each, dtype=np.int64) for each in (list(sizes), list(sizes.values())))
    # The smallest number of marked cases whose tail is not above it, by bisection.
    most = np.minimum(of_size, marked)
    low, high = np.zeros_like(most), most + 1
    while (low < high).any():
        middle = (low + high) // 2
        within = _tails(middle, of_size, marked, n) <= p_value * _NEARLY
        low, high = np.where(within | (low >= high), low, middle + 1), np.where(within, middle, high)
    return math.fsum(np.where(low <= most, _tails(low, of_size, marked, n), 0.0) * number)


def _fisher(inside: int, size: int, marked: int, n: int) -> float:
    """Probability that at least this many marked cases are in a part of this size."""
    if n > _EXACT_UP_TO:
        return float(_tails(inside, size, marked, n))
    rest = n - size
    return case_p(Trials(rest - (marked - inside), rest, size - inside, size))


def _tails(inside: "ArrayLike", size: "ArrayLike", marked: "ArrayLike", n: int) -> "NDArray[np.float64]":
    """The same in floating point: scipy's ``hypergeom.sf``, whose module takes a second to import."""
    import numpy as np

    inside, size, marked = np.asarray(inside), np.asarray(size), np.asarray(marked)
    try:
        from scipy.special._ufuncs import _hypergeom_sf  # not public
    except ImportError:
        from scipy.stats import hypergeom

        tails = hypergeom.sf(inside - 1, n, marked, size)
    else:
        tails = _hypergeom_sf(inside - 1.0, marked, size, n)
    # No fewer than that are possible.
    certain = inside <= np.maximum(0, size + marked - n)
    return np.where(certain, 1.0, np.clip(np.nan_to_num(tails, nan=0.0), 0.0, 1.0))
