"""Warnings that make the figures less reliable: what broke, what was left out, what differs."""

from collections.abc import Mapping, Sequence
from itertools import compress
from operator import not_

from harness.comparison.whole_sets import LOSS_LIMIT
from harness.golden.counted_outcomes import can_pass_or_fail, counted_outcomes
from harness.types import (
    CaseResult,
    Finding,
    Forgetting,
    GateRecord,
    GateVerdict,
    OtherTextFinding,
    Outcome,
    Run,
    TripwireFinding,
    UnpairedFinding,
)
from reports.html import figures
from reports.html.case_checks import gated_types
from reports.html.first_screen import Banner
from reports.html.lead import lead_of
from reports.html.names import description_of
from reports.html.text import one_line
from reports.html.verdict import some_cases
from tunegate.figures import both_of, rise_of

_MOST_ITEMS = 5
_ITEM = 240
_DECIDED = {Outcome.PASSED, Outcome.FAILED}


def banners(record: GateRecord, problems: Sequence[str] = (), unsaved: str | None = None) -> list[Banner]:
    """The warnings, the most serious first.

    Args:
        record: The gate's record.
        problems: What could not be read besides it.
        unsaved: None if the history has the run; otherwise the command that saves it, empty if there is none.
    """
    run, comparison = record.run, record.comparison
    found: list[Banner | None] = [
        _must_pass(run.results, lead_of(record)),
        _must_pass_unknown(run.results),
        _errored(run, record.baseline, "candidate", _gated(run)),
        _errored(record.baseline, run, "baseline", _gated(run)) if record.baseline is not None else None,
        _unscored(run),
    ]
    if run.selected < run.collected or run.left_out:
        text = "The verdict covers only what was answered and run."
        title = f"Partial run: {figures.count(run.selected)} of {figures.count(run.collected)} cases"
        found.append(Banner(tone="inconclusive", title=title, text=text, items=_some(run.left_out)))
    if run.stopped:
        found.append(_stopped(run))
    if comparison is not None and comparison.unpaired:
        found.append(_unpaired(record, comparison.unpaired))
    if comparison is not None and comparison.forgetting is not None and comparison.forgetting.tripped:
        found.append(_tripped(record, comparison.forgetting))
    found += [
        _other_text(each.data) for each in _findings_of(record) if isinstance(each.data, OtherTextFinding)
    ]
    if record.baseline is not None and record.baseline.plan.lasting != run.plan.lasting:
        found.append(_other_plan(run, record.baseline))
    if unsaved is not None:
        found.append(_unsaved(unsaved))
    if problems:
        found.append(Banner(tone="none", title="Not everything is shown", text="", items=_some(problems)))
    return [banner for banner in found if banner is not None]


def _findings_of(record: GateRecord) -> tuple[Finding, ...]:
    """The verdict's findings; none without a verdict."""
    return () if record.verdict is None else record.verdict.findings


def _other_text(data: OtherTextFinding) -> Banner:
    """The loss rose on code, dialogue or another language, whatever the verdict is."""
    items = tuple(
        f"{one_line(kind)}: by {rise_of((change.estimate, change.low, change.high), data.limit)[0]}"
        for kind, change in data.texts.items()
    )
    text = "It is for information and holds no pass back: each kind has a few passages only."
    title = f"The loss on other text rose: {', '.join(map(one_line, data.texts))}"
    return Banner(tone="inconclusive", title=title, text=text, items=items)


def _tripped(record: GateRecord, forgetting: Forgetting) -> Banner:
    """The loss on general text rose beyond its limit; what that means is said only where it decides."""
    known = [each.data for each in _findings_of(record) if isinstance(each.data, TripwireFinding)]
    change = forgetting.loss_change
    rise = "" if change is None else f" by {both_of(change.estimate, LOSS_LIMIT, 2)[0]} nats per token"
    said = [f"The limit is {both_of(data.change.estimate, data.limit, 2)[1]}." for data in known]
    if record.verdict is None or record.verdict.outcome is not GateVerdict.REGRESS:
        said.append("A run with such a rise can't pass.")
    return Banner(tone="inconclusive", title=f"The loss on general text rose{rise}", text=" ".join(said))


