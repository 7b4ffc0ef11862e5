"""Tests whether a series of measurements drifts, and where it changed most."""

import math
from collections.abc import Sequence

# With fewer values neither test can reach a level of 5 %.
TREND_FROM, CHANGE_FROM = 5, 8


def trend_p(values: Sequence[float]) -> float:
    """Two-sided p-value of "no monotone trend".

    Mann, H. B. (1945). Nonparametric tests against trend. Econometrica 13; Kendall's tau against time, exact
    for short series without ties. For a constant series it is 1.

    Args:
        values: In order of time, at least two.
    """
    from scipy.stats import kendalltau

    if len(set(values)) < 2:
        return 1.0
    return float(kendalltau(range(len(values)), values).pvalue)


def change_point(values: Sequence[float]) -> tuple[int, float]:
    """The place where a series changed its level, and its p-value.

    Pettitt, A. N. (1979). A non-parametric approach to the change-point problem. Applied Statistics 28. The
    p-value is the paper's approximation, two-sided and a little conservative.

    Args:
        values: In order of time, at least two.

    Returns:
        The index of the first value after the change, and the p-value of "no change".
    """
    n = len(values)
    largest, place = 0, 1
    for split in range(1, n):
        above = sum(
            (before > after) - (before < after) for before in values[:split] for after in values[split:]
        )
        if abs(above) > largest:
            largest, place = abs(above), split
    return place, min(1.0, 2 * math.exp(-6 * largest**2 / (n**3 + n**2)))
