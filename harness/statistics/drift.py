"""Tests whether a series of measurements drifts, where it changed most, and which of both describes it."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.statistics.paired_binary import holm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# With fewer values a test can't reach a level of 5 % beside the other one (Holm's correction for two tests).
# Several series that vary need more.
TREND_FROM, CHANGE_FROM = 5, 10
_ORDERS = 9999
_TIE = 1e-9
# Of the largest value: batches of other sizes round by less, and are no change.
_ROUNDING = 1e-6
# Longer series with ties follow the normal law closely enough.
_ORDERED_UP_TO = 50


def trend_p(values: Sequence[float]) -> float:
    """Two-sided p-value of "no monotone trend".

    Mann, H. B. (1945). Nonparametric tests against trend. Econometrica 13; Kendall's tau against time, exact
    for short series without ties. Pass rates of few cases often tie, and then the normal law calls three runs
    of one value and three of another a trend with p = 0.0495, where chance alone orders them so in 2 of 20
    cases: with ties the p-value is taken from random orders. For a constant series it is 1.

    Args:
        values: In order of time, at least two.
    """
    from scipy.stats import kendalltau, rankdata

    values = _levelled(values)
    if len(set(values)) < 2:
        return 1.0
    if len(set(values)) == len(values) or len(values) > _ORDERED_UP_TO:
        return float(kendalltau(range(len(values)), values).pvalue)
    ranks = rankdata(values)
    rises = abs(_rises(ranks[None, :])[0])
    return _share_of_orders(abs(_rises(_random_orders(ranks))) >= rises)


def _levelled(values: Sequence[float]) -> list[float]:
    """The values, with those equal that differ from the next lower one by rounding alone."""
    step, before = _ROUNDING * max(map(abs, values)), -math.inf
    levels: dict[float, float] = {}
    for value in sorted(set(values)):
        levels[value] = levels[before] if value - before <= step else value
        before = value
    return [levels[value] for value in values]


def least_p(values: Sequence[float]) -> float:
    """A p-value that neither test of these values falls below, in whatever order; 1 for a constant series.

    The most telling orders are the two sorted ones.

    Args:
        values: In any order, at least two.
    """
    ties = Counter(_levelled(values))
    if len(ties) < 2:
        return 1.0
    alike = math.fsum(math.lgamma(count + 1) for count in ties.values())
    return min(1.0, 2 * math.exp(alike - math.lgamma(len(values) + 1)))


def holm_of_possible(p_values: Sequence[float], least: Sequence[float], level: float) -> list[float]:
    """Holm's adjusted p-values over the tests that can reach the level at all.

    Tarone, R. E. (1990). A modified Bonferroni method for discrete data. Biometrics 46: with K the smallest
    number so that at most K tests can have a p-value of level / K, no others need to be corrected for. A
    constant series can show nothing and costs the others nothing.

    Args:
        p_values: The p-values.
        least: What each of them can't fall below, known without the order of its values.
        level: The level over all tests.

    Returns:
        The adjusted p-values, in the same order; of a test that can't reach the level by Bonferroni.
    """
    able: list[int] = []
    for among in range(1, len(p_values) + 1):
        able = [place for place, each in enumerate(least) if each * among <= level * (1 + _TIE)]
        if len(able) <= among:
            break
    adjusted = [min(1.0, each * len(p_values)) for each in p_values]
    for place, each in zip(able, holm([p_values[place] for place in able]), strict=True):
        adjusted[place] = each
    return adjusted


def rises_less_falls(values: Sequence[float]) -> int:
    """Kendall's S, which :func:`trend_p` tests: the first and the last value alone may lie the other way.

    Args:
        values: In order of time.
    """
    import numpy as np

    return int(_rises(np.array([_levelled(values)]))[0])


def _rises(orders: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Kendall's S of each row: pairs that rise with time less pairs that fall."""
    import numpy as np

    columns = range(1, orders.shape[1])
    pairs = [np.sign(orders[:, later:] - orders[:, :-later]).sum(axis=1) for later in columns]
    rises: NDArray[np.float64] = np.sum(pairs, axis=0)
    return rises


def _random_orders(ranks: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Random orders of the values, a row each; the seed is fixed: the same series has the same p-value."""
    import numpy as np

    orders: NDArray[np.float64] = np.random.default_rng(0).permuted(np.tile(ranks, (_ORDERS, 1)), axis=1)
    return orders


def _share_of_orders(as_far: "NDArray[np.bool_]") -> float:
    """P-value: the share of orders that are as far, the observed one included.

    Phipson, B. and Smyth, G. K. (2010). Permutation p-values should never be zero. SAGMB 9(1).
    """
    return (1 + int(as_far.sum())) / (1 + _ORDERS)


def change_point(values: Sequence[float]) -> tuple[int, float]:
    """The place where a series changed its level, and its p-value.

    Pettitt, A. N. (1979). A non-parametric approach to the change-point problem. Applied Statistics 28. The
    paper's approximation of the p-value can't reach 5 % below eleven values, so it is taken from random
    orders of the same values.

    Args:
        values: In order of time, at least two.

    Returns:
        The index of the first value after the change, and the p-value of "no change".
    """
    import numpy as np
    from scipy.stats import rankdata

    # Ranks about their mean: their sum up to a place is half of the paper's U.
    ranks = rankdata(_levelled(values)) - (len(values) + 1) / 2
    heights = np.abs(np.cumsum(ranks)[:-1])
    highest = np.abs(np.cumsum(_random_orders(ranks), axis=1)[:, :-1]).max(axis=1)
    largest = heights.max() - _TIE
    place = int(np.argmax(heights >= largest)) + 1
    return place, _share_of_orders(highest >= largest)


def is_nearer_a_line(values: Sequence[float]) -> bool:
    """Whether a straight line over time describes a series better than two levels, wherever it changed.

    Both tests are of one hypothesis, that all orders of the values are as likely: a line has a change of
    level, and a change of level a trend. So which of them rejects says little about which it was, and what is
    told is what explains more of the squares about the mean. Of n values on a line the levels of both halves
    leave (n^2 / 4 - 1) / (n^2 - 1) of them, about a quarter, and a line leaves exactly as much of a change in
    the middle: neither is favoured. The levels are the best ones, since noise draws the place of the largest
    U towards the middle. The choice is made among what is significant already, so the tests keep their level.

    Args:
        values: In order of time, at least two.
    """
    import numpy as np

    moves = np.array(_levelled(values)) - math.fsum(values) / len(values)
    times, ends = np.arange(len(values)) - (len(values) - 1) / 2, np.arange(1, len(values))
    on_line = (moves @ times) ** 2 / (times @ times)
    by_levels = np.cumsum(moves)[:-1] ** 2 * len(values) / (ends * (len(values) - ends))
    return bool(on_line > by_levels.max())
