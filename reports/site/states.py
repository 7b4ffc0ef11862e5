"""The overview: each metric's state now, what got worse when, and all runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from harness.history.listing import RunLine
from harness.studies.trend import Point, Trend
from harness.types import GateVerdict, Interval
from reports.html import figures
from reports.html.charts import Sparkline, sparkline
from reports.html.names import PASS_RATE
from reports.html.text import one_line
from reports.site.digest import Figure, RunDigest
from reports.site.gathering import AcceptedRun, SiteData

_MOST_IN_LINE = 120
_WORST_FIRST = {GateVerdict.REGRESS: 0, GateVerdict.INCONCLUSIVE: 1, GateVerdict.PASS: 2, None: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRow:
    """One metric of one golden set, now.

    Attributes:
        name: The set's name, and the metric's unless it is the pass rate.
        tone: The newest verdict, or ``none``.
        streak: For how many runs it has been that, in words.
        value: The newest mean.
        accepted: The mean of the accepted run, in words; empty without one.
        worse: It changed for the worse, and when.
        note: A change for the better, or a drift, or why the trend starts where it does.
    """

    name: str
    set_name: str
    metric: str
    tone: str
    streak: str
    value: str
    interval: str
    accepted: str
    spark: Sparkline | None
    drawing: str
    worse: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run of the list.

    Attributes:
        words: All that the search looks in, in lower case.
    """

    id: str
    at: str
    model: str
    tone: str
    partial: str
    measured: tuple[str, ...]
    flips: str
    commit: str
    why: str
    accepted: str
    sets: tuple[str, ...]
    words: str
    baseline: str


def value_text(value: float, metric: str) -> str:
    """A mean: a pass rate in percent, any other metric on its own scale.

    Args:
        value: The mean.
        metric: The metric's name.
    """
    return figures.percent(value) if metric == PASS_RATE else figures.mean(value)


def span_text(interval: Interval, metric: str) -> str:
    """An interval's two ends: ``[90.1, 98.2]``.

    Args:
        interval: The interval.
        metric: The metric's name.
    """
    if metric == PASS_RATE:
        return f"[{interval.low * 100:.1f}, {interval.high * 100:.1f}]"
    return f"[{figures.mean(interval.low)}, {figures.mean(interval.high)}]"


def metric_title(set_name: str, metric: str) -> str:
    """The set's name, and the metric's unless it is the pass rate.

    Args:
        set_name: The golden set's name.
        metric: The metric's name.
    """
    return one_line(set_name if metric == PASS_RATE else f"{set_name} {metric}")


def moment(at: str) -> str:
    """Day and minute of a time in ISO 8601, in UTC; any other text unchanged."""
    return f"{at[:10]} {at[11:16]}" if len(at) >= 16 and at[10:11] == "T" else one_line(at, 40)


def is_higher_better(trend: Trend) -> bool:
    """The metric's direction; a pass rate's is always up."""
    facts = trend.points[-1].facts.get(trend.metric)
    return trend.metric == PASS_RATE or facts is None or facts.higher_is_better


def change_text(trend: Trend) -> tuple[str, bool]:
    """A significant change or drift, or other cases, in words, and whether it is for the worse; or empty."""
    up = is_higher_better(trend)
    if trend.change is not None and trend.levels is not None:
        before, after = trend.levels
        at = trend.points[trend.change]
        means = f"{value_text(before, trend.metric)} before, {value_text(after, trend.metric)} since"
        # By the values, not by what rounds to the same.
        fell = after < before
        verb = "fell" if fell else "rose"
        p = figures.p_value(trend.p_change if trend.p_change is not None else 1.0)
        p = f"p\u00a0{p}" if p.startswith("<") else f"p\u00a0=\u00a0{p}"
        moved = f"{verb} with run {one_line(at.run_id)}, {moment(at.started_at)[:10]}: {means} ({p})"
        return trend.with_cases(moved), fell == up
    return trend.note, trend.drift == ("down" if up else "up")


def state_rows(data: SiteData) -> list[StateRow]:
    """The state of each metric that is followed, the worst first."""
    newest = {(trend.set_name, trend.metric): trend for trend in data.trends}
    rows = sorted(
        newest.values(),
        key=lambda trend: (_WORST_FIRST[trend.points[-1].verdict], trend.set_name, trend.metric),
    )
    newest_run = data.runs[-1].line.id if data.runs else ""
    return [_state_row(trend, data.accepted, newest_run) for trend in rows]


