"""The newest points of several series: what has no point in a series takes no place in it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

_T = TypeVar("_T")
# A golden set and a metric.
SeriesName: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class NewestPoints(Generic[_T]):
    """The newest points of each metric, from the newest run on.

    The metrics are those of the newest runs that have any; older runs only add what these lack, so a run that
    is left out of a series takes no place in it.

    Attributes:
        limit: Largest number of points of a metric.
        runs: The chosen points, the newest run first.
        counts: Their number by metric.
    """

    limit: int
    runs: list[Mapping[SeriesName, _T]] = field(default_factory=list)
    counts: Counter[SeriesName] = field(default_factory=Counter)

    @property
    def lacking(self) -> set[SeriesName] | None:
        """Metrics with fewer points than the limit; None as long as new metrics are followed."""
        if len(self.runs) < self.limit:
            return None
        return {name for name, count in self.counts.items() if count < self.limit}

    def add(self, points: Mapping[SeriesName, _T]) -> None:
        """Choose among the points of the next older run."""
        lacking = self.lacking
        chosen = {name: point for name, point in points.items() if lacking is None or name in lacking}
        if chosen:
            self.runs.append(chosen)
            self.counts.update(chosen.keys())

    @property
    def series(self) -> dict[SeriesName, list[_T]]:
        """The chosen points by metric, the oldest first."""
        return {name: [run[name] for run in reversed(self.runs) if name in run] for name in self.counts}
