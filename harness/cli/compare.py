"""``tunegate compare``: a verdict on any two runs, ours or those in other tools' logs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from harness.cli.options import HistoryOption, JsonOption
from harness.presentation.console import open_console
from tunegate.exit_status import ExitStatus
from tunegate.printable import printable_line, say
from tunegate.streams import prints_aside

if TYPE_CHECKING:
    from harness.history.server import HistoryPlace
    from harness.history.store import NoiseRecords
    from harness.types import GateRecord

_MOST_NAMED = 8


def compare(
    baseline: Annotated[str, typer.Argument(help="The run to compare with: a file, or a stored run's id.")],
    candidate: Annotated[str, typer.Argument(help="The run to judge: a file, or a stored run's id.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="A metric of a log that decides, with how to read it: NAME[:binary|graded,higher|lower,"
            "LEAST..MOST,margin=X,threshold=X]; may be repeated."
        ),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, max=1, help="Largest tolerated drop of the pass rate.")
    ] = None,
    pair_by: Annotated[
        Literal["id+content", "id", "content"], typer.Option(help="What makes two cases the same.")
    ] = "id+content",
    format_: Annotated[
        str | None, typer.Option("--format", help="The reader of both files, if the file doesn't tell.")
    ] = None,
    fail_on: Annotated[
        Literal["regress", "inconclusive"], typer.Option(help="From which verdict the exit status is 1.")
    ] = "regress",
    save: Annotated[
        bool, typer.Option("--save/--no-save", help="Store the comparison in the history.")
    ] = True,
    history: HistoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare any two runs, ours or other tools' logs, by the gate; exit status 1 on a regression."""
    from harness.baselines.metric_choice import choices_by_name
    from harness.baselines.paired_runs import aligned
    from harness.baselines.run_file import open_pair
    from harness.run.opponents import as_one_question
    from harness.run.stored_comparison import compare_runs
    from harness.types import GateVerdict

    choices, place = choices_by_name(metric or ()), _history_or_none(history)
    with prints_aside(as_json):  # a plug-in may read the logs
        pair = open_pair(
            (baseline, candidate),
            history=place,
            choices=choices,
            formats=(format_, format_),
        )
    before = aligned(pair.candidate, as_one_question(pair.candidate, pair.baseline, pair.opponents), pair_by)
    # Under another id or prompt a case is not the one that was rerun.
    noise = _noise_in(place) if pair_by == "id+content" and not before.model.is_logged else {}
    record, unpaired = compare_runs(pair.candidate, before, noise, margin)
    _show(record, unpaired, pair.notes, as_json=as_json)
    if save:
        _save(record, history, quiet=as_json)
    failing = {GateVerdict.REGRESS, *([GateVerdict.INCONCLUSIVE] if fail_on == "inconclusive" else [])}
    if record.verdict is not None and record.verdict.outcome in failing:
        raise typer.Exit(ExitStatus.FAILED)


def _show(record: "GateRecord", unpaired: Mapping[str, str], notes: Sequence[str], *, as_json: bool) -> None:
    from harness.presentation.terminal import render_gate
    from harness.types.storage import to_json

    if as_json:
        facts = {
            "run": record.run.id,
            "baseline": None if record.baseline is None else record.baseline.id,
            "comparison": record.comparison,
            "verdict": record.verdict,
            "unpaired": unpaired,
            "notes": notes,
        }
        say(to_json(facts))
        return
    console = open_console()
    console.print(render_gate(record, console.width))
    for line in (*_unpaired_lines(unpaired), *notes):
        console.print(Text(f"• {printable_line(line)}", style="dim"))


def _history_or_none(given: str | None) -> "HistoryPlace | None":
    """The history to read, if there is one: two files can be compared without."""
    from harness.errors import HistoryError
    from harness.history.location import history_place

    try:
        return history_place(given)
    except HistoryError:
        return None


def _noise_in(place: "HistoryPlace | None") -> "NoiseRecords":
    """The noise records of the history, if there is one; two files are compared without it."""
    from harness.errors import HistoryError
    from harness.history.store import open_history
    from harness.registry import active

    if place is None:
        return {}
    try:
        with open_history(place, to_read=True) as history:
            return history.load_noise()
    except HistoryError as error:
        active().note(f"{error}; compared without its noise records")
        return {}


def _unpaired_lines(unpaired: Mapping[str, str]) -> list[str]:
    """The cases that are not compared, by cause."""
    by_cause: dict[str, list[str]] = {}
    for key, cause in unpaired.items():
        by_cause.setdefault(cause, []).append(key)
    return [
        f"not compared, {cause}: {', '.join(keys[:_MOST_NAMED])}"
        + (f" and {len(keys) - _MOST_NAMED} more (--json lists all)" if len(keys) > _MOST_NAMED else "")
        for cause, keys in by_cause.items()
    ]


def _save(record: "GateRecord", given: str | None, *, quiet: bool) -> None:
    """Store the record, so that the run can be shown, reported and listed like any other.

    A run of ours that has a verdict keeps it: that of its gate.
    """
    from harness.history.location import find_history
    from harness.run.conclusion import make_directory, save

    location = find_history(given, to_write=True)
    make_directory(location.directory)
    kept = None if record.run.model.is_logged else _stored_verdict(record.run.id, location.place)
    if kept is not None:
        say(f"not stored: run {record.run.id} keeps the verdict that is stored with it: {kept}", err=True)
        return
    save(record, location.directory, location.place)
    if not quiet:
        say(f"stored as run {record.run.id}: tunegate report {record.run.id} writes its page")


def _stored_verdict(run: str, place: "HistoryPlace") -> str | None:
    """A run's stored verdict and what it was compared with; None without one."""
    from harness.errors import BaselineError
    from harness.history.store import open_history

    with open_history(place) as history:
        try:
            record = history.load_record(run, with_baseline=False)
        except BaselineError:
            return None
    if record.verdict is None:
        return None
    before = "" if record.comparison is None else f" against run {record.comparison.baseline_run}"
    return f"{record.verdict.outcome}{before}"
