"""``tunegate report``: the HTML report of a stored run."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import HistoryOption
from tunegate.printable import say

# One command as a group's own callback: a group is what the ``tunegate`` command mounts. Options may then
# follow the run, which groups refuse by themselves.
app = typer.Typer(
    invoke_without_command=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},
)


@app.callback()
def report(
    run: Annotated[str, typer.Argument(help="A run's id, the start of one, or latest.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(help="Where to write it.", show_default="report.html in the run's directory"),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    history: HistoryOption = None,
) -> None:
    """Write the HTML report of a stored run."""
    from harness.history.location import history_path
    from harness.history.store import open_history
    from reports.earlier_runs import earlier_runs_of
    from reports.files import check_writable, write_report
    from reports.html import render_report
    from tunegate.project import command_project

    if output is not None:
        check_writable(output, "--output")
    path = history_path(history)
    with open_history(path, to_read=True) as stored:
        record = stored.load_record(run)
    target = output or path.parent / "runs" / record.run.id / "report.html"
    earlier = earlier_runs_of(record, path, command_project(Path.cwd()))
    write_report(target, render_report(record, earlier), "--output")
    say(target)
    if open_ and not webbrowser.open(target.resolve().as_uri()):
        say("no browser could be started: open the file yourself", err=True)
