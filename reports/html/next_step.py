"""What to do about a verdict: reject, add cases, calibrate, fix, accept; written from the findings."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.authoring.remedies import are_usual
from harness.comparison.decisions import most_to_lose
from harness.comparison.findings import must_pass_findings
from harness.comparison.times import ASKED_OTHERWISE
from harness.comparison.unanswered import no_verdict_findings
from harness.golden.schema import CHECK_TYPES, base_type
from harness.presentation.gap_sentences import (
    ROOM_FOR_REASONING,
    is_rescored,
    main_cause,
    too_few,
)
from harness.presentation.steadying_sentences import (
    how_often,
    is_told_by_record,
    may_be_wider,
    possible_drop,
)
from harness.registry.metric import compared_scale
from harness.types import (
    CaseResult,
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
    Outcome,
    Run,
    TripwireFinding,
    UnscoredMetric,
)
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html import figures
from reports.html.accepted import Shared, accepted_name, falls
from reports.html.case_checks import deciding_unscored, gated_types
from reports.html.commands import (
    accept_command,
    against_command,
    new_case_command,
    noise_command,
    rerun_command,
)
from reports.html.first_screen import NextStep
from reports.html.lead import LACKING, deciding_findings, is_of_metric, is_refuted, listed
from reports.html.metrics import margin_text
from reports.html.names import quoted, quoted_title
from reports.html.text import one_line
from tunegate.figures import wide_enough

_CALIBRATE = "tunegate judge calibrate --judge=SPEC"
_TRAINED = "Only after training it again:"


def next_step(
    record: GateRecord, earlier: EarlierRuns = NO_EARLIER_RUNS, shared: Shared | None = None
) -> NextStep:
    """The one thing to do first.

    Args:
        record: The gate's record.
        earlier: What it is shown beside.
        shared: What :func:`shared_means` gives of the accepted run; None where nobody has asked for it yet.
    """
    again = rerun_command(record, earlier)
    if record.verdict is None:
        return _without_verdict(record, again, earlier)
    deciding = deciding_findings(record.verdict)
    if record.verdict.outcome is GateVerdict.REGRESS:
        return _after_regression(record, deciding, again)
    if below := _below_accepted(record, earlier, shared):
        return below
    if record.verdict.outcome is GateVerdict.PASS:
        return _after_pass(record, again, earlier)
    return _inconclusive(record, deciding, again, earlier)


def _without_verdict(record: GateRecord, again: str, earlier: EarlierRuns) -> NextStep:
    """Gate an adapter against its base; a whole model has none, and can only be compared with later ones."""
    model = record.run.model
    has_base = model.adapter_sha256 is not None or (model.training is not None and bool(model.training.base))
    if not has_base and not model.is_logged:
        if (problem := _why_not_accepted(record.run)) is not None:
            if problem.verdict is GateVerdict.REGRESS:
                return _after_regression(record, [problem], again)
            return _without_a_metric(record, problem, earlier)
        step = _after_pass(record, again, earlier)
        return replace(step, text=f"A whole model has no base to be compared with. {step.text}")
    text = "Compare with the base model, a stored run or an accepted baseline."
    command = against_command(record, "base", earlier)
    return NextStep(title="Gate it against a baseline.", text=text, command=command)


def _why_not_accepted(run: Run) -> Finding | None:
    """Why a run is none to compare with, as far as it says so by itself: its must-pass cases, or its gaps."""
    found = [*must_pass_findings(run), *no_verdict_findings({"candidate": run}, run.golden_sets)]
    return min(found, key=lambda each: each.verdict is not GateVerdict.REGRESS, default=None)


def _inconclusive(
    record: GateRecord, deciding: Sequence[Finding], again: str, earlier: EarlierRuns
) -> NextStep:
    assert record.verdict is not None
    if deciding and isinstance(deciding[0].data, LACKING):
        return _without_a_metric(record, deciding[0], earlier)
    if (refuted := next(filter(is_refuted, deciding), None)) is not None:
        return _without_a_metric(record, refuted, earlier)
    metric = next(filter(is_of_metric, deciding), None)
    if metric is not None and record.run.lacks_cases and not record.run.stopped:
        return _whole_run(record, "More cases may decide it.", again)
    if metric is not None and isinstance(metric.data, MetricFinding):
        others = sum(map(is_of_metric, deciding)) - 1
        if metric.data.unsteady:
            return _steadier(record, metric, metric.data, earlier)
        return _more_cases(record, metric, metric.data, earlier.project, others)
    return _without_a_metric(record, (deciding or record.verdict.findings)[0], earlier)


def _below_accepted(record: GateRecord, earlier: EarlierRuns, shared: Shared | None) -> NextStep | None:
    """Compare with the accepted run, if the candidate is below it: this baseline did not show that."""
    found = falls(record, earlier.accepted, shared)
    if earlier.accepted is None or not found:
        return None
    name = accepted_name(earlier.accepted)
    where = listed([fall.title for fall in found])
    return NextStep(
        title=f"Compare it with the run accepted as {name} first.",
        text=f"The candidate is below it on {where}, which this baseline doesn't show.",
        command=against_command(record, earlier.accepted.name, earlier),
    )


def _after_pass(record: GateRecord, again: str, earlier: EarlierRuns) -> NextStep:
    unsaved, accept = earlier.unsaved, accept_command(record, earlier.place)
    if record.run.partial:
        return _whole_run(record, "Only a whole run can be accepted.", again)
    if unsaved == "":
        text = "This run could not be stored, and what is not stored can't be accepted."
        return NextStep(title="Make room for the history, then gate again.", text=text, command=again)
    if unsaved:
        text = "This run is not stored yet, and later candidates can only be compared with a stored one:"
        command = f"{unsaved} && {accept}"
        return NextStep(title="Save it, then accept it.", text=text, command=command)
    text = "Later candidates can then be compared with it:"
    return NextStep(title="Accept it.", text=text, command=accept)


def _whole_run(record: GateRecord, why: str, again: str) -> NextStep:
    answered, collected = (figures.count(each) for each in (len(record.run.results), record.run.collected))
    text = f"This run answered {answered} of {collected}. {why}"
    if not record.run.lacks_cases:
        text = f"{one_line(record.run.left_out[0])} was left out. {why}"
        return NextStep(title="Run the whole gate.", text=text, command=again)
    if record.run.stopped:
        again = f"{again} --gate-looks=1"
    return NextStep(title="Run all cases.", text=text, command=again)


def _after_regression(record: GateRecord, deciding: Sequence[Finding], again: str) -> NextStep:
    first = deciding[0].data
    if isinstance(first, FailedTestsFinding):
        return NextStep(
            title="Reject it, or correct the tests.",
            text="Hand-written tests of the model failed.",
            command=again,
            condition="Only after training it again, or correcting the tests:",
        )
    if isinstance(first, MustPassFinding):
        text = "A must-pass case failed: read it below. If its expectation is wrong, correct the case."
        condition = "Only after training it again, or correcting the case:"
        return NextStep(title="Reject it.", text=text, command=again, condition=condition)
    if _judged_alone(record):
        text = "Only a judge failed the lost cases: calibrate it before you rely on it."
        return NextStep(title="Reject it, or calibrate the judge.", text=text, command=_CALIBRATE)
    probed = {each.name for each in record.run.golden_sets if each.probes_forgetting}
    if any(each.set_name in probed for each in deciding):
        text = (
            "It lost general skills. Train again with a lower learning rate, fewer steps, or general "
            "examples among the training data."
        )
    else:
        text = "Read the lost cases, correct the training data or settings, and train again."
    return NextStep(title="Reject it.", text=text, command=again, condition=_TRAINED)


def _errors_of(record: GateRecord, keys: Sequence[str]) -> list[str]:
    """What broke the checks of cases that did not pass; nothing if an answer of one is wrong."""
    results = [result for result in record.run.results if result.key in keys]
    if any(result.outcome is not Outcome.ERRORED for result in results):
        return []
    return [f"{error.metric}: {error.error}" for result in results for error in result.errors]


def _judged_alone(record: GateRecord) -> bool:
    """Whether judged checks alone failed in all lost cases."""
    rows = record.comparison.metrics if record.comparison is not None else ()
    lost = {key for row in rows if row.metric == "pass-rate" for key in row.lost}
    failed = {
        score.metric
        for result in record.run.results
        if result.key in lost
        for score in result.scores
        if score.passed is False
    }
    return bool(failed) and all(_is_judged(metric) for metric in failed)


def _is_judged(metric: str) -> bool:
    # A record may hold the metric of a plug-in that is not installed here.
    return base_type(metric) in CHECK_TYPES and CHECK_TYPES[base_type(metric)].judged


def _of_clusters(data: MetricFinding, *, rate: bool) -> str:
    whole = data.minimum_detectable_cluster_drop
    return "" if whole is None else f" (whole clusters: from {margin_text(whole, rate=rate)})"


def _more_cases(
    record: GateRecord, finding: Finding, data: MetricFinding, project: Path | None, others: int
) -> NextStep:
    """More cases for one metric; says how many others are inconclusive too."""
    rate = data.scale == "binary"
    able = data.minimum_detectable_drop
    reach = (
        f"{figures.count(data.n)} cases can detect no drop."
        if able is None
        else f"{figures.count(data.n)} cases detect drops from {margin_text(able, rate=rate)}"
        f"{_of_clusters(data, rate=rate)}."
    )
    wider = ""
    if _may_tolerate_more(record, finding, data):
        wider = " Or allow a larger drop (the margin), if you can tolerate it."
    if data.too_few is not None:
        why = too_few(data, data.too_few)
        reach = f"{why[0].upper()}{why[1:]}."
    if others:
        rows = "one more row" if others == 1 else f"{figures.count(others)} more rows"
        wider += f" The same goes for {rows} of the table."
    set_name = quoted(finding.set_name or "")
    title = f"Add cases to {set_name}."
    if data.cases_to_settle is not None and data.cases_to_settle > data.n:
        title = f"Add about {figures.count(data.cases_to_settle - data.n)} cases to {set_name}."
    if finding.metric != "pass-rate":
        reach = f"{quoted_title(finding, record.run.metrics)}: {reach}"
    command = new_case_command(record, finding.set_name or "", project)
    return NextStep(title=title, text=f"{reach}{wider}", command=command)


def _may_tolerate_more(record: GateRecord, finding: Finding, data: MetricFinding) -> bool:
    """Whether the margin that this row would pass with leaves anything to lose."""
    facts, metric = record.run.metrics.get(finding.metric or ""), finding.metric or "pass-rate"
    scale, higher_is_better = (0.0, 1.0), True
    if facts is not None:
        scale, higher_is_better = compared_scale(facts), facts.higher_is_better
    end = data.drop.high if data.high_unseen is None else data.high_unseen
    room = most_to_lose(metric, data.baseline, scale, higher_is_better=higher_is_better)
    return end < room and not data.missing_unlimited


def _steadier(record: GateRecord, finding: Finding, data: MetricFinding, earlier: EarlierRuns) -> NextStep:
    """Tell how answers to exactly these cases vary: further cases don't."""
    text = f"These cases were {data.unsteady}, so equal answers may vary: reruns show how much."
    if not data.unsteady.startswith(("answered", "computed")):
        text = "Another try may answer or score these cases otherwise: reruns show how much."
    set_name = quoted(finding.set_name or "")
    # Greedy answers are not repeated: a set that asks for it is refused.
    title = f"Repeat each case of {set_name} {how_often(data)}."
    if data.steady_answers == 0 and not may_be_wider(data):
        title = f"Choose cases of {set_name} that the baseline passes."
    elif data.steady_answers == 0:
        title = f"Allow a larger drop of {set_name} (the margin), if you can tolerate it."
    if not is_told_by_record(data):
        text = text.replace("reruns show", "more answers show")
        return NextStep(title=title, text=f"{text}{_besides(data)}", command="")
    recorded = "Record how the baseline's answers vary"
    title = f"{recorded}." if data.steady_answers == 0 else f"{recorded}, or {title[0].lower()}{title[1:]}"
    # The next gate reads the record of the cases that it asks, in the history that it writes to.
    reruns = "" if are_usual(data.steady_reruns) else f" --reruns={data.steady_reruns}"
    command = noise_command(record, earlier.project, f"{reruns}{earlier.asking}{earlier.place}")
    return NextStep(title=title, text=text, command=command)


