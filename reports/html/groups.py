"""Lost cases in groups of what they share, and the filters of the list of all cases."""

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.types import DriverFinding, GateRecord, GateVerdict, Outcome, TraitsFinding
from reports.html import figures
from reports.html.case_view import CaseView
from reports.html.names import PASS_RATE, metric_name
from reports.html.text import one_line
from reports.html.view import CaseList, Choice, LostGroup

_WORST_DROPS = 20


def case_list(record: GateRecord, cases: Sequence[CaseView], limit: int, longest: int) -> CaseList:
    """All cases in the run's order, and the groups of the lost ones.

    Args:
        record: The gate's record.
        cases: The views of all its cases.
        limit: Most characters of one text.
        longest: Characters of the longest text.
    """
    return CaseList(
        cases=tuple(cases),
        total=len(cases),
        shown=_first_shown(cases),
        groups=tuple(lost_groups(record, cases)),
        drops=tuple(_worst_drops(record, cases)),
        outcomes=_choices(case.outcome for case in cases),
        changes=_choices(case.change for case in cases),
        sets=_choices(case.set_name for case in cases),
        tags=_choices(tag for case in cases for tag in dict.fromkeys(case.tags)),
        limit=limit,
        longest=longest,
    )


def longest_text(case: CaseView) -> int:
    """Characters of the longest of a case's texts, as far as they are shown."""
    texts = [*(turn.content for turn in case.turns), *case.references, *case.context]
    answers = [answer for answer in (case.baseline, case.candidate) if answer is not None]
    lengths = [sum(len(piece.text) for piece in answer.pieces) for answer in answers]
    return max([*lengths, *(len(text.text) for text in texts)], default=0)


def _first_shown(cases: Sequence[CaseView]) -> str:
    """What a reader looks for first: lost, else failed or errored cases without a comparison, else all."""
    if any(case.change == "lost" for case in cases):
        return "lost"
    compared = any(case.change != "not compared" for case in cases)
    failed = any(case.outcome == Outcome.FAILED for case in cases)
    return "failed" if failed and not compared else ""


def lost_groups(record: GateRecord, cases: Sequence[CaseView]) -> list[LostGroup]:
    """Each lost case in one group: by the first named trait or slice that it has, the largest first.

    Args:
        record: The gate's record.
        cases: The views of all its cases.
    """
    numbers = {
        result.key: case.number
        for result, case in zip(record.run.results, cases, strict=True)
        if case.change == "lost"
    }
    several = len({key.partition("/")[0] for key in numbers}) > 1
    found: list[tuple[str, list[int]]] = []
    for title, keys in _named(record, several=several):
        members = [numbers.pop(key) for key in keys if key in numbers]
        if members:
            found.append((title, sorted(members)))
    found.sort(key=lambda group: -len(group[1]))
    if numbers:
        found.append(("without a shared trait" if found else "", sorted(numbers.values())))
    return [LostGroup(title=title, numbers=tuple(members)) for title, members in found]


def _named(record: GateRecord, *, several: bool) -> Iterable[tuple[str, tuple[str, ...]]]:
    """The named traits and slices with the keys of their lost cases."""
    for finding in record.verdict.findings if record.verdict is not None else ():
        prefix = f"{one_line(finding.set_name or '', 40)}: " if several else ""
        if isinstance(finding.data, TraitsFinding):
            yield from ((f"{prefix}{one_line(each.trait)}", each.keys) for each in finding.data.traits)
    for finding in record.verdict.findings if record.verdict is not None else ():
        if isinstance(finding.data, DriverFinding):
            driver = finding.data.driver
            prefix = f"{one_line(driver.set_name, 40)}: " if several else ""
            yield f"{prefix}{driver.kind} {one_line(driver.name)}", driver.lost


def _worst_drops(record: GateRecord, cases: Sequence[CaseView]) -> Iterable[LostGroup]:
    """For graded metrics that didn't pass: the cases with the largest drops, unless they are lost cases."""
    shown = zip(record.run.results, cases, strict=True)
    numbers = {result.key: case.number for result, case in shown if case.change != "lost"}
    for row in record.comparison.metrics if record.comparison else ():
        if row.metric == PASS_RATE or row.verdict in {None, GateVerdict.PASS}:
            continue
        worst = tuple(numbers[key] for key in row.lost if key in numbers)[:_WORST_DROPS]
        if worst:
            title = f"{one_line(row.set_name)} {one_line(metric_name(row.metric, record.run.metrics))}"
            yield LostGroup(title=f"largest drops of {title}: {figures.count(len(worst))}", numbers=worst)


def _choices(values: Iterable[str]) -> tuple[Choice, ...]:
    """Each value with its count, in alphabetical order."""
    return tuple(Choice(label=label, count=count) for label, count in sorted(Counter(values).items()))
