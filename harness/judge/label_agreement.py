"""How well a judge agrees with people's labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.judge.labelled import LABELS, LabelledItem
from harness.statistics.agreement import Ratings, kappa
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
