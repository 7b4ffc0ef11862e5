"""Findings as plain English sentences. All text about a verdict is written here."""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from harness.comparison.pairing import PASS_RATE
from harness.golden.counted_outcomes import GRADED, counted_outcomes
from harness.presentation.condition_sentences import MAYBE, own_settings, plans, scorers
from harness.presentation.gap_sentences import (
    changed_cases,
    end_of_compared,
    named,
    no_verdict,
    not_compared,
    too_few,
    units_of,
    unpaired,
    without_labels,
)
from harness.presentation.steadying_sentences import steadied
from harness.statistics.looks import LEAST_UNITS
from harness.types import (
    CaseResult,
    ChangedCasesFinding,
    ConfirmationFinding,
    DriverFinding,
    FailedTestsFinding,
    Finding,
    GateRecord,
    GateVerdict,
    Interval,
    MetricComparison,
    MetricFinding,
    MustPassFinding,
    NotComparedFinding,
    NoteFinding,
    NothingGatedFinding,
    NothingToLoseFinding,
    NoVerdictFinding,
    OtherTextFinding,
    Outcome,
    OwnSettingsFinding,
    PartialRunFinding,
    PlansFinding,
    RegressedCase,
    RegressedCasesFinding,
    RetentionFinding,
    ScorersFinding,
    SharedTrait,
    Standing,
    StoppedFinding,
    TimesFinding,
    TraitsFinding,
    TripwireFinding,
    UnpairedFinding,
    Verdict,
    id_of,
)
from harness.types.golden import is_within
from tunegate.figures import both_of, figure_of, figures_of, p_of, rates_of, rise_of, share_of

NOT_TESTABLE, NOT_SCORED = "not testable", "not scored"
_MOST_SKILLS, _MOST_REGRESSED = 3, 3


def sentences_of(verdict: Verdict) -> tuple[str, ...]:
    """The verdict's findings as sentences, in their order."""
    return tuple(sentence_of(finding) for finding in verdict.findings)


def verdict_line(record: GateRecord) -> str:
    """A gate's verdict in one line: the word, both models, and the first finding that decided it.

    Terminals, JUnit, JSON, comments and annotations all have this line.
    """
    if record.verdict is None or record.baseline is None:
        return f"NO VERDICT: {record.run.model.label} was compared with nothing"
    word = record.verdict.outcome
    sides = f"{record.run.model.label} against {record.baseline.model.label}"
    own = [finding for finding in record.verdict.findings if finding.verdict is word]
    return ": ".join([word.upper(), sides, *([sentence_of(own[0])] if own else [])])


def sentence_of(finding: Finding) -> str:
    """One finding as a sentence, with the figures that a person can check."""
    return _WRITERS[type(finding.data)](finding, finding.data)


def _metric(finding: Finding, data: MetricFinding) -> str:
    change = " → ".join(both_of(data.baseline, data.candidate, 3))
    size = max(abs(data.baseline), abs(data.candidate))
    count = f"n={data.n}" if data.clusters == data.n else f"n={data.n} in {data.clusters} clusters"
    drop = "drop of exactly these cases" if data.population == "cases" else "drop"
    bounds = f"{drop} {_span(data.drop, size, data.margin)}, {count}"
    name = f"{finding.set_name} {finding.metric}"
    if finding.verdict is GateVerdict.REGRESS:
        verb = "rose" if data.candidate > data.baseline else "fell"
        flips = f"; {data.lost} {'case' if data.lost == 1 else 'cases'} lost, {data.gained} gained"
        shown = flips * (data.scale == "binary")
        return f"{name} {verb}: {change}, {bounds}, {p_of(data.p_value)}{shown}"
    if finding.verdict is GateVerdict.PASS:
        hidden = "" if not data.missing else f", also if {_one_sided(data)} lost"
        return f"{name} passes: {change}, {bounds}: {_standing(data)}{hidden}"
    if data.nothing_to_lose:
        return (
            f"{name} is not testable: {change}, {bounds}: the margin of {data.margin:g} allows to lose it all"
        )
    able, few = data.minimum_detectable_drop, units_of(data)
    reach = f"so few {few} can detect none"
    if data.too_few is not None:
        reach = too_few(data, data.too_few)
    elif able is not None:
        reach = f"a true drop of {figure_of(able, 2)} or more would be detected{_by_clusters(data, few)}"
    settle, unsure = data.cases_to_settle, data.clusters < min(LEAST_UNITS, data.n)
    sure = "in about half of all runs or more" if unsure else "in 80 % of runs or more"
    more = "" if settle is None else f"; about {settle} such cases would settle it {sure}"
    if data.unsteady:
        more += f"; {data.unsteady}: {steadied(data)}"
    if data.population == "sample" and data.other_question is GateVerdict.REGRESS:
        more += "; exactly these cases got worse: with gate: {population: cases} it would regress"
    return f"{name} is inconclusive: {change}, {bounds}: {_not_excluded(data)}; {reach}{more}"


