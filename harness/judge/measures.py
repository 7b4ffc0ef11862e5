"""The figures of a calibration: agreement, order, length, repetition, injected orders."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.labelled import LABELS, LabelledItem
from harness.statistics.agreement import Ratings, kappa
from harness.statistics.clusters import CONFIDENCE, rate_interval
from harness.statistics.jackknife import jackknife_error
from harness.types import Interval

_VALUES = {"pass": 1.0, "fail": 0.0, "a": 1.0, "b": 0.0, "tie": 0.5}
# Grades run from 1 to 5.
_GRADES = 4.0
# A grade that differs from the label by one counts as right.
_NEAR = 1 / _GRADES


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedItem:
    """One labelled item with the judge's verdicts.

    Attributes:
        value: The first verdict: 0 or 1, a grade, or a pair's 1, 0.5 or 0; None when it errored.
        again: The verdicts on the repeated question.
        orders: For a pair: the value in each order, both from the view of the first answer.
        error: Why there is no verdict.
    """

    item: LabelledItem
    value: float | None
    again: tuple[float, ...] = ()
    orders: tuple[float, float] | None = None
    error: str = ""

    @property
    def cluster(self) -> str:
        """The item's cluster, or a name of its own."""
        return f"cluster {self.item.cluster}" if self.item.cluster else f"item {self.item.id}"

    @property
    def label(self) -> float:
        """The label as a number on the verdict's scale."""
        label = self.item.label
        return float(label) if isinstance(label, int) else _VALUES[label]

    @property
    def error_share(self) -> float:
        """Verdict minus label, on a scale of 0 to 1."""
        assert self.value is not None
        return (self.value - self.label) / (_GRADES if self.item.task == "reference" else 1.0)

    @property
    def right(self) -> bool:
        """Whether the verdict equals the label; a grade may differ by one."""
        return abs(self.error_share) <= (_NEAR if self.item.task == "reference" else 0.0)


def agreement(judged: Sequence[JudgedItem]) -> Interval | None:
    """Cohen's kappa of verdicts and labels, pooled over tasks; grades and pairs by squared distance."""
    strata = []
    for task in LABELS:
        rows = [one for one in judged if one.item.task == task]
        if rows:
            scale = {"reference": _GRADES, "pairwise": 1.0}.get(task)
            strata.append(
                Ratings(
                    first=tuple(one.value or 0.0 for one in rows),
                    second=tuple(one.label for one in rows),
                    clusters=tuple(one.cluster for one in rows),
                    scale=scale,
                )
            )
    try:
        return kappa(strata) if strata else None
    except ValueError:
        return None


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
