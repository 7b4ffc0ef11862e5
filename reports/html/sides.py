"""Candidate, baseline and previous accepted run side by side, with the history of each gated metric."""

from collections.abc import Iterable
from dataclasses import replace

from harness.presentation.gap_sentences import too_few
from harness.presentation.sentences import NOT_SCORED, NOT_TESTABLE, empty_metrics, rows_without_value
from harness.types import (
    Finding,
    GateRecord,
    GateVerdict,
    MetricFinding,
    NothingToLoseFinding,
    Standing,
)
from reports.earlier_runs import EarlierRuns
from reports.html import figures
from reports.html.accepted import Shared, accepted_summary, shared_means
from reports.html.charts import SPARK_MOST, Sparkline, is_drawn, sparkline
from reports.html.first_screen import SideRow, Tone
from reports.html.metrics import (
    TONES,
    change_text,
    drops_text,
    is_rate,
    margin_text,
    mean_text,
    other_question,
    range_text,
    worst_first,
)
from reports.html.names import PASS_RATE, metric_title
from reports.html.text import one_line

_ABOUT = 60


def side_rows(record: GateRecord, earlier: EarlierRuns, shared: Shared | None = None) -> Iterable[SideRow]:
    """Each gated metric on all sides, the worst first.

    Args:
        record: The gate's record.
        earlier: What it is shown beside.
        shared: What :func:`shared_means` gives of the accepted run; None where nobody has asked for it yet.
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
    lacking = rows_without_value(record)
    shared = shared_means(record, earlier.accepted) if shared is None else shared
    rates = {(row.set_name, row.metric): is_rate(row) for row in record.comparison.metrics}
    for finding, data in found:
        rate = rates.get((finding.set_name or "", finding.metric or ""), data.scale == "binary")
        row = _row(record, earlier, finding, data, shared, rate=rate)
        if told := lacking.get((finding.set_name or "", finding.metric or "")):
            row = replace(row, counts=f"{told}; {row.counts}")
            if finding.verdict is GateVerdict.PASS and record.verdict.outcome is not GateVerdict.PASS:
                row = replace(row, tone="inconclusive", word=NOT_SCORED)
        yield row


def _row(
    record: GateRecord,
    earlier: EarlierRuns,
    finding: Finding,
    data: MetricFinding,
    shared: Shared,
    *,
    rate: bool,
) -> SideRow:
    values, change = [mean_text(data.candidate, rate=rate), mean_text(data.baseline, rate=rate)], ""
    if earlier.accepted is not None:
        then = accepted_summary(earlier.accepted, finding)
        values.append("–" if then is None else mean_text(then.mean.estimate, rate=rate))
        against = shared.get((finding.set_name or "", finding.metric or ""))
        change = "" if against is None else f"{change_text(against.drop, rate=rate)}{against.where}"
    history, ends, drawing = _history(record, earlier, finding, rate=rate)
    tone, word = _verdict(record, finding, data)
    empty = word == NOT_TESTABLE
    asked = None if empty or data.other_question is finding.verdict else data.other_question
    return SideRow(
        tone=tone,
        word=word,
        name=metric_title(finding, record.run.metrics),
        about=_about(record, finding),
        values=tuple(values),
        accepted_change=change,
        drop="–" if empty else change_text(data.drop.estimate, rate=rate),
        interval="" if empty else range_text(data.drop, rate=rate, beyond=data.margin),
        margin=margin_text(data.margin, rate=rate),
        counts=_passed_by_baseline(record, finding) if empty else _counts(finding, data),
        detects="" if empty else _detects(finding, data, rate=rate),
        other=other_question(data.population, asked),
        history=history,
        ends=ends,
        drawing=drawing,
    )


def _about(record: GateRecord, finding: Finding) -> str:
    """The golden set in words: its description, or else what it is for."""
    known = next((each for each in record.run.golden_sets if each.name == finding.set_name), None)
    if known is None:
        return ""
    return one_line(known.description, _ABOUT) or ("forgetting probes" if known.probes_forgetting else "")


def _verdict(record: GateRecord, finding: Finding, data: MetricFinding) -> tuple[Tone, str]:
    """The metric's verdict; without a possible drop neither a pass nor one that more cases would decide."""
    assert finding.verdict is not None
    empty = (finding.set_name, finding.metric) in empty_metrics(record)
    if empty and finding.verdict is not GateVerdict.REGRESS:
        return "inconclusive", NOT_TESTABLE
    better = data.standing is Standing.BETTER
    return TONES[finding.verdict], "better" if better else str(finding.verdict)


def _passed_by_baseline(record: GateRecord, finding: Finding) -> str:
    """Why a metric of which the baseline has almost nothing shows no drop."""
    assert record.verdict is not None
    data = next(
        each.data
        for each in record.verdict.findings
        if isinstance(each.data, NothingToLoseFinding)
        and (each.set_name, each.metric) == (finding.set_name, finding.metric)
    )
    if finding.metric != PASS_RATE:
        return f"the baseline is {data.passed / data.n:.3g} from the worst value: too little for a drop"
    of = f"of these {figures.count(data.n)}"
    if data.passed == 0:
        return f"the baseline passes none {of}: no drop is possible"
    return f"the baseline passes only {data.passed:g} {of}: too few for a drop that is not allowed"


def _detects(finding: Finding, data: MetricFinding, *, rate: bool) -> str:
    """The smallest drop that would be found; where that is too large to decide, so much is said."""
    able, allowed = data.minimum_detectable_drop, margin_text(data.margin, rate=rate)
    if data.too_few is not None and finding.verdict is not GateVerdict.REGRESS:
        return too_few(data, data.too_few)
    if able is None:
        return "" if finding.verdict is GateVerdict.REGRESS else "too few cases to show any drop"
    about = "about " if data.detects_roughly else ""
    drops = drops_text(able, data.minimum_detectable_cluster_drop, rate=rate, beyond=data.margin)
    found = f"smallest drop found: {about}{drops}"
    if finding.verdict is GateVerdict.INCONCLUSIVE and able > data.margin:
        return f"{found}; these cases can't show one of {allowed}"
    return found


def _counts(finding: Finding, data: MetricFinding) -> str:
    n = figures.count(data.n)
    if finding.metric != PASS_RATE:
        return f"mean of {n}"
    return f"{figures.count(data.lost)} lost, {figures.count(data.gained)} gained of {n}"


def _history(
    record: GateRecord, earlier: EarlierRuns, finding: Finding, *, rate: bool
) -> tuple[Sparkline | None, str, str]:
    """The metric in whole runs as a line, its first and last value, and both in words."""
    points = [
        point
        for point in earlier.metrics
        if (point.set_name, point.metric) == (finding.set_name, finding.metric) and is_drawn(point.mean)
    ][-SPARK_MOST:]
    line = sparkline(
        [point.mean for point in points],
        [point.verdict is GateVerdict.REGRESS for point in points],
        rate=rate,
    )
    if line is None:
        return None, "fewer than two whole runs of the same cases and metric", ""
    means = [mean_text(point.mean, rate=rate) for point in points]
    # This run may be a part, or its mean that of a part of its cases.
    others = "" if points[-1].run_id == record.run.id else " before this one"
    changed = "; the set has changed since" if len({point.set_sha256 for point in points}) > 1 else ""
    said = f"{len(points)} runs{others}, from {means[0]} to {means[-1]}{changed}"
    return line, f"{means[0]} → {means[-1]}{others}{changed}", said