def _state_row(trend: Trend, accepted: Sequence[AcceptedRun], newest_run: str) -> StateRow:
    last = trend.points[-1]
    points = trend.points[::-1]
    same = list(takewhile(lambda point: point.verdict == last.verdict, points))
    shown = trend.points[-_MOST_IN_LINE:]
    regressed = [point.verdict is GateVerdict.REGRESS for point in shown]
    changed, is_worse = change_text(trend)
    note = "; ".join(each for each in ("" if is_worse else changed, trend.start_note) if each)
    # A partial run, or one of other sets, is in no trend.
    since = "newest run" if last.run_id == newest_run else "last whole run of it"
    return StateRow(
        name=metric_title(trend.set_name, trend.metric),
        set_name=trend.set_name,
        metric=trend.metric,
        tone=str(last.verdict) if last.verdict is not None else "none",
        streak=f"for {figures.count(len(same))} runs, since {moment(same[-1].started_at)[:10]}"
        if len(same) > 1
        else f"since the {since}, {moment(last.started_at)[:10]}",
        value=value_text(last.summary.mean.estimate, trend.metric),
        interval=f"{span_text(last.summary.mean, trend.metric)} n={figures.count(last.summary.n)}",
        accepted=_accepted_text(trend, accepted),
        spark=sparkline(_heights(shown), regressed, rate=True, most=_MOST_IN_LINE),
        drawing=f"{metric_title(trend.set_name, trend.metric)} over the last {len(shown)} runs, from "
        f"{value_text(shown[0].summary.mean.estimate, trend.metric)} to "
        f"{value_text(last.summary.mean.estimate, trend.metric)}",
        worse=changed if is_worse else "",
        note=note,
    )


def _heights(points: Sequence[Point]) -> list[float]:
    """The means between the lowest and the highest end of an interval, so that noise looks small."""
    means = [point.summary.mean for point in points]
    low, high = min(mean.low for mean in means), max(mean.high for mean in means)
    return [(mean.estimate - low) / (high - low) if high > low else 0.5 for mean in means]


def _accepted_text(trend: Trend, accepted: Sequence[AcceptedRun]) -> str:
    """The newest accepted run that has the metric."""
    for each in reversed(accepted):
        found = each.means.get((trend.set_name, trend.metric))
        if found is not None:
            n, mean = found
            return (
                f"{value_text(mean.estimate, trend.metric)} {span_text(mean, trend.metric)} "
                f"n={figures.count(n)} as “{one_line(each.name)}”"
            )
    return ""


def run_rows(data: SiteData) -> list[RunRow]:
    """All runs, newest first."""
    names = {each.run_id: f"accepted as “{one_line(each.name)}”" for each in data.accepted}
    return [_run_row(run, names.get(run.line.id, "")) for run in reversed(data.runs)]


def _run_row(run: RunDigest, accepted: str) -> RunRow:
    line = run.line
    answered = sum(line.outcomes.values())
    about = [line.id, line.model, line.commit or "", run.author, run.subject, run.why, accepted]
    return RunRow(
        id=line.id,
        at=moment(line.started_at),
        model=one_line(line.model),
        tone=line.verdict or "none",
        partial=f"partial: {figures.count(answered)} of {figures.count(line.collected)} cases"
        if line.partial
        else "",
        measured=tuple(_measured(figure) for figure in run.figures),
        flips=_flips(line),
        commit=" ".join(
            each for each in ((line.commit or "")[:8], "+ changes" if line.dirty else "") if each
        ),
        why=run.why,
        accepted=accepted,
        sets=tuple(one_line(name) for name in line.golden_sets),
        words=one_line(" ".join(about), 600).lower(),
        baseline=line.baseline_run_id or "",
    )


def _flips(line: RunLine) -> str:
    if line.lost is None:
        return ""
    return f"{figures.count(line.lost)} lost, {figures.count(line.gained or 0)} gained"


def _measured(figure: Figure) -> str:
    mean = value_text(figure.candidate.estimate, figure.metric)
    span = span_text(figure.candidate, figure.metric)
    return f"{metric_title(figure.set_name, figure.metric)} {mean} {span} n={figures.count(figure.n)}"


def headline(data: SiteData, rows: Sequence[StateRow]) -> tuple[str, str, str]:
    """The newest run's verdict, what regressed in it, and the worst change, for the first screen.

    Args:
        data: What is shown.
        rows: The metrics' states.

    Returns:
        The tone, the title, and a sentence.
    """
    if not data.runs:
        return "none", "NO RUN YET", "No judged run is stored yet: pytest --model=DIR makes one."
    newest = data.runs[-1].line
    tone = newest.verdict or "none"
    word = tone.upper() if newest.verdict else "NO BASELINE"
    worse = [row.name for row in rows if row.worse]
    told = [
        f"The newest run, of {one_line(newest.model, 60)} at {moment(newest.started_at)}: "
        f"{_what_regressed(data.runs[-1])}."
    ]
    if worse:
        told.append(f"Worse than in earlier runs: {_listed(worse)}.")
    return tone, word, " ".join(told)


def _what_regressed(run: RunDigest) -> str:
    """The run's own regressed metrics, whole run or not; of another regression the gate's first reason."""
    bad = [
        metric_title(each.set_name, each.metric)
        for each in run.figures
        if each.verdict is GateVerdict.REGRESS
    ]
    if bad:
        return f"{_listed(bad)} regressed"
    if run.line.verdict == GateVerdict.REGRESS and run.why:
        return run.why.removesuffix(".")
    return "no metric regressed" if run.figures else "nothing was compared"


def _listed(names: Sequence[str]) -> str:
    shown = [f"“{name}”" for name in names[:3]]
    if len(names) > 3:
        shown.append(f"{len(names) - 3} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
