"""Metrics over stored or accepted runs, with a note if one drifts."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.baselines.file import Baseline
from harness.comparison.metric_drop import compare_metric
from harness.comparison.missing_cases import beyond_limits
from harness.comparison.pairing import PASS_RATE, Pairing, answers_of, pair_runs, paired_metrics
from harness.comparison.times import PAIRWISE, asks_pairwise, is_judged
from harness.comparison.whole_sets import set_metric_rows
from harness.registry.content_metrics import SET_METRICS
from harness.statistics.drift import (
    CHANGE_FROM,
    TREND_FROM,
    change_point,
    holm_of_possible,
    is_nearer_a_line,
    least_p,
    rises_less_falls,
    trend_p,
)
from harness.studies.metric_change import (
    MetricChange,
    metric_change,
    opponent_name,
    with_opponent,
)
from harness.studies.newest_points import NewestPoints, SeriesName
from harness.types import GateRecord, GateVerdict, MetricFacts, MetricSummary, Run, set_of
from tunegate.figures import both_of, p_of

_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A metric in one run.

    Attributes:
        verdict: None if none is stored.
        facts: How to read the values: of the metric itself, or for a pass rate of the metrics of its checks.
        cases_sha256: Hash of the set's cases, as they were asked and checked; empty if they are unknown.
    """

    run_id: str
    started_at: str
    model: str
    summary: MetricSummary
    verdict: GateVerdict | None
    facts: Mapping[str, MetricFacts] = field(default_factory=dict)
    cases_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One metric of one golden set over the runs in which it is the same metric.

    Attributes:
        points: In order of time.
        starts_with: Why runs before the first one are not in it; None if there are none.
        p_trend: P-value of "no monotone trend", after Holm's correction over all tests; None for too few
            runs.
        p_change: The same of "no change of level".
        changed_at: Index of the first run after the likeliest change.
    """

    set_name: str
    metric: str
    points: tuple[Point, ...]
    starts_with: MetricChange | None = None
    p_trend: float | None = None
    p_change: float | None = None
    changed_at: int | None = None

    @property
    def change(self) -> int | None:
        """Index of the first run after a significant change of level; None without one.

        Nor with one where the trend is significant too, and a straight line is nearer to the values: either
        test finds both kinds of moves, and what is told is the one that describes them better.
        """
        if self.changed_at is None or self.p_change is None or self.p_change > _LEVEL:
            return None
        drifts = self.p_trend is not None and self.p_trend <= _LEVEL
        return None if drifts and is_nearer_a_line(_means(self)) else self.changed_at

    @property
    def levels(self) -> tuple[float, float] | None:
        """Means over the runs before a significant change of level and since; None without one."""
        if self.change is None:
            return None
        means = _means(self)
        return _mean(means[: self.change]), _mean(means[self.change :])

    @property
    def note(self) -> str:
        """A note about it in one line, or empty."""
        return self.with_cases(self._moved_note)

    def with_cases(self, moved: str) -> str:
        """A note and those of the set's cases and judges: other ones may move a metric as another model does.

        Args:
            moved: How the metric moved; empty if it didn't.
        """
        others = "; ".join(each for each in (self.cases_note, self.scorers_note) if each)
        return f"{moved}; {others}, which alone may be why" if moved and others else moved or others

    @property
    def cases_note(self) -> str:
        """With which runs the set's cases changed, or empty."""
        pairs = zip(self.points, self.points[1:], strict=False)
        changed = [
            now.run_id
            for before, now in pairs
            if before.cases_sha256 and now.cases_sha256 not in {"", before.cases_sha256}
        ]
        if len(changed) > 1:
            return f"its cases changed {len(changed)} times, the last time with run {changed[-1]}"
        return f"its cases changed with run {changed[0]}" if changed else ""

    @property
    def scorers_note(self) -> str:
        """Up to which run it is unknown which judge scored it, or empty: it may have been another one."""
        facts = [(name, each) for point in self.points for name, each in point.facts.items()]
        scored = {name for name, each in facts if each.scored_by or is_judged(name)}
        unknown = [
            point.run_id
            for point in self.points
            if any(point.facts[name].scored_by is None for name in scored & point.facts.keys())
        ]
        if not unknown:
            return ""
        return f"up to run {unknown[-1]} it is not recorded which judge or encoder scored it"

    @property
    def drift(self) -> Literal["up", "down"] | None:
        """In which direction it moves; None without a significant trend, or where its level changed."""
        if self.change is not None or self.p_trend is None or self.p_trend > _LEVEL:
            return None
        return "up" if rises_less_falls(_means(self)) > 0 else "down"

    @property
    def _moved_note(self) -> str:
        if self.change is not None and self.levels is not None:
            before, after = self.levels
            at, p, (then, now) = (
                self.points[self.change],
                p_of(self.p_change or 0.0),
                both_of(before, after, 2),
            )
            return f"changed with run {at.run_id}: {then} before, {now} since ({p})"
        return f"drifts {self.drift} ({p_of(self.p_trend or 0.0)})" if self.drift else ""

    @property
    def start_note(self) -> str:
        """Why it starts where it does, in one line, or empty."""
        change = self.starts_with
        if change is None:
            return ""
        what = {
            "version": f"version {change.now}, before version {change.before}",
            "direction": "the opposite direction",
            "scale": "another scale",
            "scorer": f"another judge or encoder: {change.now}, before {change.before}",
            "known": "facts about it in only one of the two runs",
        }[change.fact]
        return (
            f"starts anew with run {self.points[0].run_id}, not compared with the runs before: "
            f"{change.metric} has {what}"
        )


