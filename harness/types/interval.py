"""An estimate and how far the truth may be from it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its two-sided interval and the name of the method."""

    estimate: float
    low: float
    high: float
    confidence: float
    method: str
