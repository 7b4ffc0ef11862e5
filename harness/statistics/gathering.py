"""Tests whether losses gather in a part of a set, for independent cases and for clusters."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.statistics.paired_binary import Trials, above_zero, case_p

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

DRAWS = 4999
# Above so many cases the exact fractions take longer than all else.
_EXACT_UP_TO = 1000
_CELLS = 4_000_000  # numbers in memory at a time
_UNCLEAR = 0.1
_NEARLY = 1 + 1e-9  # of one p-value computed in two ways


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far a part reaches.

    Attributes:
        cases: Number of its cases.
        clusters: Number of clusters with such a case, or a larger number.
    """

    cases: int
    clusters: int


def gathering_p(
    marked: Sequence[bool],
    clusters: Sequence[str | int],
    parts: Sequence[Collection[int]],
    others: Sequence[Extent] = (),
) -> list[float]:
    """For each part the p-value of "marked cases are as frequent as elsewhere", corrected over all parts.

    Independent cases: Fisher's exact test. Its corrected p-value is the sum, over all parts, of the
    probability of such a p-value, which is 0 for a part too small to have one (Westfall, P. H. and Wolfinger,
    R. D. (1997). Multiple tests with discrete distributions. The American Statistician 51(1)). Clusters: the
    shares of marked cases are permuted among the clusters. Each part's standardised count is compared with
    the largest one of any part in each permutation, so that the correction takes overlaps of parts into
    account (Westfall, P. H. and Young, S. S. (1993). Resampling-Based Multiple Testing, algorithm 2.8).
    The seed is fixed.

    Args:
        marked: One value per case.
        clusters: Each case's cluster; a name of its own for a case without one.
        parts: The indices of each part's cases.
        others: Parts that were left out because too few of their cases are marked. Which these are is
            chance, so the correction is over them, too.

    Returns:
        One p-value per part, in order.
    """
    if len(set(clusters)) == len(clusters):
        return _independent(marked, parts, others)
    return _dealt(marked, clusters, parts, others)


def _independent(
    marked: Sequence[bool], parts: Sequence[Collection[int]], others: Sequence[Extent]
) -> list[float]:
    total, n = sum(marked), len(marked)
    sizes = Counter([*map(len, parts), *(other.cases for other in others)])
    alone = [_fisher(sum(marked[i] for i in part), len(part), total, n) for part in parts]
    found, last = {}, 0.0
    for p in sorted(set(alone)):
        # The sums only grow: what comes after an unclear one needs no more than a bound.
        last = min(max(last, p, _chances(p, sizes, total, n) if last < _UNCLEAR else p * sizes.total()), 1.0)
        found[p] = last
    return [above_zero(found[p]) for p in alone]


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


def _tails(inside: "ArrayLike", size: "ArrayLike", marked: int, n: int) -> "NDArray[np.float64]":
    """The same in floating point: scipy's ``hypergeom.sf``, whose module takes a second to import."""
    import numpy as np

    inside, size = np.asarray(inside), np.asarray(size)
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


def _dealt(
    marked: Sequence[bool],
    clusters: Sequence[str | int],
    parts: Sequence[Collection[int]],
    others: Iterable[Extent],
) -> list[float]:
    import numpy as np

    if not parts:
        return []
    place = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    rows = np.array([place[name] for name in clusters])
    sizes = np.bincount(rows).astype(float)  # (clusters,)
    shares = np.bincount(rows, weights=np.array(marked, dtype=float)) / sizes
    inside = np.zeros((len(sizes), len(parts)))  # cases of each cluster in each part
    for column, part in enumerate(parts):
        np.add.at(inside[:, column], rows[list(part)], 1.0)
    centred = inside - inside.mean(axis=0)
    # The variance of a sum over a random permutation of the shares.
    spread = np.sqrt((centred**2).sum(axis=0) * shares.var() * len(sizes) / max(len(sizes) - 1, 1))
    spread[spread == 0] = np.inf
    observed = (shares - shares.mean()) @ centred / spread
    random, largest, reached = np.random.default_rng(0), [], np.ones(len(parts))
    for start in range(0, DRAWS, step := max(1, _CELLS // (len(sizes) + len(parts)))):
        count = min(step, DRAWS - start)
        dealt = random.permuted(np.tile(shares - shares.mean(), (count, 1)), axis=1)
        scores = dealt @ centred / spread
        reached += (scores >= observed - 1e-9).sum(axis=0)
        largest.append(scores.max(axis=1))
    highest = np.concatenate(largest)
    together = [float((1 + (highest >= value - 1e-9).sum()) / (1 + DRAWS)) for value in observed]
    # Of other parts each is as likely to have such a p-value, if its clusters can be dealt in so many ways.
    kinds = Counter(min(other.clusters, len(sizes) // 2) for other in others)
    least = [(1 / math.comb(len(sizes), clusters), number) for clusters, number in kinds.items()]
    alone = (reached / (1 + DRAWS)).tolist()
    return [
        min(whole + p * sum(number for each, number in least if each <= p), 1.0)
        for whole, p in zip(together, alone, strict=True)
    ]