def trends_of(records: Iterable[GateRecord]) -> list[Trend]:
    """Follow each gated metric through records, oldest first.

    Each run alone may be within its margin of the one before; many small steps in one direction add up.
    """
    return trends_of_points(points_of(record) for record in records)


def incomplete_sets(run: Run) -> list[str]:
    """Sets of which more cases have no verdict than they tolerate: the others' mean is not the set's."""
    return [each.name for each in run.golden_sets if beyond_limits(run, each)]


def points_of(record: GateRecord, opponent: str = "") -> dict[SeriesName, Point]:
    """The gated metrics of one record's complete sets, by set and metric, over all its own cases.

    Args:
        record: The record.
        opponent: With whose answers pairs were compared, where the record's baseline is not loaded.

    Returns:
        The points.
    """
    opponent = opponent or _opponent(record)
    incomplete, own = incomplete_sets(record.run), _own_summaries(record)
    values = record.run.plan.chat_template_kwargs
    asked = (each.case.asked_with(values) for each in record.run.results)
    cases = _cases_of_sets((case.key, case.content_sha256) for case in asked)
    pairs = _pairs_of_sets(record.run)
    return {
        (row.set_name, row.metric): Point(
            run_id=record.run.id,
            started_at=record.run.started_at,
            model=record.run.model.label,
            summary=summary,
            verdict=row.verdict,
            facts=with_opponent(
                _facts(record.run.metrics, row.metric, _deciding(record.run, row.set_name)),
                pairs.get(row.set_name, ()),
                opponent,
            ),
            cases_sha256=cases[row.set_name],
        )
        for row in (() if record.comparison is None else record.comparison.metrics)
        if row.margin is not None
        and row.set_name not in incomplete
        and (summary := own.get((row.set_name, row.metric), row.candidate)) is not None
    }


def _opponent(record: GateRecord) -> str:
    """With whose answers pairs were compared."""
    if record.baseline is not None and not (model := record.baseline.model).is_logged:
        return opponent_name(model)
    return "a run that is not known" if record.comparison is None else f"run {record.comparison.baseline_run}"


def _pairs_of_sets(run: Run) -> dict[str, set[str]]:
    """For each golden set, the metrics that compare answers with the baseline's."""
    found: dict[str, set[str]] = {}
    for each in run.results:
        if asking := {check.type for check in each.case.checks if asks_pairwise(check)}:
            found.setdefault(each.case.set_name, set()).update(asking)
    return found


def _own_summaries(record: GateRecord) -> dict[SeriesName, MetricSummary | None]:
    """Gated metrics over a run's own cases, where a comparison has not all of them; None without a value."""
    if record.comparison is None:
        return {}
    partly = {each.set_name for each in record.comparison.counts if each.unpaired}
    wanted = {
        (row.set_name, row.metric): row.candidate.mean.confidence
        for row in record.comparison.metrics
        if row.margin is not None and (row.set_name in partly or row.missing)
    }
    if not wanted:
        return {}
    pairing = pair_runs(record.run, record.run)
    found = {
        (each.set_name, each.metric): compare_metric(each, detectable=False).candidate
        for each in paired_metrics(pairing)
        if (each.set_name, each.metric) in wanted
    }
    if any(metric in SET_METRICS for _, metric in wanted):
        levels = {name: level for (name, metric), level in wanted.items() if metric in SET_METRICS}
        pairs = tuple(pair for pair in pairing.pairs if pair[0].case.set_name in levels)
        rows = set_metric_rows(Pairing(pairs=pairs, unpaired={}), levels)
        found |= {(row.set_name, row.metric): row.candidate for row in rows}
    return {name: found.get(name) for name in wanted}


def trends_of_points(runs: Iterable[Mapping[SeriesName, Point]]) -> list[Trend]:
    """Follow each metric through the runs' points, oldest run first."""
    points: dict[SeriesName, list[Point]] = {}
    for run in runs:
        for name, point in run.items():
            points.setdefault(name, []).append(point)
    return _tested(points)


