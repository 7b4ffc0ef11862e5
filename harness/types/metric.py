"""Facts about each metric in a stored run, so that it can be compared later, and why one has no score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

# Of any metric's values and of its scale's ends, either way. Statistics square them, and 1e160 squared is no
# number any more; where values mean something, none is near this.
LARGEST_VALUE = 1e100
# The name of the judges, or of one, among what scored a metric.
JUDGE = "judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """How to read one metric's values. Two runs are not compared if one of these facts differs.

    Attributes:
        kind: ``binary`` values are 0 or 1, ``graded`` ones are on a scale.
        higher_is_better: If false, a rise of the value is a drop.
        least: Lower end of the scale; None if there is none.
        most: Upper end of the scale; None if there is none.
        logarithmic: Compared by its natural logarithm, so that one large value can't outweigh all others.
        version: Changes if the metric gives another value for the same answer.
        scored_by: What gave the values beside the metric's own code: ``judge`` and its name, and
            ``encoder NAME`` with the start of its files' hash; None in records that don't say.
    """

    kind: Literal["binary", "graded"]
    higher_is_better: bool = True
    least: float | None = 0.0
    most: float | None = 1.0
    logarithmic: bool = False
    version: str = "1"
    scored_by: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnscoredMetric:
    """A check that was left without a score on purpose, such as one whose judge is unreliable for it."""

    metric: str
    reason: str
