"""``tunegate runs export`` and ``prune``: a history's tables as files, and the end of old runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.options import HistoryOption
from harness.errors import SettingsError
from harness.history.location import history_place
from harness.history.store import open_history
from tunegate.printable import say
from tunegate.project import command_project


def export(
    output: Annotated[Path, typer.Argument(help="The file to write: .csv, .jsonl or .parquet.")],
    table: Annotated[
        Literal["runs", "results", "scores", "gates", "comparisons", "retentions", "accepted"],
        typer.Option(help="Which table or view, as docs/history.md has them."),
    ] = "results",
    run: Annotated[
        str | None, typer.Option(help="Only this run: id, start of an id, latest, or latest~1.")
    ] = None,
    history: HistoryOption = None,
) -> None:
    """Write a table of the history to a file, for pandas, a spreadsheet or a warehouse."""
    from harness.history.export import export_table

    with open_history(history_place(history), to_read=True) as stored:
        run_id = None if run is None else stored.resolve(run)
        count = export_table(stored.database, table, output, run_id)
    say(f"wrote {output}: {count} row{'' if count == 1 else 's'} of {table}")


def prune(
    keep: Annotated[int | None, typer.Option(min=0, help="Keep this many of the newest runs.")] = None,
    older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Remove only runs that are older than this.")
    ] = None,
    branch: Annotated[str | None, typer.Option(help="Only runs of this branch.")] = None,
    keep_accepted: Annotated[
        bool, typer.Option("--keep-accepted/--no-keep-accepted", help="Keep accepted runs, however old.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which runs would be removed.")] = False,
    history: HistoryOption = None,
) -> None:
    """Remove old runs, and the answers that no other run has."""
    from harness.baselines.file import accepted_ids
    from harness.history.retention import Retention, removable, remove

    if keep is None and older_than is None:
        raise SettingsError("runs prune: say what is old: --keep=N, --older-than=DAYS or both")
    also = accepted_ids(command_project(Path.cwd())) if keep_accepted else ()
    rules = Retention(
        newest=keep, younger_than_days=older_than, branch=branch, accepted=keep_accepted, also=also
    )
    with open_history(history_place(history), to_read=dry_run) as stored:
        found = removable(stored.database, rules, datetime.now(UTC))
        if not dry_run and found:
            remove(stored.database, found)
    for run_id in found:
        say(f"{'would remove' if dry_run else 'removed'} run {run_id}")
    if not found:
        say("no run is old by these rules")
