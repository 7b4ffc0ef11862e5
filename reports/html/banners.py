"""Warnings that make the figures less reliable: what broke, what was left out, what differs."""

from collections.abc import Sequence

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
)
from reports.html import figures
from reports.html.first_screen import Banner
from reports.html.lead import lead_of
from reports.html.names import description_of
from reports.html.text import one_line
from reports.html.verdict import some_cases

_MOST_ITEMS = 5
_ITEM = 240


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
        _errored(run, "candidate"),
        _errored(record.baseline, "baseline") if record.baseline is not None else None,
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
        f"{one_line(kind)}: by {change.estimate:.2f} nats per token [{change.low:.2f}, {change.high:.2f}]"
        for kind, change in data.texts.items()
    )
    text = "It is for information and holds no pass back: each kind has a few passages only."
    title = f"The loss on other text rose: {', '.join(map(one_line, data.texts))}"
    return Banner(tone="inconclusive", title=title, text=text, items=items)


def _tripped(record: GateRecord, forgetting: Forgetting) -> Banner:
    """The loss on general text rose beyond its limit; what that means is said only where it decides."""
    known = [each.data for each in _findings_of(record) if isinstance(each.data, TripwireFinding)]
    change = forgetting.loss_change
    rise = "" if change is None else f" by {change.estimate:.2f} nats per token"
    said = [f"The limit is {data.limit:.2f}." for data in known]
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
    """Cases left out of the comparison; lists those that no other banner explains."""
    decided = {Outcome.PASSED, Outcome.FAILED}
    runs = [run for run in (record.run, record.baseline) if run is not None]
    undecided = {result.key for run in runs for result in run.results if result.outcome not in decided}
    return Banner(
        tone="inconclusive",
        title=f"{some_cases(len(keys))} not compared",
        text="Only one side has a verdict for them, or the case changed between the runs.",
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


def _errored(run: Run, side: str) -> Banner | None:
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
        text="They have no verdict and count for neither side.",
        items=_some(said or [result.key for result in errored]),
    )


def _unscored(run: Run) -> Banner | None:
    unscored = [result.key for result in run.results if result.outcome is Outcome.UNSCORED]
    if not unscored:
        return None
    text = "None of their checks decides: give one a threshold."
    title = f"{some_cases(len(unscored))} not scored"
    return Banner(tone="inconclusive", title=title, text=text, items=_some(unscored))


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