def _by_clusters(data: MetricFinding, few: str) -> str:
    """From where on a drop is detected that takes whole clusters, or that the figure is a rough one."""
    whole = data.minimum_detectable_cluster_drop
    rough = f", as far as {data.clusters} {few} can tell" if data.detects_roughly else ""
    return rough if whole is None else f" (of {figure_of(whole, 2)} where whole clusters fall)"


def _not_excluded(data: MetricFinding) -> str:
    """Which of the two upper ends is beyond the margin."""
    if data.drop.high > data.margin or (data.high_unseen is None and not data.missing):
        kept = ""
        if data.missing and data.high_at_best is not None and data.high_at_best <= data.margin:
            kept = f", but none is to be seen if {_one_sided(data)} kept"
        return f"a drop of more than {data.margin:g} is not excluded{kept}"
    ways = [_missing(data)] if data.missing else []
    if (unseen := end_of_compared(data)) is not None:
        cases = f"{data.n} cases" if data.clusters == data.n else f"{data.clusters} clusters"
        most = both_of(unseen, data.margin, 3)[0]
        ways.insert(0, f"{cases}{without_labels(data)} can miss rare losses, of up to {most} in all")
    return f"no drop of more than {data.margin:g} is to be seen, but {', and '.join(ways)}"


def _missing(data: MetricFinding) -> str:
    """What cases with a value on one side only could hide."""
    of = "1 case has" if data.missing == 1 else f"{data.missing} cases have"
    hidden, most = "nothing limits how much they lost", data.high_unseen or data.drop.high
    if not data.missing_unlimited:
        hidden = f"if all of them were lost, the drop may be up to {both_of(most, data.margin, 3)[0]}"
    return f"{of} a value on one side only: {hidden}"


def _one_sided(data: MetricFinding) -> str:
    which = "the case" if data.missing == 1 else f"all {data.missing} cases"
    return f"{which} with a value on one side only {'was' if data.missing == 1 else 'were'}"


def _standing(data: MetricFinding) -> str:
    end = data.drop.high if data.high_unseen is None else data.high_unseen
    # An earlier version went by the interval alone.
    if data.standing is Standing.BETTER and end < 0:
        return f"it is better, by {figure_of(-end, 3)} at least"
    if data.standing is Standing.EQUAL:
        return f"a change of more than {data.margin:g} either way is excluded"
    return f"a drop of more than {data.margin:g} is excluded"


def _span(value: Interval, size: float = 1.0, margin: float | None = None) -> str:
    """A drop with its interval, whose end is not told as the margin if it is beyond."""
    *ends, high = figures_of((value.estimate, value.low, value.high), 3, sign="+", size=size)
    if margin is not None and not is_within(value.high, margin) and float(high) <= margin:
        high = f"+{both_of(value.high, margin, 3)[0]}"
    return "{} [{}, {}]".format(*ends, high)


def _regressed_cases(finding: Finding, data: RegressedCasesFinding) -> str:
    named = ", ".join(_regressed_case(case) for case in data.cases[:_MOST_REGRESSED])
    more = len(data.cases) - _MOST_REGRESSED
    rest = f" and {more} more" if more > 0 else ""
    of_all = "" if data.in_all is None else f" of all {data.in_all}"
    tolerated = f"; {share_of(data.tolerated)}{of_all} are tolerated" if data.tolerated else ""
    return (
        f"{finding.set_name}: {len(data.cases)} of {data.n} cases regressed, each beyond chance: "
        f"{named}{rest}{tolerated}"
    )


def _regressed_case(case: RegressedCase) -> str:
    name = id_of(case.key)
    was, now = (f"{side.passed}/{side.answers}" for side in (case.was, case.now))
    return f"{name} {was} → {now} ({p_of(case.p_value)})"


def _must_pass(finding: Finding, data: MustPassFinding) -> str:
    ids = [id_of(key) for key in data.cases]
    cases = "case" if len(ids) == 1 else "cases"
    what = "did not pass" if finding.verdict is GateVerdict.REGRESS else "without a verdict"
    return f"{finding.set_name}: {len(ids)} must-pass {cases} {what}: {named(ids)}"


