"""Metrics over stored or accepted runs, with a note if one drifts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.baselines.file import Baseline
from harness.comparison.pairing import PASS_RATE
from harness.statistics.drift import CHANGE_FROM, TREND_FROM, change_point, trend_p
from harness.statistics.multiple_testing import holm
from harness.types import GateRecord, GateVerdict, MetricSummary

_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A metric in one run; the verdict is None if none is stored."""

    run_id: str
    started_at: str
    model: str
    summary: MetricSummary
    verdict: GateVerdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One metric of one golden set over the runs.

    Attributes:
        points: In order of time.
        p_trend: P-value of "no monotone trend", after Holm's correction over all tests; None for too few
            runs.
        p_change: The same of "no change of level".
        changed_at: Index of the first run after the likeliest change.
    """

    set_name: str
    metric: str
    points: tuple[Point, ...]
    p_trend: float | None = None
    p_change: float | None = None
    changed_at: int | None = None

    @property
    def note(self) -> str:
        """A note about it in one line, or empty."""
        means = [point.summary.mean.estimate for point in self.points]
        if self.p_change is not None and self.p_change <= _LEVEL and self.changed_at is not None:
            before, after = means[: self.changed_at], means[self.changed_at :]
            at = self.points[self.changed_at]
            return (
                f"changed with run {at.run_id}: {_mean(before):.2f} before, {_mean(after):.2f} since "
                f"(p={self.p_change:.2g})"
            )
        if self.p_trend is not None and self.p_trend <= _LEVEL:
            return f"drifts {'up' if means[-1] > means[0] else 'down'} (p={self.p_trend:.2g})"
        return ""


def trends_of(records: Iterable[GateRecord]) -> list[Trend]:
    """Follow each gated metric through records, oldest first.

    Each run alone may be within its margin of the one before; many small steps in one direction add up.
    """
    points: dict[tuple[str, str], list[Point]] = {}
    for record in records:
        for row in () if record.comparison is None else record.comparison.metrics:
            if row.margin is not None:
                points.setdefault((row.set_name, row.metric), []).append(
                    Point(
                        run_id=record.run.id,
                        started_at=record.run.started_at,
                        model=record.run.model.label,
                        summary=row.candidate,
                        verdict=row.verdict,
                    )
                )
    return _tested(points)


def trends_of_accepted(versions: Iterable[Baseline]) -> list[Trend]:
    """Follow each gated metric through the runs that were accepted as the baseline, oldest first."""
    points: dict[tuple[str, str], list[Point]] = {}
    for version in versions:
        gated = {
            golden_set.name: {PASS_RATE, *golden_set.gate.metric_margins}
            for golden_set in version.golden_sets
        }
        for kept in version.summaries:
            if kept.summary.metric in gated.get(kept.set_name, ()):
                points.setdefault((kept.set_name, kept.summary.metric), []).append(
                    Point(
                        run_id=version.run_id,
                        started_at=version.started_at,
                        model=version.model.label,
                        summary=kept.summary,
                        verdict=None,
                    )
                )
    return _tested(points)


def _tested(points: Mapping[tuple[str, str], Sequence[Point]]) -> list[Trend]:
    trends = [
        Trend(set_name=name, metric=metric, points=tuple(found)) for (name, metric), found in points.items()
    ]
    long_enough = [trend for trend in trends if len(trend.points) >= TREND_FROM]
    longer = [trend for trend in trends if len(trend.points) >= CHANGE_FROM]
    changes = {id(trend): change_point(_means(trend)) for trend in longer}
    # Both tests of all metrics together, so that a history without drift has a note in at most 5 % of cases.
    adjusted = holm([*(trend_p(_means(t)) for t in long_enough), *(changes[id(t)][1] for t in longer)])
    p_trends = dict(zip(map(id, long_enough), adjusted, strict=False))
    p_changes = dict(zip(map(id, longer), adjusted[len(long_enough) :], strict=True))
    return [
        Trend(
            set_name=trend.set_name,
            metric=trend.metric,
            points=trend.points,
            p_trend=p_trends.get(id(trend)),
            p_change=p_changes.get(id(trend)),
            changed_at=changes[id(trend)][0] if id(trend) in changes else None,
        )
        for trend in trends
    ]


def _means(trend: Trend) -> list[float]:
    return [point.summary.mean.estimate for point in trend.points]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
