"""Why the verdict is what it is, in one plain sentence; written from the findings."""

from collections.abc import Sequence

from harness.presentation.gap_sentences import end_of_compared, without_labels
from harness.presentation.sentences import sentence_of
from harness.types import (
    ChangedCasesFinding,
    ConfirmationFinding,
    FailedTestsFinding,
    Finding,
    GateRecord,
    GateVerdict,
    MetricFinding,
    MustPassFinding,
    NothingToLoseFinding,
    NoVerdictFinding,
    RegressedCasesFinding,
    Standing,
    TripwireFinding,
    Verdict,
)
from reports.html import figures
from reports.html.metrics import drop_text, in_margins, margin_text
from reports.html.names import PASS_RATE, description_of, quoted, quoted_title
from reports.html.text import one_line

_MOST_NAMES = 3
# What more cases don't fix.
LACKING = (NoVerdictFinding, ChangedCasesFinding)


def lead_of(record: GateRecord) -> str:
    """The reason for the verdict in one sentence."""
    if record.baseline is None or record.verdict is None:
        return "The scores were not compared with a baseline, so there is no verdict."
    deciding = deciding_findings(record.verdict)
    metrics = [each for each in deciding if is_of_metric(each)]
    where = listed([quoted_title(each, record.run.metrics) for each in metrics])
    if record.verdict.outcome is GateVerdict.PASS:
        better = [quoted_title(each, record.run.metrics) for each in metrics if _is_better(each)]
        also = f" On {listed(better)} it is better." if better else ""
        return f"The candidate is no worse than the baseline by more than the allowed drops.{also}"
    if record.verdict.outcome is GateVerdict.REGRESS:
        return _regressed(record, deciding, metrics)
    lacks = bool(deciding) and isinstance(deciding[0].data, LACKING)
    if not lacks and (refuted := list(filter(is_refuted, deciding))):
        return _refuted(refuted)
    if metrics and not lacks:
        return (
            f"These cases can't tell whether the candidate is worse than the baseline on {where}: "
            f"{_not_excluded(metrics[0])}{_unsteady(metrics[0])}."
        )
    return _without_a_metric(record.verdict, deciding)


def deciding_findings(verdict: Verdict) -> list[Finding]:
    """The findings whose own verdict is the run's, in order of weight.

    What has no verdict or was changed comes first: more cases decide nothing while those that are there are
    not scored on both sides.
    """
    found = [each for each in verdict.findings if each.verdict is verdict.outcome]
    return sorted(found, key=lambda each: not isinstance(each.data, LACKING))


def _regressed(record: GateRecord, deciding: Sequence[Finding], metrics: Sequence[Finding]) -> str:
    """Where the candidate is worse: a metric, single cases, must-pass cases, or hand-written tests."""
    if metrics:
        worst = max(metrics, key=_beyond_margin)
        where = listed([quoted_title(each, record.run.metrics) for each in metrics])
        most = "" if len(metrics) == 1 else f"most on {quoted_title(worst, record.run.metrics)}, "
        return (
            f"The candidate is worse than the baseline on {where}, by more than chance explains: "
            f"{most}{_fell(worst)}."
        )
    if cases := _regressed_cases(deciding):
        return f"The candidate answers {listed(cases)} worse than the baseline, by more than chance explains."
    if isinstance(deciding[0].data, FailedTestsFinding):
        return f"{sentence_of(deciding[0])}."
    name = deciding[0].set_name or ""
    about = _described(record, deciding[0])
    return f"In {quoted(name)}, {sentence_of(deciding[0]).removeprefix(f'{name}: ')}{about}."


def _described(record: GateRecord, finding: Finding) -> str:
    """What the first must-pass case that did not pass is about, as its author wrote it."""
    keys = finding.data.cases if isinstance(finding.data, MustPassFinding) else ()
    cases = {result.key: result.case for result in record.run.results if result.key in keys}
    described = [text for key in keys if key in cases and (text := description_of(cases[key]).rstrip("."))]
    return f" ({described[0]})" if described else ""


def _beyond_margin(finding: Finding) -> tuple[float, float]:
    """How many times the margin a drop is."""
    data = finding.data
    return in_margins(data.drop.estimate, data.margin) if isinstance(data, MetricFinding) else (0.0, 0.0)