def _failed_tests(_: Finding, data: FailedTestsFinding) -> str:
    tests = "test" if len(data.tests) == 1 else "tests"
    return f"{len(data.tests)} hand-written {tests} of the model failed: {named(data.tests)}"


def _confirmation(finding: Finding, data: ConfirmationFinding) -> str:
    found = data.confirmation
    one = len(found.cases) == 1
    what = f"{finding.set_name}: {len(found.cases)} {found.finding} {'case' if one else 'cases'}"
    if found.was is None or found.now is None:
        return f"{what} could not be resampled, so the regression stands: {found.problem}"
    judged = f" and {found.judge_requests} judge requests" if found.judge_requests else ""
    cost = f"{2 * found.times * len(found.cases)} fresh answers{judged} in {found.duration_s:.0f} s"
    shown = (
        f"baseline {found.was.passed}/{found.was.answers}, candidate {found.now.passed}/{found.now.answers}, "
        f"{p_of(found.p_value or 0.0)}; {cost}"
    )
    if found.problem:
        return f"{what} resampled, {shown}: {found.problem}, so the regression stands"
    verb = f"confirm{'s' * one} it" if found.stands else f"do{'es' * one} not confirm a drop"
    return f"{what} resampled {verb}: {shown}"


def _retention(_: Finding, data: RetentionFinding) -> str:
    kept = data.overall
    worst = data.worst[:_MOST_SKILLS]
    named = ", ".join(f"{skill.skill} {skill.retained}/{skill.passed_by_baseline}" for skill in worst)
    details = f"; least of {named}" if named else ""
    rate = rates_of(*_ends(kept.rate))
    return f"forgetting: kept {kept.retained} of {kept.passed_by_baseline} passed probes, {rate}{details}"


def empty_metrics(record: GateRecord) -> frozenset[tuple[str, str]]:
    """The sets and metrics of which the baseline has so little that nothing could be lost."""
    findings = () if record.verdict is None else record.verdict.findings
    empty = (each for each in findings if isinstance(each.data, NothingToLoseFinding))
    return frozenset((each.set_name or "", each.metric or "") for each in empty)


def rows_without_value(record: GateRecord) -> dict[tuple[str, str], str]:
    """What most cases of a compared row are instead of having a value: ``25/30 errored``, by set and metric.

    The mean of the few others would be taken for the set's.
    """
    found: dict[tuple[str, str], str] = {}
    for run in (record.baseline, record.run):
        if record.comparison is None or run is None:
            return {}
        words = counted_outcomes(run) if any(map(_is_unscored, run.results)) else ()
        graded = {result.key for result, word in zip(run.results, words, strict=False) if word == GRADED}
        for row in record.comparison.metrics:
            # A case that only grades is no case of the pass rate.
            left_out = graded if row.metric == PASS_RATE else set()
            of_set = (result for result in run.results if result.case.set_name == row.set_name)
            taken = [result for result in of_set if result.key not in left_out]
            causes = [each for result in taken if (each := _state(result, row.metric)) is not None]
            without = Counter(cause for cause in causes if cause)
            if 2 * without.total() > len(causes):
                cause = f"{without.total()}/{len(causes)} {without.most_common(1)[0][0]}"
                found[row.set_name, row.metric] = cause
    return found


def _is_unscored(result: CaseResult) -> bool:
    return result.outcome is Outcome.UNSCORED


def _state(result: CaseResult, metric: str) -> str | None:
    """Why a metric has no value in a case; empty if it has one, None if the case doesn't have the metric."""
    if metric == PASS_RATE:
        if result.outcome is Outcome.SKIPPED:
            return None
        return str(result.outcome) if result.outcome in {Outcome.ERRORED, Outcome.UNSCORED} else ""
    if any(score.metric == metric for score in result.scores):
        return ""
    if any(error.metric == metric for error in result.errors):
        return str(Outcome.ERRORED)
    return str(Outcome.UNSCORED) if any(each.metric == metric for each in result.unscored) else None


def is_reason(finding: Finding) -> bool:
    """Whether a finding says more than its metric's row: neither a pass, nor one that has another reason."""
    data = finding.data
    return not isinstance(data, MetricFinding) or (
        finding.verdict is not GateVerdict.PASS and not data.nothing_to_lose
    )