def _unsaved(command: str) -> Banner:
    """The verdict holds, but no command finds the run."""
    text = "This page and the other reports are all that is left of it."
    if command:
        text = f"{command} saves it; until then no other command finds it."
    return Banner(tone="inconclusive", title="The history doesn't have this run", text=text)


def _stopped(run: Run) -> Banner:
    """How far a gate with several looks went. It makes no figure less reliable: intervals allow for it."""
    sets = [each for each in run.looks if each.stopped]
    latest = max(sets, key=lambda each: each.look)
    return Banner(
        tone="none",
        title=f"Decided early, at look {latest.look} of {latest.planned}",
        text="The other cases were not answered. Levels and intervals allow for the looks.",
        items=_some(
            [
                f"{each.set_name}: {figures.count(each.answered)} of {figures.count(each.cases)} cases"
                for each in sets
            ]
        ),
    )


def _unpaired(record: GateRecord, keys: Sequence[str]) -> Banner:
    """Cases left out of the comparison, and why; lists those that no other banner explains."""
    runs = [run for run in (record.run, record.baseline) if run is not None]
    undecided = {result.key for run in runs for result in run.results if result.outcome not in _DECIDED}
    causes = [each.data.causes for each in _findings_of(record) if isinstance(each.data, UnpairedFinding)]
    listed = ", ".join(f"{figures.count(cases)} {cause}" for of in causes for cause, cases in of.items())
    text = "A side has no verdict for them, or the case changed between the runs."
    return Banner(
        tone="inconclusive",
        title=f"{some_cases(len(keys))} not compared",
        text=f"Why: {one_line(listed, _ITEM)}." if listed else text,
        items=_some([key for key in keys if key not in undecided]),
    )


def _must_pass(results: Sequence[CaseResult], lead: str) -> Banner | None:
    missed = [
        (result.key, description_of(result.case))
        for result in results
        if result.case.must_pass and result.has_failed
    ]
    if not missed:
        return None
    one = len(missed) == 1
    title = "A must-pass case did not pass" if one else f"{len(missed)} must-pass cases did not pass"
    text = "This alone fails the session, whatever the comparison shows."
    about = next(
        (f"{key}: {each.rstrip('.…')}. " for key, each in missed if each.rstrip(".") not in lead), ""
    )
    items = _some([f"{key}: {description}" if description else key for key, description in missed])
    return Banner(tone="regress", title=title, text=one_line(f"{about}{text}", _ITEM), items=items)


def _must_pass_unknown(results: Sequence[CaseResult]) -> Banner | None:
    unknown = [result.key for result in results if result.case.must_pass and result.is_unknown]
    if not unknown:
        return None
    one = len(unknown) == 1
    title = "A must-pass case has no verdict" if one else f"{len(unknown)} must-pass cases have no verdict"
    text = "So this is no pass, whatever the comparison shows."
    return Banner(tone="inconclusive", title=title, text=text, items=_some(unknown))


def _gated(run: Run) -> dict[str, set[str]]:
    """The gated metrics of each set besides its pass rate."""
    return {each.name: set(each.gate.metric_margins) for each in run.golden_sets}


def _is_graded(result: CaseResult, gated: Mapping[str, set[str]]) -> bool:
    """Whether a case has a score of a gated metric, which its set is compared by."""
    return bool(gated.get(result.case.set_name, set()) & {score.metric for score in result.scores})


def _errored(run: Run, other: Run | None, side: str, gated: Mapping[str, set[str]]) -> Banner | None:
    errored = [result for result in run.results if result.outcome is Outcome.ERRORED]
    if not errored:
        return None
    said = [
        f"{result.key}: {error.metric}: {one_line(error.error)}"
        for result in errored
        for error in result.errors
    ]
    return Banner(
        tone="regress",
        title=f"{some_cases(len(errored))} errored in the {side}",
        text=_what_they_count_for(errored, other, gated),
        items=_some(said or [result.key for result in errored]),
    )


