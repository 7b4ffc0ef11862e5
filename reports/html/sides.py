"""Candidate, baseline and previous accepted run side by side, with the history of each gated metric."""

from collections.abc import Iterable
from datetime import UTC, datetime

from harness.baselines.file import Baseline
from harness.presentation.sentences import empty_sets
from harness.types import (
    Environment,
    Finding,
    GateRecord,
    GateVerdict,
    MetricFinding,
    ModelRef,
    Run,
    Standing,
)
from reports.earlier_runs import EarlierRuns
from reports.html import figures
from reports.html.charts import Sparkline, sparkline
from reports.html.lead import metric_title
from reports.html.metrics import (
    NOTHING_TO_LOSE,
    PASS_RATE,
    TONES,
    drop_text,
    is_rate,
    margin_text,
    mean_text,
    other_question,
    worst_first,
)
from reports.html.names import model_detail, short_label
from reports.html.text import one_line
from reports.html.view import Side, SideRow, Tone

_COMMIT_DIGITS = 10


def sides_of(record: GateRecord, earlier: EarlierRuns) -> tuple[Side, ...]:
    """The columns: the candidate, the baseline, and the run that was accepted last.

    Args:
        record: The gate's record.
        earlier: What it is shown beside.
    """
    found = [_side("candidate", record.run.model, record.run.environment, record.run.started_at)]
    if record.baseline is not None:
        found.append(_baseline_side(record.baseline))
    if earlier.accepted is not None:
        kept = earlier.accepted
        role = f"accepted as {one_line(kept.name, 30)}"
        found.append(_side(role, kept.model, kept.environment, kept.accepted_at))
    return tuple(found)


def _baseline_side(run: Run) -> Side:
    role = "baseline (accepted)" if "-kept-" in run.id else "baseline"
    return _side(role, run.model, run.environment, run.started_at)


def _side(role: str, model: ModelRef, environment: Environment, at: str) -> Side:
    return Side(
        role=role,
        model=short_label(model),
        detail=model_detail(model),
        commit=_commit(environment),
        author=one_line(environment.author or "", 40),
        subject=one_line(environment.subject or "", 60),
        date=moment(at),
    )


def _commit(environment: Environment) -> str:
    if environment.commit is None:
        return ""
    return one_line(environment.commit[:_COMMIT_DIGITS]) + (" + changes" if environment.dirty else "")


def moment(iso: str) -> str:
    """A time as ``31 Jan 2026, 14:25 UTC``; a text that is not an ISO 8601 time stays unchanged."""
    try:
        found = datetime.fromisoformat(iso).astimezone(UTC)
    except (ValueError, OverflowError):
        return one_line(iso)
    return f"{found.day} {found:%b %Y, %H:%M} UTC"


def side_rows(record: GateRecord, earlier: EarlierRuns) -> Iterable[SideRow]:
    """Each gated metric on all sides, the worst first.

    Args:
        record: The gate's record.
        earlier: What it is shown beside.
    """
    if record.verdict is None or record.comparison is None:
        return
    order = [(row.set_name, row.metric) for row in worst_first(record.comparison.metrics)]
    found = [
        (finding, finding.data)
        for finding in record.verdict.findings
        if isinstance(finding.data, MetricFinding) and finding.verdict is not None
    ]
    ranks = {name: place for place, name in enumerate(order)}
    found.sort(key=lambda entry: ranks.get((entry[0].set_name or "", entry[0].metric or ""), len(ranks)))
    rates = {(row.set_name, row.metric): is_rate(row) for row in record.comparison.metrics}
    for finding, data in found:
        rate = rates.get((finding.set_name or "", finding.metric or ""), data.scale == "binary")
        yield _row(record, earlier, finding, data, rate=rate)


def _row(
    record: GateRecord, earlier: EarlierRuns, finding: Finding, data: MetricFinding, *, rate: bool
) -> SideRow:
    values = [mean_text(data.candidate, rate=rate), mean_text(data.baseline, rate=rate)]
    if earlier.accepted is not None:
        values.append(_accepted_mean(earlier.accepted, finding, rate=rate))
    low, high = (
        drop_text(bound, rate=rate).removesuffix("\u00a0pts") for bound in (data.drop.low, data.drop.high)
    )
    able = data.minimum_detectable_drop
    history, drawing = _history(earlier, finding, rate=rate)
    tone, word = _verdict(record, finding, data)
    return SideRow(
        tone=tone,
        word=word,
        name=metric_title(finding, record),
        values=tuple(values),
        drop=drop_text(data.drop.estimate, rate=rate),
        interval=f"[{low}, {high}]",
        margin=margin_text(data.margin, rate=rate),
        counts=_counts(finding, data),
        detects="no drop" if able is None else f"≥\u00a0{margin_text(able, rate=rate)}",
        other=other_question(data.population, data.other_question),
        history=history,
        drawing=drawing,
    )


def _verdict(record: GateRecord, finding: Finding, data: MetricFinding) -> tuple[Tone, str]:
    """The metric's verdict; a pass of a set that had nothing to lose is none."""
    assert finding.verdict is not None
    empty = finding.set_name in empty_sets(record)
    if empty and finding.verdict is GateVerdict.PASS and finding.metric == PASS_RATE:
        return "inconclusive", NOTHING_TO_LOSE
    better = data.standing is Standing.BETTER
    return TONES[finding.verdict], "better" if better else str(finding.verdict)


def _counts(finding: Finding, data: MetricFinding) -> str:
    n = figures.count(data.n)
    if finding.metric != PASS_RATE:
        return f"mean of {n}"
    return f"{figures.count(data.lost)} lost, {figures.count(data.gained)} gained of {n}"


def _accepted_mean(accepted: Baseline, finding: Finding, *, rate: bool) -> str:
    for kept in accepted.summaries:
        if (kept.set_name, kept.summary.metric) == (finding.set_name, finding.metric):
            return mean_text(kept.summary.mean.estimate, rate=rate)
    return "–"


def _history(earlier: EarlierRuns, finding: Finding, *, rate: bool) -> tuple[Sparkline | None, str]:
    """The metric in the stored runs as a line, and in words."""
    points = [
        point
        for point in earlier.metrics
        if (point.set_name, point.metric) == (finding.set_name, finding.metric)
    ]
    line = sparkline(
        [point.mean for point in points],
        [point.verdict is GateVerdict.REGRESS for point in points],
        rate=rate,
    )
    if line is None:
        return None, ""
    means = [mean_text(point.mean, rate=rate) for point in points]
    return line, f"{len(points)} runs, from {means[0]} to {means[-1]}"
