"""``tunegate judge label`` and ``tunegate judge export``: labels by people."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.label_dialogue import SessionEnd, label_items
from harness.cli.options import HistoryOption, SetOption
from harness.errors import SettingsError
from harness.history.location import history_place
from harness.history.store import open_history
from harness.labelling.export import Kind, export_labels, export_text, write_export
from harness.labelling.items import Ask, SourceAnswer, items_of
from harness.labelling.journal import open_journal
from harness.labelling.label import current_labels
from harness.labelling.run_answers import answers_of_record
from harness.labelling.sources import answers_of_files
from harness.labelling.stored_labels import read_labels
from harness.presentation.console import table_console
from harness.provenance import ask_git
from tunegate.exit_status import ExitStatus
from tunegate.printable import say

LABELS_FILE = Path("labels.jsonl")
# The exit status of a program that Ctrl-C ended.
_INTERRUPTED = int(ExitStatus.INTERRUPTED)


def label(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="JSON lines with prompt and answer; by default a stored run."),
    ] = None,
    *,
    run: Annotated[
        str | None, typer.Option(help="Id of a stored run, start of one, latest, or latest~1.")
    ] = None,
    sets: SetOption = None,
    ask: Annotated[Ask, typer.Option(help="Single answers, pairs, or both.")] = "all",
    rubric: Annotated[
        str | None, typer.Option(help="What a good answer satisfies, where the case doesn't say.")
    ] = None,
    labels: Annotated[Path, typer.Option(help="The file that labels are added to.")] = LABELS_FILE,
    who: Annotated[str | None, typer.Option(help="Who labels; git's user.name, or the login.")] = None,
    seed: Annotated[int, typer.Option(help="Another order, and other positions in pairs.")] = 0,
    history: HistoryOption = None,
) -> None:
    """Label answers blind, in shuffled order; each label is saved at once, and a later call continues."""
    if files and (run or sets):
        raise SettingsError("--run and --set choose among stored runs: give them or files, not both")
    person = (who or ask_git(Path(), "config", "user.name") or getpass.getuser()).strip()
    if not person:
        raise SettingsError("--who is empty")
    answered = (
        answers_of_files(files, rubric) if files else _of_run(run or "latest", sets or [], rubric, history)
    )
    items = items_of(answered, ask=ask, seed=seed)
    if not items:
        raise SettingsError(
            "there is nothing to label: no answer is stored, or --ask pairs and no prompt has two"
        )
    with open_journal(labels) as journal:
        console = table_console(pipe_width=100)
        left = label_items(items, journal, person, console)
        mine = journal.current(person)
        done = sum(item.id in mine for item in items)
    say(f"{done} of {len(items)} labelled by {person}; stored in {labels}")
    if left is SessionEnd.INTERRUPTED:
        raise typer.Exit(_INTERRUPTED)


def _of_run(run: str, sets: list[str], rubric: str | None, history: str | None) -> list[SourceAnswer]:
    with open_history(history_place(history), to_read=True) as stored:
        return answers_of_record(stored.load_record(run), sets, rubric)


def export(
    kind: Annotated[Kind, typer.Argument(help="calibration, pairs or thumbs.")],
    path: Annotated[Path, typer.Argument(help="The file to write: YAML for calibration, else JSON lines.")],
    labels: Annotated[
        list[Path] | None, typer.Option(help="A file of labels, labels.jsonl by default; repeated.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file if it exists.")] = False,
) -> None:
    """Make labelled items for judges, or pairs and thumbs for trainers, from people's labels."""
    standing = current_labels(read_labels(labels or [LABELS_FILE]))
    made = export_labels(kind, standing)
    for reason, count in made.left_out.items():
        say(f"left out {count}: {reason}", err=True)
    if not made.rows:
        raise SettingsError(f"no label makes {kind}: nothing is written")
    write_export(path, export_text(kind, made, path), replace=replace)
    if kind == "thumbs" and len({row["label"] for row in made.rows}) == 1:
        say("all thumbs are equal: kto needs both", err=True)
    say(f"wrote {path}: {len(made.rows)} {'items' if kind == 'calibration' else 'rows'}")
