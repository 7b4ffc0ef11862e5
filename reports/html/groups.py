"""The sections of cases, and the filters of the list of all cases."""

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.types import GateRecord, GateVerdict, Outcome
from reports.html.view import CaseGroup, CaseList, CaseView, Choice

# Nobody reads more than this one by one; the rest is in the list of all cases.
_MOST_IN_GROUP = 100
_UNFOLDED = 6
_WORST_DROPS = 10
# With more cases the page is larger than a few megabytes.
_MOST_IN_LIST = 2_000


def case_groups(record: GateRecord, cases: Sequence[CaseView]) -> list[CaseGroup]:
    """The sections before the list of all cases; lost cases come first.

    Args:
        record: The gate's record.
        cases: The views of all its cases.
    """
    errored = [case for case in cases if case.outcome == Outcome.ERRORED]
    groups: list[CaseGroup] = []
    if record.comparison is None:
        failed = [case for case in cases if case.outcome == Outcome.FAILED]
        groups += _group("failed", "Failed cases", "At least one deciding check failed.", failed)
    else:
        lost = [case for case in cases if case.change == "lost"]
        gained = [case for case in cases if case.change == "gained"]
        groups += _group("lost", "Lost cases", "The baseline passed these; the candidate fails them.", lost)
        groups += _worst_drops(record, cases)
        groups += _group(
            "gained", "Gained cases", "The baseline failed these; the candidate passes them.", gained, 0
        )
    groups += _group(
        "errored", "Errored cases", "A metric or the engine broke: these have no verdict.", errored, 0
    )
    return groups


def _group(
    anchor: str, title: str, lead: str, cases: Sequence[CaseView], unfolded: int = _UNFOLDED
) -> list[CaseGroup]:
    if not cases:
        return []
    shown = tuple(cases[:_MOST_IN_GROUP])
    return [
        CaseGroup(anchor=anchor, title=title, lead=lead, cases=shown, total=len(cases), unfolded=unfolded)
    ]


def _worst_drops(record: GateRecord, cases: Sequence[CaseView]) -> list[CaseGroup]:
    """For graded metrics that didn't pass: the cases with the largest drops, unless they are lost cases."""
    shown = zip(record.run.results, cases, strict=True)
    by_key = {result.key: case for result, case in shown if case.change != "lost"}
    groups: list[CaseGroup] = []
    for row in record.comparison.metrics if record.comparison else ():
        if row.metric == "pass-rate" or row.verdict in {None, GateVerdict.PASS}:
            continue
        worst = [by_key[key] for key in row.lost if key in by_key][:_WORST_DROPS]
        groups += _group(
            f"drops-{len(groups) + 1}",
            f"Largest drops: {row.set_name} {row.metric}",
            "The largest drops of this score; the case's own verdict may be unchanged.",
            worst,
            0,
        )
    return groups


def case_list(cases: Sequence[CaseView]) -> CaseList:
    """All cases in the run's order; if there are very many, those that still pass are left out first."""
    shown = list(cases)
    if len(shown) > _MOST_IN_LIST:
        unchanged = {"still passes", "not compared"}
        dull = [case.change in unchanged and case.outcome == Outcome.PASSED for case in cases]
        room = max(_MOST_IN_LIST - dull.count(False), 0)
        telling = [case.number for case, boring in zip(cases, dull, strict=True) if not boring]
        filler = [case.number for case, boring in zip(cases, dull, strict=True) if boring][:room]
        kept = {*telling[:_MOST_IN_LIST], *filler}
        shown = [case for case in cases if case.number in kept]
    return CaseList(
        cases=tuple(shown),
        total=len(cases),
        hidden=len(cases) - len(shown),
        outcomes=_choices(case.outcome for case in shown),
        changes=_choices(case.change for case in shown),
        sets=_choices(case.set_name for case in shown),
        tags=_choices(tag for case in shown for tag in dict.fromkeys(case.tags)),
    )


def _choices(values: Iterable[str]) -> tuple[Choice, ...]:
    """Each value with its count, in alphabetical order."""
    return tuple(Choice(label=label, count=count) for label, count in sorted(Counter(values).items()))
