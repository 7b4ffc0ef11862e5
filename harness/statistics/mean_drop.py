"""The result of every procedure for a mean drop."""

from dataclasses import dataclass

from harness.types import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDrop:
    """A mean drop with its interval and its test, which always agree.

    p is at most the error level if and only if the interval is above 0.

    Attributes:
        estimate: The mean drop of a case.
        low: Lower end of the two-sided interval.
        high: Upper end, from the data alone.
        high_unseen: Upper end that also allows for losses that no unit shows: a pass needs it to be within
            the margin.
        p_value: One-sided, of "no drop".
        confidence: Two-sided, of the interval.
        method: Name of the method.
    """

    estimate: float
    low: float
    high: float
    high_unseen: float
    p_value: float
    confidence: float
    method: str

    @property
    def interval(self) -> Interval:
        """The estimate with both ends, from the data alone."""
        return Interval(
            estimate=self.estimate,
            low=self.low,
            high=self.high,
            confidence=self.confidence,
            method=self.method,
        )
