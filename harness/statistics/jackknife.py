"""The delete-one jackknife: a standard error for any figure, leaving out whole clusters.

Efron, B. and Tibshirani, R. (1993). An Introduction to the Bootstrap, chapter 11.
"""

import math
from collections.abc import Callable, Sequence


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
