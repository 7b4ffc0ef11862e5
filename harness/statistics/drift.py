"""Tests whether a series of measurements drifts, and where it changed most."""

from collections.abc import Sequence

# With fewer values a test can't reach a level of 5 % beside the other one (Holm's correction for two tests).
TREND_FROM, CHANGE_FROM = 5, 10
_ORDERS = 9999
_TIE = 1e-9


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
    paper's approximation of the p-value can't reach 5 % below eleven values, so it is taken from random
    orders of the same values, counting the observed one too (Phipson, B. and Smyth, G. K. (2010). Permutation
    p-values should never be zero. SAGMB 9(1)). The seed is fixed: the same series gives the same p-value.

    Args:
        values: In order of time, at least two.

    Returns:
        The index of the first value after the change, and the p-value of "no change".
    """
    import numpy as np
    from scipy.stats import rankdata

    # Ranks about their mean: their sum up to a place is half of the paper's U.
    ranks = rankdata(values) - (len(values) + 1) / 2
    heights = np.abs(np.cumsum(ranks)[:-1])
    orders = np.random.default_rng(0).permuted(np.tile(ranks, (_ORDERS, 1)), axis=1)  # (orders, values)
    highest = np.abs(np.cumsum(orders, axis=1)[:, :-1]).max(axis=1)
    largest = heights.max() - _TIE
    place = int(np.argmax(heights >= largest)) + 1
    return place, (1 + int((highest >= largest).sum())) / (1 + _ORDERS)
