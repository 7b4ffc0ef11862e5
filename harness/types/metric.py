"""What a stored run says of each metric that it was scored with, so that it can be compared later."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """How one metric's values are read. A value that differs between two runs forbids to compare them.

    Attributes:
        kind: ``binary`` values are 0 or 1, ``graded`` ones are on a scale.
        higher_is_better: Else a rise of the value is a drop.
        least: Lower end of the scale; None where it is open.
        most: Upper end of the scale; None where it is open.
        logarithmic: Compared by its natural logarithm, so that one large value can't outweigh all others.
        version: Changes whenever the metric would give the same answer another value.
    """

    kind: Literal["binary", "graded"]
    higher_is_better: bool = True
    least: float | None = 0.0
    most: float | None = 1.0
    logarithmic: bool = False
    version: str = "1"
