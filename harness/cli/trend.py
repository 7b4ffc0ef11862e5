"""``tunegate runs trend``: each gated metric over the stored runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.baselines.accepted_versions import accepted_versions
from harness.cli.options import HistoryOption, JsonOption
from harness.history.listing import RunFilter
from harness.history.location import history_place
from harness.history.store import History, open_history
from harness.presentation.console import open_console
from harness.studies.trend import Trend, incomplete_sets, trends_of, trends_of_accepted
from harness.types import GateRecord
from harness.types.storage import to_json
from tunegate.figures import figures_of
from tunegate.printable import say
from tunegate.project import command_project

_BARS = "▁▂▃▄▅▆▇█"


def trend(
    limit: Annotated[int, typer.Option(min=2, help="How many of the newest complete runs.")] = 30,
    passed: Annotated[
        bool, typer.Option("--passed", help="Only runs that passed, as a team would have accepted them.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Only runs of models whose name contains this.")] = None,
    history: HistoryOption = None,
    accepted: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Instead of stored runs, those accepted as this baseline, from its file's history in git.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Follow each gated metric through the runs, and say where one drifts or changed."""
    incomplete: list[str] = []
    if accepted is not None:
        versions = [
            version
            for version in accepted_versions(Path.cwd() / command_project(Path.cwd()), accepted)
            if model is None or model in version.model.label
        ]
        trends = trends_of_accepted(versions[-limit:])
    else:
        trends, incomplete = _of_stored(history, limit, model, passed=passed)
    if as_json:
        say(to_json(trends))
        return
    console = open_console()
    if not trends:
        console.print(
            "no complete run is stored yet of which a gated metric was compared with its baseline: "
            "pytest --model=DIR makes one, if it does not stop early"
        )
    for found in trends:
        console.print(_table(found))
        for note in (found.start_note, found.note):
            if note:
                console.print(f"{found.set_name} {found.metric} {note}\n", style="yellow")
    for line in incomplete:
        console.print(f"{line}: too many of its cases have no verdict")


def _of_stored(
    history: str | None, limit: int, model: str | None, *, passed: bool
) -> tuple[list[Trend], list[str]]:
    """The trends, and the runs of which a set is left out."""
    incomplete: list[str] = []

    def noted(record: GateRecord) -> GateRecord:
        if names := incomplete_sets(record.run):
            incomplete.append(f"run {record.run.id} is left out of {', '.join(names)}")
        return record

    with open_history(history_place(history), to_read=True) as stored:
        wanted = _newest_complete(
            stored, limit, RunFilter(model=model or "", verdict="pass" if passed else None)
        )
        return trends_of(noted(stored.load_record(run_id)) for run_id in reversed(wanted)), incomplete


def _newest_complete(stored: History, limit: int, wanted: RunFilter) -> list[str]:
    """Ids of the newest complete runs, however many partial ones are between them."""
    asked = limit
    while True:
        lines = stored.list_runs(asked, wanted)
        complete = [line.id for line in lines if not line.partial]
        if len(complete) >= limit or len(lines) < asked:
            return complete[:limit]
        asked *= 4


def _table(found: Trend) -> Table:
    title = f"{found.set_name} {found.metric}  {sparkline([p.summary.mean.estimate for p in found.points])}"
    table = Table("run", "model", "mean", "n", "verdict", title=title, title_justify="left", box=None)
    for point in found.points:
        mean = point.summary.mean
        table.add_row(
            point.run_id,
            point.model[-40:],
            "{} [{}, {}]".format(*figures_of((mean.estimate, mean.low, mean.high), 3)),
            str(point.summary.n),
            "–" if point.verdict is None else str(point.verdict),
        )
    return table


def sparkline(values: Sequence[float]) -> str:
    """The values as bars from the lowest to the highest; equal values are in the middle."""
    low, high = min(values), max(values)
    if high == low:
        return _BARS[len(_BARS) // 2] * len(values)
    return "".join(_BARS[int((value - low) / (high - low) * (len(_BARS) - 1))] for value in values)
