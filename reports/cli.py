"""``tunegate report``: the HTML report of a stored run, or the page of a training."""

import json
import os
import shlex
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import HistoryOption
from harness.errors import SettingsError
from tunegate.printable import say, say_command
from tunegate.project import user_path

if TYPE_CHECKING:
    from harness.types import GateRecord

# One command as a group's own callback: a group is what the ``tunegate`` command mounts. Options may then
# follow the run, which groups refuse by themselves.
app = typer.Typer(
    invoke_without_command=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},
)


def _print_schema(wanted: bool) -> None:
    if wanted:
        from reports.json_file import record_schema

        say(json.dumps(record_schema(), indent=1))
        raise typer.Exit


@app.callback()
def report(
    run: Annotated[
        str,
        typer.Argument(
            help="A run, as ID or latest; the directory that a training writes; or the state of a monitor.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where to write it.",
            show_default="report.html in the run's directory; training.html in the training's work directory",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json-file", help="Write the whole record as JSON here, too.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write verdict, table and lost cases as Markdown here, too.")
    ] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Add to the summary of the GitHub job, and print annotations.")
    ] = False,
    _: Annotated[
        bool,
        typer.Option(
            "--json-schema", callback=_print_schema, is_eager=True, help="Print the JSON file's JSON Schema."
        ),
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    history: HistoryOption = None,
) -> None:
    """Write the HTML report of a stored run, and on request its other forms; or the page of a training."""
    from reports.files import check_writable, refuse_shared
    from reports.training_directory import is_training

    named = (("--output", output), ("--json-file", json_file), ("--markdown", markdown))
    asked = [(file, option) for option, file in named if file is not None]
    for file, option in asked:
        check_writable(file, option)
    refuse_shared(asked)
    path = user_path(run)
    kind = "monitor" if is_monitor(path) else "training" if is_training(path) else "run"
    if kind == "run":
        target, record = _run_report(run, output, history)
        say(target)
        _write_others(record, json_file, markdown, github=github)
    elif json_file is not None or markdown is not None or github:
        raise SettingsError(
            f"{run}: a {kind} has a page only: leave --json-file, --markdown and --github out"
        )
    else:
        target = (_monitor_page if kind == "monitor" else _training_page)(path, output)
        say(target)
    if open_ and not webbrowser.open(target.resolve().as_uri()):
        say("no browser could be started: open the file yourself", err=True)


def is_monitor(path: Path) -> bool:
    """Whether a path is a state of ``tunegate monitor``; nothing is imported for what is no file."""
    if not path.is_file():
        return False
    from harness.studies.monitoring.ledger import is_ledger

    return is_ledger(path)


def _monitor_page(path: Path, output: Path | None) -> Path:
    from reports.files import write_report
    from reports.html.monitor_page import render_monitor

    return write_report(output or path.with_suffix(".html"), render_monitor(path), "--output")


def _training_page(directory: Path, output: Path | None) -> Path:
    from reports.files import write_report
    from reports.html.training_page import render_training
    from reports.training_directory import read_training, work_directory

    # An adapter is passed on, and samples on the page are of the data.
    usual = work if (work := work_directory(directory)).is_dir() else directory
    return write_report(
        output or usual / "training.html", render_training(read_training(directory)), "--output"
    )


def _run_report(run: str, output: Path | None, history: str | None) -> "tuple[Path, GateRecord]":
    from harness.history.location import find_history
    from harness.history.store import open_history
    from reports.earlier_runs import earlier_runs_of
    from reports.files import write_report
    from reports.html import render_report
    from tunegate.project import command_project

    location = find_history(history)
    with open_history(location.place, to_read=True) as stored:
        record = stored.load_record(run)
    target = output or location.directory / "runs" / record.run.id / "report.html"
    # The page's commands look where this one did; a server's address may have a password.
    place = "" if history is None or "://" in history else f" --history={shlex.quote(history)}"
    earlier = replace(earlier_runs_of(record, location.place, command_project(Path.cwd())), place=place)
    return write_report(target, render_report(record, earlier), "--output"), record


def _write_others(
    record: "GateRecord", json_file: Path | None, markdown: Path | None, *, github: bool
) -> None:
    from reports.files import write_report
    from reports.github import add_summary, annotations
    from reports.json_file import render_json
    from reports.markdown import render_markdown
    from tunegate.project import command_project

    if json_file is not None:
        say(write_report(json_file, render_json(record), "--json-file"))
    if markdown is not None:
        say(write_report(markdown, render_markdown(record), "--markdown"))
    if github:
        add_summary(record, os.environ)
        for line in annotations(record, command_project(Path.cwd())):
            say_command(line)
