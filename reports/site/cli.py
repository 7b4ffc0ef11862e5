"""``tunegate site`` and ``tunegate ui``: pages over all runs, as files or served on this machine."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import HistoryOption
from harness.errors import SettingsError
from tunegate.printable import say

if TYPE_CHECKING:
    from reports.site.gathering import SiteSource

_LimitOption = Annotated[int, typer.Option(min=1, help="How many of the newest runs.")]
_ModelOption = Annotated[str | None, typer.Option(help="Only runs of models whose name contains this.")]
_TrainingOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--training",
        metavar="DIR",
        help="A trainer's output directory, or a folder of such, shown too; may be repeated.",
    ),
]


def site(
    directory: Annotated[Path, typer.Argument(help="Where the pages are written.", show_default=False)],
    limit: _LimitOption = 200,
    model: _ModelOption = None,
    training: _TrainingOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    history: HistoryOption = None,
) -> None:
    """Write pages over all stored runs: overview, trends, any two runs, forgetting, cases, trainings."""
    from harness.errors import HistoryError
    from reports.files import check_writable, write_report
    from reports.site.gathering import check_trainings
    from reports.site.pages import PAGES, render_page

    first = directory / next(iter(PAGES))
    _check_own(first)
    check_writable(first, "DIR")
    check_trainings(training or ())
    data = _source(limit, model, training, history).gather()
    if not data.runs:
        raise HistoryError(
            "no judged run fits: pytest --model=DIR makes one, --model and --limit choose among them"
        )
    for problem in data.problems:
        say(f"tunegate: warning: {problem}", err=True)
    for name in PAGES:
        write_report(directory / name, render_page(name, data), "DIR")
    say(first)
    if open_ and not webbrowser.open(first.resolve().as_uri()):
        say("no browser could be started: open the file yourself", err=True)


def ui(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 chooses a free one.")] = 0,
    limit: _LimitOption = 200,
    model: _ModelOption = None,
    training: _TrainingOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    history: HistoryOption = None,
) -> None:
    """Serve the pages on this machine, read-only; new runs appear when a page is loaded again."""
    from reports.site.gathering import check_trainings
    from reports.site.server import open_server

    check_trainings(training or ())
    source = _source(limit, model, training, history)
    # The first page is then quick; a history that can't be read is named before anything is served.
    source.gather()
    with open_server(source, port) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        say(f"serving all runs at {address} (Ctrl-C stops)")
        if open_:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped", err=True)


def _source(limit: int, model: str | None, training: list[Path] | None, history: str | None) -> "SiteSource":
    from harness.history.listing import RunFilter
    from reports.site.gathering import SiteSource
    from tunegate.project import command_project

    return SiteSource(
        history=history,
        project=command_project(Path.cwd()),
        limit=limit,
        wanted=RunFilter(model=model or ""),
        trainings=tuple(training or ()),
    )


def _check_own(first: Path) -> None:
    """Refuse to replace a page that somebody else wrote."""
    from reports.site.pages import MARK

    try:
        foreign = first.is_file() and MARK not in first.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SettingsError(f"{first}: can't be read: {error.strerror}") from error
    if foreign:
        raise SettingsError(f"{first} is not a page of tunegate: name another directory, or remove the file")
