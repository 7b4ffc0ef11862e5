"""``tunegate runs``: list, show and compare stored runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from harness.cli.deferred import DeferredCommand, DeferredGroup
from harness.cli.options import HistoryOption, JsonOption
from harness.presentation.console import open_console
from harness.types.run import conversation
from tunegate.printable import say
from tunegate.project import command_project

# The gate and its rendering are imported by the commands that need them: a list of runs doesn't.
if TYPE_CHECKING:
    from harness.history.store import History
    from harness.types import CaseResult


class _Commands(DeferredGroup):
    table = MappingProxyType(
        {
            "export": DeferredCommand(
                target="harness.cli.upkeep:export",
                help="Write a table of the history to a file, for pandas, a spreadsheet or a warehouse.",
            ),
            "prune": DeferredCommand(
                target="harness.cli.upkeep:prune",
                help="Remove old runs, and the answers that no other run has.",
            ),
            "trend": DeferredCommand(
                target="harness.cli.trend:trend",
                help="Follow each gated metric through the runs, and say where one drifts or changed.",
            ),
        }
    )


app = typer.Typer(
    cls=_Commands,
    help="Stored runs: list, show, compare, accept, recover, push, trend, export, prune.",
    no_args_is_help=True,
)

_FAILED = 1


@contextmanager
def _history(path: str | None) -> "Iterator[History]":
    from harness.history.location import history_place
    from harness.history.store import open_history

    with open_history(history_place(path), to_read=True) as history:
        yield history


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, help="How many runs, newest first.")] = 20,
    model: Annotated[str, typer.Option(help="Only runs of models whose name contains this.")] = "",
    verdict: Annotated[
        Literal["pass", "regress", "inconclusive"] | None, typer.Option(help="Only runs with this verdict.")
    ] = None,
    commit: Annotated[str, typer.Option(help="Only runs of this commit; the start of its hash.")] = "",
    branch: Annotated[str | None, typer.Option(help="Only runs of this branch.")] = None,
    set_name: Annotated[
        str | None, typer.Option("--set", help="Only runs with answers of this golden set.")
    ] = None,
    history: HistoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the newest runs: when, of which commit, how many cases passed, what changed, and the verdict."""
    from harness.cli.run_lines import print_runs
    from harness.history.listing import RunFilter
    from harness.types.storage import to_json

    wanted = RunFilter(model=model, verdict=verdict, commit=commit, branch=branch, set_name=set_name)
    with _history(history) as stored:
        lines = stored.list_runs(limit, wanted)
    if as_json:
        say(to_json(lines))
    elif lines:
        print_runs(lines)
    elif wanted == RunFilter():
        say("no run is stored yet: pytest --model=DIR makes one")
    else:
        say("no stored run is like that: leave out a filter, or see all with tunegate runs list")


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="Id, start of an id, latest, or latest~1.")],
    case: Annotated[str | None, typer.Option(help="Show one case, such as orders/bob.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Show the failed cases' answers.")] = False,
    history: HistoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a run: verdict, metrics, and on request its cases."""
    from harness.presentation.terminal import outcome_counts, render_gate
    from harness.types import Outcome
    from harness.types.storage import to_json

    with _history(history) as stored:
        record = stored.load_record(run)
    if as_json:
        say(to_json(record))
        return
    console = open_console()
    if case is not None:
        found = [result for result in record.run.results if result.key == case]
        if not found:
            raise typer.BadParameter(f"run {record.run.id} has no case {case!r}")
        _print_case(console, found[0])
        return
    console.print(Text(f"run {record.run.id}, {record.run.started_at}; {outcome_counts(record.run)}"))
    console.print(render_gate(record, console.width))
    if failed:
        for result in record.run.results:
            if result.outcome in {Outcome.FAILED, Outcome.ERRORED}:
                _print_case(console, result)


@app.command()
def accept(
    run: Annotated[str, typer.Argument(help="Id, start of an id, latest, or latest~1.")],
    name: Annotated[str, typer.Argument(help="The baseline's name, for --gate-baseline.")],
    reason: Annotated[str, typer.Option(help="Why, for the baseline's file.")],
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Accept even a run with uncommitted changes.")
    ] = False,
    root: Annotated[
        Path | None,
        typer.Option(help="Where baselines/NAME.json is written.", show_default="the project's root"),
    ] = None,
    history: HistoryOption = None,
) -> None:
    """Accept a stored run as a baseline: a small file to review and commit."""
    from harness.baselines.accept import accept_run
    from harness.errors import HistoryError
    from harness.history.accepted_runs import note_accepted
    from harness.history.location import history_place
    from harness.history.store import open_history

    with _history(history) as stored:
        accepted = stored.load_run(run)
    path = accept_run(accepted, name, reason, root or command_project(Path.cwd()), allow_dirty=allow_dirty)
    try:
        with open_history(history_place(history)) as stored:
            note_accepted(stored.database, accepted.id, name, reason)
    except HistoryError as error:
        # The file is what counts.
        say(f"tunegate: warning: only the file says so: {error}", err=True)
    say(f"wrote {path}: compare with it by --gate-baseline={name}")


@app.command()
def recover(history: HistoryOption = None) -> None:
    """Save the runs that could not be saved when their gates ended."""
    from harness.cli.kept import kept_in
    from harness.history.location import find_history
    from harness.run.conclusion import recover as save_again

    location = find_history(history, to_write=True)
    # A history outside of the directory of reports has no runs beside it.
    directory = location.directory if (location.directory / "runs").is_dir() else kept_in(None)
    saved = save_again(location.place, directory)
    for run in saved:
        say(f"saved run {run}")
    if not saved:
        say(
            f"no run of {directory} is waiting to be saved; one that its gate said is lost can't be recovered"
        )


@app.command()
def push(
    run: Annotated[str, typer.Argument(help="Id, start of an id, latest, or latest~1.")],
    track: Annotated[
        list[str], typer.Option(help="mlflow, wandb, tensorboard or trackio, or one with :TARGET; repeated.")
    ],
    history: HistoryOption = None,
) -> None:
    """Send a stored run to trackers, again where a gate could not."""
    from harness.errors import EngineError, faults_of
    from harness.history.location import find_history
    from harness.run.trackers.kinds import check_trackers, without_secrets
    from harness.run.trackers.kinds import push as send

    check_trackers(track)
    location = find_history(history)
    with _history(history) as stored:
        record = stored.load_record(run)
    directory = location.directory / "runs" / record.run.id
    directory.mkdir(parents=True, exist_ok=True)
    for spec in track:
        try:
            with faults_of(f"{spec}: run {record.run.id} was not sent", EngineError):
                sent = send(record, directory, spec)
        except EngineError as error:
            raise EngineError(without_secrets(str(error), spec)) from error
        say(sent)


@app.command()
def compare(
    candidate: Annotated[str, typer.Argument(help="The run to judge.")],
    baseline: Annotated[str, typer.Argument(help="The run to compare with.")],
    margin: Annotated[
        float | None, typer.Option(min=0, max=1, help="Largest tolerated drop of the pass rate.")
    ] = None,
    history: HistoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare one stored run with another; exit status 1 if it regressed."""
    from harness.presentation.terminal import render_gate
    from harness.run.stored_comparison import compare_stored
    from harness.types import GateVerdict
    from harness.types.storage import to_json

    with _history(history) as stored:
        now, before = (stored.load_record(each, with_baseline=False) for each in (candidate, baseline))
        noise = stored.load_noise()
    record = compare_stored(now, before, noise, margin)
    assert record.verdict is not None
    if as_json:
        say(to_json({"comparison": record.comparison, "verdict": record.verdict}))
    else:
        console = open_console()
        console.print(render_gate(record, console.width))
    if record.verdict.outcome is GateVerdict.REGRESS:
        raise typer.Exit(_FAILED)


def _print_case(console: Console, result: "CaseResult") -> None:
    console.print(Text(f"\n{result.key}  {result.outcome}", style="bold"))
    if result.case.description:
        console.print(Text(result.case.description, style="dim"))
    earlier = () if result.completion is None else result.completion.earlier
    for message in conversation(result.case, earlier):
        console.print(Text(f"{message.role}: {message.shown}"))
    console.print(Text(f"answer: {'none' if result.completion is None else result.completion.text}"))
    for reference in result.case.references:
        console.print(Text(f"expects: {reference}"))
    for score in result.scores:
        passed = {True: "passed", False: "failed", None: "informs"}[score.passed]
        console.print(Text(f"  {score.metric} {score.value:.3g} {passed} {score.explanation}".rstrip()))
    for error in result.errors:
        console.print(Text(f"  {error.metric} errored: {error.error}"))