def _besides(data: MetricFinding) -> str:
    """What would be enough besides more answers, where it is known; the margin is the title without any."""
    ways = []
    if data.steady_cases is not None:
        record = "" if data.steady_reruns is None else " with a noise record"
        ways.append(f"ask {figures.count(data.steady_cases)} such cases or more{record}")
    if data.steady_answers and may_be_wider(data):
        end = margin_text(float(wide_enough(possible_drop(data))), rate=True)
        ways.append(f"allow a drop of {end} (the margin), if you can tolerate it")
    return f" Or {', or '.join(ways)}." if ways else ""


def _without_a_metric(record: GateRecord, first: Finding, earlier: EarlierRuns) -> NextStep:
    data, again = first.data, rerun_command(record, earlier)
    if isinstance(data, TripwireFinding):
        text = "Look at the data that it was trained on, or gate it on more forgetting probes."
        return NextStep(title="Find out why the loss on general text rose.", text=text, command="")
    if isinstance(data, NothingToLoseFinding):
        text = "A set whose cases the baseline fails can't show a regression."
        passes = first.metric in {None, "pass-rate"}
        wanted = "that the baseline passes" if passes else "on which the baseline is better"
        title = f"Add cases to {quoted(first.set_name or '')} {wanted}."
        command = new_case_command(record, first.set_name or "", earlier.project)
        return NextStep(title=title, text=text, command=command)
    if isinstance(data, ConfirmationFinding):
        text = "New answers did not show the drop again: repeat cases at a temperature above 0, or add some."
        return NextStep(title="Ask for more answers per case.", text=text, command="")
    if isinstance(data, ChangedCasesFinding):
        return _other_cases(first.set_name or "", data)
    if isinstance(data, NoVerdictFinding) and data.outcome is Outcome.UNSCORED:
        return _unscored_step(record, first, again, data.unanswered)
    keys = [
        result.key
        for result in record.run.results
        if result.case.set_name == first.set_name and result.outcome is Outcome.ERRORED
    ]
    if isinstance(data, MustPassFinding):
        keys = [key for key in keys if key in data.cases]
    errors = _errors_of(record, keys)
    text = f"A check could not be computed: {one_line(errors[0])}" if errors else ""
    return NextStep(title="Fix what is missing, then gate again.", text=text, command=again)


