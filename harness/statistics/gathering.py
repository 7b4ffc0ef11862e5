"""Tests whether losses gather in a part of a set, for independent cases and for clusters."""

from collections.abc import Collection, Sequence

from harness.statistics.paired_binary import Trials, case_p, holm

DRAWS = 4999
# Above so many cases the exact fractions take longer than all else.
_EXACT_UP_TO = 1000
_CELLS = 4_000_000  # numbers in memory at a time


def gathering_p(
    marked: Sequence[bool], clusters: Sequence[str | int], parts: Sequence[Collection[int]]
) -> list[float]:
    """For each part the p-value of "marked cases are as frequent as elsewhere", corrected over all parts.

    Independent cases: Fisher's exact test, with Holm's correction. Clusters: the shares of marked cases are
    permuted among the clusters. Each part's standardised count is compared with the largest one of any part
    in each permutation, so that the correction takes overlaps of parts into account (Westfall, P. H. and
    Young, S. S. (1993). Resampling-Based Multiple Testing. Wiley, algorithm 2.8). The seed is fixed.

    Args:
        marked: One value per case.
        clusters: Each case's cluster; a name of its own for a case without one.
        parts: The indices of each part's cases.

    Returns:
        One p-value per part, in order.
    """
    if len(set(clusters)) == len(clusters):
        total = sum(marked)
        return holm([_fisher(sum(marked[i] for i in part), len(part), total, len(marked)) for part in parts])
    return _dealt(marked, clusters, parts)


def _fisher(inside: int, size: int, marked: int, n: int) -> float:
    """Probability that at least this many marked cases are in a part of this size."""
    if n > _EXACT_UP_TO:
        return _hypergeometric_tail(inside, size, marked, n)
    rest = n - size
    return case_p(Trials(rest - (marked - inside), rest, size - inside, size))


def _hypergeometric_tail(inside: int, size: int, marked: int, n: int) -> float:
    """The same in floating point: scipy's ``hypergeom.sf``, whose module takes a second to import."""
    if inside <= max(0, size + marked - n):
        return 1.0  # no fewer are possible
    try:
        from scipy.special._ufuncs import _hypergeom_sf as tail  # not public
    except ImportError:
        from scipy.stats import hypergeom

        return float(hypergeom.sf(inside - 1, n, marked, size))
    return min(max(float(tail(inside - 1, marked, size, n)), 0.0), 1.0)


def _dealt(
    marked: Sequence[bool], clusters: Sequence[str | int], parts: Sequence[Collection[int]]
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
    random, largest = np.random.default_rng(0), []
    for start in range(0, DRAWS, step := max(1, _CELLS // (len(sizes) + len(parts)))):
        count = min(step, DRAWS - start)
        dealt = random.permuted(np.tile(shares - shares.mean(), (count, 1)), axis=1)
        largest.append((dealt @ centred / spread).max(axis=1))
    highest = np.concatenate(largest)
    return [float((1 + (highest >= value - 1e-9).sum()) / (1 + DRAWS)) for value in observed]