def trends_of_newest(newest: NewestPoints[Point]) -> list[Trend]:
    """Follow each metric through its newest points."""
    return _tested(newest.series)


def trends_of_accepted(versions: Iterable[Baseline], limit: int | None = None) -> list[Trend]:
    """Follow each gated metric through the runs that were accepted as the baseline.

    Args:
        versions: Oldest first.
        limit: Largest number of points of a metric; None for all.
    """
    found = list(versions)
    newest = NewestPoints[Point](limit or len(found))
    for version in reversed(found):
        newest.add(_accepted_points(version))
    return trends_of_newest(newest)


def _accepted_points(version: Baseline) -> dict[SeriesName, Point]:
    """The gated metrics of an accepted run."""
    # The file keeps no case's own values, so those of the plan count for all of them.
    values = version.plan.chat_template_kwargs
    asked = f"{json.dumps(values, sort_keys=True)} " if values else ""
    cases = _cases_of_sets((key, f"{asked}{case.sha256}") for key, case in version.cases.items())
    gated = {
        golden_set.name: {PASS_RATE, *golden_set.gate.metric_margins} for golden_set in version.golden_sets
    }
    return {
        (kept.set_name, kept.summary.metric): Point(
            run_id=version.run_id,
            started_at=version.started_at,
            model=version.model.label,
            summary=kept.summary,
            verdict=None,
            facts=with_opponent(
                _facts(version.known_metrics, kept.summary.metric, _scored(version, kept.set_name)),
                # Nor does the file say which checks decide, so a pass rate is followed.
                () if kept.summary.metric == PASS_RATE else (PAIRWISE,),
                f"the baseline of run {version.run_id}, which is not recorded",
            ),
            cases_sha256=cases.get(kept.set_name, ""),
        )
        for kept in version.summaries
        if kept.summary.metric in gated.get(kept.set_name, ())
    }


def _cases_of_sets(cases: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A hash for each golden set of its cases' keys and contents, in whatever order they are."""
    by_set: dict[str, list[tuple[str, str]]] = {}
    for key, content in cases:
        by_set.setdefault(set_of(key), []).append((key, content))
    return {name: hashlib.sha256(repr(sorted(found)).encode()).hexdigest() for name, found in by_set.items()}


def _facts(
    known: Mapping[str, MetricFacts], metric: str, of_checks: Iterable[str]
) -> Mapping[str, MetricFacts]:
    """The facts that say how to read a metric, or a pass rate of these checks."""
    names = of_checks if metric == PASS_RATE else (metric,)
    return {name: known[name] for name in names if name in known}


def _deciding(run: Run, set_name: str) -> Iterable[str]:
    """Metrics that decide cases of a set."""
    answers = (
        answer for each in run.results if each.case.set_name == set_name for answer in answers_of(each)
    )
    return dict.fromkeys(
        score.metric for each in answers for score in each.scores if score.passed is not None
    )


def _scored(version: Baseline, set_name: str) -> Iterable[str]:
    """Metrics of a set's cases; a baseline's file does not store which of them decide."""
    kept = (case for key, case in version.cases.items() if set_of(key) == set_name)
    return dict.fromkeys(metric for case in kept for _, scores in case.answers for metric in scores)


def _series(set_name: str, metric: str, points: Sequence[Point]) -> list[Trend]:
    """Points of one metric, split where it became another one."""
    changes = [
        (place, change)
        for place in range(1, len(points))
        if (change := metric_change(metric, points[place - 1].facts, points[place].facts)) is not None
    ]
    starts = [(0, None), *changes]
    ends = [*(place for place, _ in changes), len(points)]
    return [
        Trend(set_name=set_name, metric=metric, points=tuple(points[start:end]), starts_with=change)
        for (start, change), end in zip(starts, ends, strict=True)
    ]


def _tested(points: Mapping[SeriesName, Sequence[Point]]) -> list[Trend]:
    trends = [trend for (name, metric), run in points.items() for trend in _series(name, metric, run)]
    long_enough = [trend for trend in trends if len(trend.points) >= TREND_FROM]
    longer = [trend for trend in trends if len(trend.points) >= CHANGE_FROM]
    changes = {id(trend): change_point(_means(trend)) for trend in longer}
    # Both tests of all metrics together, so that a history without drift has a note in at most 5 % of cases.
    found = [*(trend_p(_means(t)) for t in long_enough), *(changes[id(t)][1] for t in longer)]
    adjusted = holm_of_possible(found, [least_p(_means(t)) for t in (*long_enough, *longer)], _LEVEL)
    p_trends = dict(zip(map(id, long_enough), adjusted, strict=False))
    p_changes = dict(zip(map(id, longer), adjusted[len(long_enough) :], strict=True))
    return [
        replace(
            trend,
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
