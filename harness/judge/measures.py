"""The figures of a calibration: agreement, order, length, repetition, injected orders."""

import math
from collections.abc import Sequence

from harness.judge.label_agreement import JudgedItem
from harness.judge.labelled import LabelledItem
from harness.statistics.clusters import CONFIDENCE, rate_interval
from harness.statistics.jackknife import jackknife_error
from harness.types import Interval


def order_consistency(judged: Sequence[JudgedItem]) -> tuple[Interval | None, int]:
    """Rate of pairs whose preference is the same in both orders."""
    rows = [one for one in judged if one.orders is not None]
    same = [one.orders is not None and one.orders[0] == one.orders[1] for one in rows]
    return _rate(same, rows)


def self_consistency(judged: Sequence[JudgedItem]) -> tuple[Interval | None, int]:
    """Rate of items whose verdict was always the same."""
    rows = [one for one in judged if one.again]
    return _rate([set(one.again) == {one.value} for one in rows], rows)


def injection_resistance(judged: Sequence[JudgedItem]) -> tuple[Interval | None, int]:
    """Rate of items with an injected order whose verdict still equals the label."""
    rows = [one for one in judged if one.item.trap == "injection"]
    return _rate([one.right for one in rows], rows)


def _rate(holds: Sequence[bool], rows: Sequence[JudgedItem]) -> tuple[Interval | None, int]:
    if not rows:
        return None, 0
    return rate_interval(holds, [one.cluster for one in rows]), len(rows)


def verbosity_slope(judged: Sequence[JudgedItem]) -> tuple[Interval | None, int]:
    """How much the verdict rises when the length doubles, beyond the label, on a scale of 0 to 1.

    Least squares of verdict minus label on the base-2 logarithm of the answer's words (for a pair: of the
    first answer's over the second's), separately within single answers and pairs; the interval is the
    jackknife's.
    """
    rows = [(one, _log_length(one.item)) for one in judged]

    def slope(places: Sequence[int]) -> float | None:
        across = along = 0.0
        for pairs in (False, True):
            some = [rows[p] for p in places if (rows[p][0].item.task == "pairwise") is pairs]
            if len(some) < 2:
                continue
            mean_length = math.fsum(length for _, length in some) / len(some)
            mean_error = math.fsum(one.error_share for one, _ in some) / len(some)
            across += math.fsum(
                (length - mean_length) * (one.error_share - mean_error) for one, length in some
            )
            along += math.fsum((length - mean_length) ** 2 for _, length in some)
        return across / along if along > 0 else None

    value = slope(range(len(rows)))
    if value is None:
        return None, len(rows)
    from scipy.special import stdtrit

    error, units = jackknife_error([one.cluster for one, _ in rows], slope)
    half = float(stdtrit(max(units - 1, 1), (1 + CONFIDENCE) / 2)) * error
    interval = Interval(
        estimate=value,
        low=value - half,
        high=value + half,
        confidence=CONFIDENCE,
        method=f"least squares, jackknife over {units}",
    )
    return interval, len(rows)


def _log_length(item: LabelledItem) -> float:
    def words(text: str | None) -> float:
        return math.log2(1 + len((text or "").split()))

    if item.task == "pairwise":
        return words(item.answer_a) - words(item.answer_b)
    return words(item.answer)
