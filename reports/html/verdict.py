"""The first screen: the verdict, why, what the lost cases share, what to do, and what was compared."""

from harness.presentation.sentences import sentences_of
from harness.types import GateRecord
from reports.earlier_runs import EarlierRuns
from reports.html import figures
from reports.html.accepted import falls_line, shared_means
from reports.html.commands import rerun_command
from reports.html.first_screen import VerdictView
from reports.html.lead import lead_of
from reports.html.metrics import TONES
from reports.html.names import short_label
from reports.html.next_step import next_step
from reports.html.shared import shared_view
from reports.html.side_names import sides_of
from reports.html.sides import side_rows
from reports.html.text import one_line

_REASON = 600


def verdict_view(record: GateRecord, earlier: EarlierRuns) -> VerdictView:
    """The first screen.

    Args:
        record: The gate's record.
        earlier: What it is shown beside.
    """
    verdict, shared = record.verdict, shared_means(record, earlier.accepted)
    return VerdictView(
        tone="none" if verdict is None else TONES[verdict.outcome],
        word="no baseline" if verdict is None else str(verdict.outcome),
        lead=lead_of(record),
        accepted=falls_line(record, earlier.accepted, shared),
        next_step=next_step(record, earlier, shared),
        shared=shared_view(record),
        candidate=short_label(record.run.model),
        sides=sides_of(record, earlier),
        rows=tuple(side_rows(record, earlier, shared)),
        rerun=rerun_command(record, earlier),
        reasons=()
        if verdict is None
        else tuple(one_line(sentence, _REASON) for sentence in sentences_of(verdict)),
    )


def some_cases(number: int) -> str:
    """A number of cases as the beginning of a sentence."""
    return "One case" if number == 1 else f"{figures.count(number)} cases"