def _fell(finding: Finding) -> str:
    data = finding.data
    assert isinstance(data, MetricFinding)
    rate = data.scale == "binary"
    margin = margin_text(data.margin, rate=rate)
    drop = drop_text(data.drop.estimate, rate=rate, beyond=data.margin).lstrip("+")
    if finding.metric != PASS_RATE:
        return f"a drop of {drop}, with {margin} allowed"
    return (
        f"{figures.count(data.lost)} of {figures.count(data.n)} cases lost, "
        f"{figures.count(data.gained)} gained, a drop of {drop}, with {margin} allowed"
    )


def _not_excluded(finding: Finding) -> str:
    """Which of the drop's two upper ends is beyond the margin."""
    data = finding.data
    assert isinstance(data, MetricFinding)
    rate = data.scale == "binary"
    margin = margin_text(data.margin, rate=rate)
    if data.high_unseen is None or data.drop.high > data.margin:
        largest = margin_text(data.drop.high, rate=rate, beyond=data.margin)
        return f"the drop may be as large as {largest}, with {margin} allowed"
    unseen = margin_text(data.high_unseen, rate=rate, beyond=data.margin)
    ways = []
    if data.missing:
        without = "1 case has" if data.missing == 1 else f"{figures.count(data.missing)} cases have"
        limit = (
            "what was lost there has no limit" if data.missing_unlimited else f"all lost, it may be {unseen}"
        )
        ways.append(f"{without} a value on one side only: {limit}")
    if (own := end_of_compared(data)) is not None:
        seen = figures.count(data.n) + " cases"
        if data.clusters != data.n:
            seen = f"{figures.count(data.clusters)} clusters of cases"
        most = margin_text(own, rate=rate, beyond=data.margin)
        seen = one_line(seen + without_labels(data))
        ways.insert(0, f"{seen} can miss rare losses of up to {most} in all")
    return f"no drop beyond the allowed {margin} is seen, but {', and '.join(ways)}"


def _unsteady(finding: Finding) -> str:
    """Why equal answers leave a drop of exactly these cases possible."""
    data = finding.data
    return f" ({data.unsteady})" if isinstance(data, MetricFinding) and data.unsteady else ""


def is_of_metric(finding: Finding) -> bool:
    """Whether it is about a metric of which something could be lost."""
    return isinstance(finding.data, MetricFinding) and not finding.data.nothing_to_lose


def is_refuted(finding: Finding) -> bool:
    """Whether it is a regression that new answers did not show; its metric's row still has the first ones."""
    return isinstance(finding.data, ConfirmationFinding) and not finding.data.confirmation.stands


def _refuted(findings: Sequence[Finding]) -> str:
    """What regressed at first, and that new answers to those cases decided."""
    where = listed([quoted(name) for name in dict.fromkeys(each.set_name or "" for each in findings)])
    return (
        f"The candidate seemed worse than the baseline on {where}, but new answers to the same cases did not "
        f"show it: {sentence_of(findings[0])}."
    )


def _without_a_metric(verdict: Verdict, deciding: Sequence[Finding]) -> str:
    """Inconclusive for another reason than a metric: the first finding says why."""
    first = deciding[0] if deciding else verdict.findings[0]
    reason = sentence_of(first)
    if isinstance(first.data, TripwireFinding):
        return f"No set shows a drop beyond what is allowed, but the loss on general text rose: {reason}."
    if isinstance(first.data, NothingToLoseFinding):
        return _not_testable(first, first.data)
    return f"Too much is missing for a verdict: {reason}."


def _not_testable(finding: Finding, data: NothingToLoseFinding) -> str:
    if finding.metric != PASS_RATE:
        return f"Too little can be lost for a drop that is not allowed: {sentence_of(finding)}."
    cases = f"of the {figures.count(data.n)} cases of {quoted(finding.set_name or '')}"
    if data.passed == 0:
        return f"The baseline passes none {cases}, so no drop is possible and nothing can be concluded."
    return f"The baseline passes only {data.passed:g} {cases}, too few for a drop that is not allowed."


def _is_better(finding: Finding) -> bool:
    return isinstance(finding.data, MetricFinding) and finding.data.standing is Standing.BETTER


def _regressed_cases(findings: Sequence[Finding]) -> list[str]:
    return [
        one_line(case.key)
        for finding in findings
        if isinstance(finding.data, RegressedCasesFinding)
        for case in finding.data.cases
    ]


def listed(names: Sequence[str]) -> str:
    """Names for a sentence; the first three if there are many."""
    shown = list(names) if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 1], _more(names)]
    return "".join(shown) if len(shown) <= 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _more(names: Sequence[str]) -> str:
    return f"{figures.count(len(names) - _MOST_NAMES + 1)} more"