def _other_cases(set_name: str, data: ChangedCasesFinding) -> NextStep:
    """What answers or scores the cases as they are now."""
    cause = main_cause(data)
    if is_rescored(cause):
        text = (
            f"The cases are the same, but {one_line(cause)}: a stored run's answers are scored anew. If the "
            "baseline is one, name its model itself."
        )
        return NextStep(title="Name a stored run as baseline, or accept this one.", text=text, command="")
    text = "The baseline's answers are to other cases: let its model answer these, or accept this run."
    if cause == ASKED_OTHERWISE:
        text = f"The cases were {cause}: give those of the baseline's run, or let its model answer these."
    title = f"Compare {quoted(set_name)} with the baseline's model itself."
    return NextStep(title=title, text=text, command="")


def _unscored_step(record: GateRecord, first: Finding, again: str, unanswered: int) -> NextStep:
    """Where cases have no verdict, or no score: why their checks were left without, or that none decides."""
    if unanswered:
        text = f"A reasoning that ends without an answer shows no lost skill: {ROOM_FOR_REASONING}."
        return NextStep(title="Let the model come to its answers.", text=text, command="")
    set_name, metric = first.set_name, first.metric
    if _uses_a_judge(record, set_name) if metric is None else _is_judged(metric):
        text = "Checks of an unreliable judge are left unscored."
        return NextStep(title="Calibrate the judge.", text=text, command=_CALIBRATE)
    sets = {each.name: each.gate.metric_margins for each in record.run.golden_sets}
    for result in record.run.results:
        gated = gated_types(result, sets.get(result.case.set_name, ()))
        left = [each for each in result.unscored if each.metric in gated]
        left = (deciding_unscored(result) or left) if metric is None else _left_out(result, metric)
        if result.case.set_name == set_name and left:
            text = one_line(f"{left[0].metric} {left[0].reason}")
            return NextStep(title="Score these texts, or take the checks out.", text=text, command=again)
    text = "A check decides if it is true or false, or has a threshold."
    return NextStep(title="Give the unscored cases a check that decides.", text=text, command=again)


def _left_out(result: CaseResult, metric: str) -> list[UnscoredMetric]:
    return [each for each in result.unscored if each.metric == metric]


def _uses_a_judge(record: GateRecord, set_name: str | None) -> bool:
    return any(
        _is_judged(single.type)
        for result in record.run.results
        if result.case.set_name == set_name and result.outcome is Outcome.UNSCORED
        for check in result.case.checks
        for single in check.single_checks
    )
