"""Where a gated metric is below the run that was accepted last: another baseline may not show it."""

from dataclasses import dataclass

from harness.baselines.file import Baseline
from harness.types import Finding, GateRecord, GateVerdict, MetricFinding
from harness.types.golden import is_within
from reports.html.metrics import change_text, in_margins, is_rate, mean_text
from reports.html.names import quoted, quoted_title
from reports.html.text import one_line

_NAME = 30
_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """One gated metric that fell against the accepted run by more than the allowed drop.

    Attributes:
        title: The set's name in quotes, with the metric unless it is the pass rate.
        text: Both values and the difference, in words.
    """

    title: str
    text: str


def accepted_mean(accepted: Baseline, finding: Finding) -> float | None:
    """The accepted run's mean of a finding's metric; None if it has none.

    Args:
        accepted: The accepted run.
        finding: About one metric.
    """
    for kept in accepted.summaries:
        if (kept.set_name, kept.summary.metric) == (finding.set_name, finding.metric):
            return kept.summary.mean.estimate
    return None


def accepted_drop(record: GateRecord, accepted: Baseline, finding: Finding) -> float | None:
    """How far a metric is below the accepted run's, positive is worse; None if it is unknown.

    A run without some cases has the means of others, so it is not compared.

    Args:
        record: The gate's record.
        accepted: The accepted run.
        finding: About one metric.
    """
    then = accepted_mean(accepted, finding)
    if then is None or record.run.lacks_cases or not isinstance(finding.data, MetricFinding):
        return None
    facts = record.run.metrics.get(finding.metric or "")
    drop = then - finding.data.candidate
    return drop if facts is None or facts.higher_is_better else -drop


def falls(record: GateRecord, accepted: Baseline | None) -> tuple[Fall, ...]:
    """The gated metrics that did not regress but are below the accepted run by more than their allowed drop.

    Args:
        record: The gate's record.
        accepted: The run that was accepted last; None if there is none besides the baseline.

    Returns:
        The worst first.
    """
    if accepted is None or record.verdict is None or record.comparison is None:
        return ()
    rates = {(row.set_name, row.metric): is_rate(row) for row in record.comparison.metrics}
    found: list[tuple[tuple[float, float], Fall]] = []
    # A regression is the headline already.
    for finding in (each for each in record.verdict.findings if each.verdict is not GateVerdict.REGRESS):
        drop, data = accepted_drop(record, accepted, finding), finding.data
        if drop is None or not isinstance(data, MetricFinding) or is_within(drop, data.margin):
            continue
        rate = rates.get((finding.set_name or "", finding.metric or ""), data.scale == "binary")
        found.append((in_margins(drop, data.margin), _fall(record, accepted, finding, drop, rate=rate)))
    return tuple(fall for _, fall in sorted(found, key=lambda entry: entry[0], reverse=True))


def falls_line(record: GateRecord, accepted: Baseline | None) -> str:
    """The falls in one line; empty without any.

    Args:
        record: The gate's record.
        accepted: The run that was accepted last.
    """
    found = falls(record, accepted)
    if accepted is None or not found:
        return ""
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"{'; '.join(fall.text for fall in found[:_MOST])}{more}."


def accepted_name(accepted: Baseline) -> str:
    """The name under which the run was accepted, in quotes."""
    return quoted(one_line(accepted.name, _NAME))


def _fall(record: GateRecord, accepted: Baseline, finding: Finding, drop: float, *, rate: bool) -> Fall:
    data, then = finding.data, accepted_mean(accepted, finding)
    assert isinstance(data, MetricFinding)
    assert then is not None
    title = quoted_title(finding, record.run.metrics)
    files = [
        {each.content_sha256 for each in sets if each.name == finding.set_name}
        for sets in (record.run.golden_sets, accepted.golden_sets)
    ]
    changed = "; the set has changed since" if files[0] != files[1] else ""
    now, before = (mean_text(value, rate=rate) for value in (data.candidate, then))
    text = (
        f"{title}: {now}, accepted as {accepted_name(accepted)}: {before} "
        f"({change_text(drop, rate=rate)}{changed})"
    )
    return Fall(title=title, text=text)