def _what_they_count_for(
    errored: Sequence[CaseResult], other: Run | None, gated: Mapping[str, set[str]]
) -> str:
    """What cases without a verdict on one side mean for the whole: nothing, if the other has none either."""
    if other is None:
        return "They have no verdict."
    known = {
        result.key: result
        for result in other.results
        if result.outcome in _DECIDED or _is_graded(result, gated)
    }
    found = [
        known[result.key]
        for result in errored
        if result.key in known and known[result.key].case.content_sha256 == result.case.content_sha256
    ]
    one_sided = len(found)
    if not one_sided:
        return "Nor is there a verdict on the same case on the other side, so they count for none."
    what = "a verdict" if all(each.outcome in _DECIDED for each in found) else "a verdict or a gated score"
    which = f"On the other side they have {what}"
    if one_sided < len(errored):
        which = f"{figures.count(one_sided)} of them have {what} on the other side, the rest count for none"
    return f"{which}: a pass has to hold also if all of these were lost, a regression also if none was."


def _unscored(run: Run) -> Banner | None:
    """Cases that neither passed nor failed; one that only grades lacks nothing if its grade is gated."""
    if all(result.outcome is not Outcome.UNSCORED for result in run.results):
        return None
    words = zip(run.results, counted_outcomes(run), strict=True)
    unscored = [result for result, word in words if word == Outcome.UNSCORED]
    left_open = [result for result in unscored if can_pass_or_fail(result, run.metrics)]
    others = [result for result in unscored if not can_pass_or_fail(result, run.metrics)]
    gated = _gated(run)
    lacking = [bool(gated_types(result, gated.get(result.case.set_name, ()))) for result in others]
    scoreless, idle = list(compress(others, lacking)), list(compress(others, map(not_, lacking)))
    if not (found := [*left_open, *scoreless, *idle]):
        return None
    text = "A check that decides was left without a verdict."
    if scoreless and not left_open and not idle:
        text = "A score that their set gates is missing."
    elif idle and left_open:
        known = f"Of {figures.count(len(left_open))} a check that decides was left without a verdict."
        text = f"{known} None of the others' checks decides: give one a threshold."
    elif idle:
        text = "None of their checks decides: give one a threshold."
    if scoreless and (left_open or idle):
        text += f" {figures.count(len(scoreless))} lack a score that their set gates."
    title = f"{some_cases(len(found))} not scored"
    items = [f"{each.key}{_why_open(each)}" for each in found]
    return Banner(tone="inconclusive", title=title, text=text, items=_some(items))


def _why_open(result: CaseResult) -> str:
    """Why a check was left without a score, after the case's name; empty if none was."""
    return "".join(f": {each.metric}: {one_line(each.reason)}" for each in result.unscored[:1])


def _some(items: Sequence[str]) -> tuple[str, ...]:
    rest = len(items) - _MOST_ITEMS
    shown = [one_line(item, _ITEM) for item in items[:_MOST_ITEMS]]
    return (*shown, *([f"and {figures.count(rest)} more"] if rest > 0 else []))


def _other_plan(run: Run, baseline: Run) -> Banner:
    return Banner(
        tone="inconclusive",
        title="The two sides were computed differently",
        text="In low precision this alone can change an answer.",
        items=(f"candidate: {_plan(run)}", f"baseline: {_plan(baseline)}"),
    )


def _plan(run: Run) -> str:
    plan = run.plan
    batches = f"{figures.count(plan.batch_tokens)} tokens a batch{', mixed' if plan.mixed else ''}"
    weights = ", bases in nf4" if plan.weights == "nf4" else ""
    return f"{plan.engine}, {plan.dtype} on {plan.device}{weights}, {batches}"
