"""The verdict as one plain sentence, and what to do about it; written from the findings."""

from collections.abc import Sequence

from harness.presentation.sentences import sentence_of
from harness.types import (
    Finding,
    GateRecord,
    GateVerdict,
    MetricFinding,
    NothingToLoseFinding,
    RegressedCasesFinding,
    Standing,
    TripwireFinding,
    Verdict,
)
from reports.html import figures
from reports.html.metrics import PASS_RATE, metric_name
from reports.html.names import short_label
from reports.html.text import one_line

_MOST_NAMES = 3


def lead_of(record: GateRecord) -> tuple[str, str]:
    """A sentence and an advice; the advice is empty if there is nothing to do."""
    if record.baseline is None or record.verdict is None:
        return (
            "The scores were not compared with a baseline, so there is no verdict.",
            "Gate an adapter against its base model, or give --gate-baseline a stored run or a directory.",
        )
    other = short_label(record.baseline.model)
    deciding = [each for each in record.verdict.findings if each.verdict is record.verdict.outcome]
    metrics = [each for each in deciding if isinstance(each.data, MetricFinding)]
    where = _listed([metric_title(each, record) for each in metrics])
    if record.verdict.outcome is GateVerdict.PASS:
        better = [metric_title(each, record) for each in metrics if _is_better(each)]
        also = f" On {_listed(better)} it is better." if better else ""
        return f"The candidate is no worse than {other} by more than the margins tolerate.{also}", ""
    if record.verdict.outcome is GateVerdict.REGRESS:
        return _regressed(deciding, where, other), ""
    if metrics:
        return (
            f"These cases can't tell whether the candidate is worse than {other} on {where}.",
            "More cases would decide it, or a wider margin if you can tolerate it.",
        )
    return _without_a_metric(record.verdict, deciding)


def _regressed(deciding: Sequence[Finding], where: str, other: str) -> str:
    """Where the candidate is worse: a metric, single cases, or must-pass cases."""
    if where:
        return f"The candidate is worse than {other} on {where}, by more than chance explains."
    if cases := _regressed_cases(deciding):
        return f"The candidate answers {_listed(cases)} worse than {other}, by more than chance explains."
    return f"A must-pass case failed: {sentence_of(deciding[0])}."


def metric_title(finding: Finding, record: GateRecord) -> str:
    """The set's name, and the metric's name unless it is the pass rate.

    Args:
        finding: About one metric.
        record: The gate's record, with the facts about its metrics.
    """
    if finding.metric is None or finding.metric == PASS_RATE:
        return finding.set_name or ""
    return f"{finding.set_name} {metric_name(finding.metric, record.run.metrics)}"


def _without_a_metric(verdict: Verdict, deciding: Sequence[Finding]) -> tuple[str, str]:
    """Inconclusive for another reason than a metric: the first finding says why."""
    first = deciding[0] if deciding else verdict.findings[0]
    reason = sentence_of(first)
    if isinstance(first.data, TripwireFinding):
        return (
            f"No case shows a loss, but the loss on general text rose: {reason}.",
            "Look at what it was trained on, or gate it on more forgetting probes.",
        )
    if isinstance(first.data, NothingToLoseFinding):
        return f"There was nothing to lose: {reason}.", "Add cases that the baseline passes."
    return f"Too much is missing for a verdict: {reason}.", "Fix what errored and run the gate again."


def _is_better(finding: Finding) -> bool:
    return isinstance(finding.data, MetricFinding) and finding.data.standing is Standing.BETTER


def _regressed_cases(findings: Sequence[Finding]) -> list[str]:
    return [
        one_line(case.key)
        for finding in findings
        if isinstance(finding.data, RegressedCasesFinding)
        for case in finding.data.cases
    ]


def _listed(names: Sequence[str]) -> str:
    """Names for a sentence; the first three if there are many."""
    shown = list(names) if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 1], _more(names)]
    return "".join(shown) if len(shown) <= 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _more(names: Sequence[str]) -> str:
    return f"{figures.count(len(names) - _MOST_NAMES + 1)} more"