def instead_of_verdict(
    record: GateRecord, row: MetricComparison, told: str | None, empty: Collection[tuple[str, str]]
) -> str | None:
    """The word for a row whose pass, or doubt, is none; None where the row's own verdict holds.

    Args:
        record: The gate's record.
        row: One of its rows.
        told: What most of its cases are instead of having a value.
        empty: The sets and metrics of which nothing could be lost.
    """
    testable = (row.set_name, row.metric) not in empty
    if row.verdict is not GateVerdict.PASS:
        return None if testable or row.verdict is not GateVerdict.INCONCLUSIVE else NOT_TESTABLE
    gate = None if record.verdict is None else record.verdict.outcome
    if told and gate is not GateVerdict.PASS:
        return NOT_SCORED
    return None if testable else NOT_TESTABLE


def _nothing_to_lose(finding: Finding, data: NothingToLoseFinding) -> str:
    has = f"passes {data.passed:g} of {data.n} cases"
    remedy = "choose a smaller margin" if data.passed == data.n else "choose cases that it passes"
    if finding.metric != PASS_RATE:
        has = f"has {finding.metric} within {data.passed / data.n:.3g} of the worst"
        remedy = "choose cases on which it is better, or a smaller margin"
    has += f", no more than the margin of {data.margin:g} allows to lose"
    return f"{finding.set_name}: the baseline {has}: {remedy}"


def _driver(_: Finding, data: DriverFinding) -> str:
    driver, ids = data.driver, [id_of(key) for key in data.driver.lost]
    return (
        f"{driver.set_name}: {len(ids)} of {driver.lost_in_set} lost cases are of {driver.kind}"
        f" {driver.name}: drop {_span(driver.drop)}, n={driver.n},"
        f" elsewhere {figures_of((driver.drop_elsewhere,), 3, sign='+')[0]}: {named(ids)}"
    )


def _traits(finding: Finding, data: TraitsFinding) -> str:
    shared = "; ".join(
        f"{each.trait} ({each.lost} of {each.of_lost} lost, {_elsewhere(each)})" for each in data.traits
    )
    return f"{finding.set_name}: lost cases have in common: {shared}"


def _elsewhere(trait: SharedTrait) -> str:
    """How frequent a trait is where nothing was lost."""
    if trait.before is not None:
        return f"{trait.before} of {trait.of_lost} before"
    return f"{trait.kept} of {trait.of_kept} kept"


def _tripwire(_: Finding, data: TripwireFinding) -> str:
    rose, limit = rise_of(_ends(data.change), data.limit)
    return f"tripwire: cross-entropy on general text rose by {rose}, limit {limit}"


def _other_text(_: Finding, data: OtherTextFinding) -> str:
    rises = (f"{kind} by {rise_of(_ends(change), data.limit)[0]}" for kind, change in data.texts.items())
    return f"cross-entropy on other text rose on {', '.join(rises)}: for information, it holds no pass back"


def _ends(value: Interval) -> tuple[float, float, float]:
    return value.estimate, value.low, value.high


def _stopped(finding: Finding, data: StoppedFinding) -> str:
    part = f"{data.answered} of {data.cases} cases"
    if data.passed:
        return f"{finding.set_name}: decided at look {data.look} of {data.planned}, after {part}"
    return (
        f"{finding.set_name}: {part} were answered: the gate stopped at look {data.look} of {data.planned}, "
        f"since the run had regressed"
    )


# One writer per kind; a test checks that none is missing. Each gets the data of its own class.
_WRITERS: dict[type, Callable[[Finding, Any], str]] = {
    MetricFinding: _metric,
    RegressedCasesFinding: _regressed_cases,
    MustPassFinding: _must_pass,
    FailedTestsFinding: _failed_tests,
    ConfirmationFinding: _confirmation,
    RetentionFinding: _retention,
    NotComparedFinding: not_compared,
    NothingToLoseFinding: _nothing_to_lose,
    NoVerdictFinding: no_verdict,
    ChangedCasesFinding: changed_cases,
    DriverFinding: _driver,
    TraitsFinding: _traits,
    TripwireFinding: _tripwire,
    OtherTextFinding: _other_text,
    PlansFinding: plans,
    TimesFinding: lambda _, data: f"times were measured {'; '.join(data.conditions)}{MAYBE}",
    ScorersFinding: scorers,
    OwnSettingsFinding: own_settings,
    PartialRunFinding: lambda _, of: f"partial run: {of.selected} of {of.collected} cases were selected",
    StoppedFinding: _stopped,
    UnpairedFinding: unpaired,
    NothingGatedFinding: lambda *_: "nothing is gated",
    NoteFinding: lambda _, data: str(data.text),
}
