"""The delete-one jackknife: a standard error for any figure, leaving out whole clusters.

Efron, B. and Tibshirani, R. (1993). An Introduction to the Bootstrap, chapter 11.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.statistics.clusters import Units, unseen_share
from harness.types import Interval

_BY_CHANCE = 1e-9  # of the scale's length; smaller differences are rounding


def jackknife_error(
    clusters: Sequence[str | int], statistic: Callable[[Sequence[int]], float | None]
) -> tuple[float, int]:
    """Standard error of a figure.

    Args:
        clusters: Each case's cluster; a name of its own for a case without one.
        statistic: The figure over the cases with the given indices; None if it isn't defined.

    Returns:
        The error (0 if nothing varies), and the number of clusters.
    """
    places: dict[str | int, list[int]] = {}
    for place, cluster in enumerate(clusters):
        places.setdefault(cluster, []).append(place)
    everything = range(len(clusters))
    left_out = []
    for members in places.values():
        gone = set(members)
        value = statistic([place for place in everything if place not in gone])
        if value is not None:
            left_out.append(value)
    return error_of_left_out(left_out), len(places)


def error_of_left_out(values: Sequence[float]) -> float:
    """Standard error of a figure from its values without one cluster each; 0 for fewer than two."""
    count = len(values)
    if count < 2:
        return 0.0
    mean = math.fsum(values) / count
    return math.sqrt((count - 1) / count * math.fsum((value - mean) ** 2 for value in values))


def added_by_cluster(
    whole: float, without: Sequence[float], sizes: Sequence[float], *, unit: float = 1.0
) -> Units:
    """What each cluster adds to a figure: compared like the sums of a mean, whose values these then are.

    With d the figure, d_i that without cluster i, and h the quotient of all cases and the cluster's, its
    pseudo-value is h d - (h - 1) d_i: Busing, F. M. T. A., Meijer, E. and van der Leeden, R. (1999). Delete-m
    jackknife for unequal m. Statistics and Computing 9. For a mean it is the cluster's own. All are moved by
    one amount, so that together they give d.

    Args:
        whole: The figure over all clusters.
        without: The figure without each of them.
        sizes: Each cluster's number of cases; at least two clusters.
        unit: Length of the figure's scale. Figures near 0 say nothing of the size of what they came from.
    """
    total = math.fsum(sizes)
    added = [whole + (total / size - 1) * (whole - left) for left, size in zip(without, sizes, strict=True)]
    shift = whole - math.fsum(each * size for each, size in zip(added, sizes, strict=True)) / total
    moved = [0.0 if abs(each + shift) < _BY_CHANCE * unit else each + shift for each in added]
    sums = tuple(each * size for each, size in zip(moved, sizes, strict=True))
    return Units(sums=sums, sizes=tuple(sizes))


@dataclass(frozen=True, slots=True)
class LeftOutRate:
    """A figure over all clusters, and without one of them each."""

    whole: float
    without: list[float]


def mean_of(left: LeftOutRate, confidence: float, *, least: float) -> Interval:
    """A figure with its interval by the jackknife, which leaves out one cluster at a time.

    Where nothing varies its error is 0, so the interval is never narrower than the share of cases that this
    many draws can miss.

    Args:
        left: The figure.
        confidence: Two-sided.
        least: Lower end of its scale, which ends at 1.
    """
    from scipy.stats import t

    clusters, value = len(left.without), left.whole
    if clusters < 2:
        return Interval(estimate=value, low=least, high=1.0, confidence=confidence, method="one cluster")
    tail = (1 - confidence) / 2
    reach = max(
        float(t.ppf(1 - tail, clusters - 1)) * error_of_left_out(left.without), unseen_share(clusters, tail)
    )
    return Interval(
        estimate=value,
        low=max(value - reach, least),
        high=min(value + reach, 1.0),
        confidence=confidence,
        method="jackknife",
    )
