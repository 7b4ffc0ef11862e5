"""A mean before and after, each with its interval, and the interval of the change."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from harness.statistics.clusters import mean_interval
from harness.types import Interval

CONFIDENCE = 0.90
GroupT = TypeVar("GroupT")


def mean_change(
    before: Mapping[GroupT, Sequence[float]],
    after: Mapping[GroupT, Sequence[float]],
    confidence: float = CONFIDENCE,
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> dict[str, Any] | None:
    """Compare two means of independent groups of values, such as the answers to one prompt.

    The change's interval is combined from both means' (MOVER: Zou, G. Y. and Donner, A. (2008).
    Construction of confidence limits about effect measures. Statistics in Medicine 27).

    Args:
        before: Values by group.
        after: Values by group.
        confidence: Two-sided.
        least: Lower end of the scale.
        most: Upper end of the scale.

    Returns:
        ``before``, ``after`` and ``change``, each with estimate, low and high; ``n_before`` and ``n_after``
        count values. None if a side has fewer than two groups: then its spread is unknown.
    """
    if min(len(before), len(after)) < 2:
        return None
    first, last = _mean(before, confidence, least, most), _mean(after, confidence, least, most)
    change = last.estimate - first.estimate
    return {
        "n_before": sum(map(len, before.values())),
        "n_after": sum(map(len, after.values())),
        "confidence": confidence,
        "before": _written(first),
        "after": _written(last),
        "change": {
            "estimate": change,
            "low": change - math.hypot(last.estimate - last.low, first.high - first.estimate),
            "high": change + math.hypot(last.high - last.estimate, first.estimate - first.low),
        },
    }


def _mean(groups: Mapping[GroupT, Sequence[float]], confidence: float, least: float, most: float) -> Interval:
    values = [value for group in groups.values() for value in group]
    clusters = [number for number, group in enumerate(groups.values()) for _ in group]
    return mean_interval(values, clusters, confidence, least=least, most=most)


def _written(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
