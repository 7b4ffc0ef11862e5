"""A label of an answer, and which of several is the current one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.labelling.items import LabelItem

Preference: TypeAlias = Literal["a", "b", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelValue:
    """A person's judgement of an item; at least one of the first three is set.

    Attributes:
        passed: Thumb up or down, of one answer.
        grade: 1 (worst) to 5, of one answer.
        preference: The better one of a pair as it was shown.
    """

    passed: bool | None = None
    grade: int | None = None
    preference: Preference | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A judgement with its item, person and time.

    Attributes:
        said: None if an earlier label is removed.
        at: ISO 8601 in UTC.
    """

    id: str
    item: LabelItem
    said: LabelValue | None
    who: str
    at: str


def current_labels(labels: Sequence[Label]) -> list[Label]:
    """The current labels: the last one of each person and item, unless it was removed."""
    last: dict[tuple[str, str], Label] = {}
    for label in labels:
        last.pop((label.who, label.item.id), None)
        last[label.who, label.item.id] = label
    return [label for label in last.values() if label.said is not None]
