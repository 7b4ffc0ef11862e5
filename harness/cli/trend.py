"""``tunegate runs trend``: each gated metric over the stored runs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.baselines.accepted_versions import accepted_versions
from harness.cli.options import HistoryOption, JsonOption
from harness.history.listing import RunFilter, gated_metrics
from harness.history.location import history_place
from harness.history.migrations import plain_text
from harness.history.store import History, open_history
from harness.presentation.console import open_console
from harness.studies.newest_points import NewestPoints, SeriesName
from harness.studies.trend import (
    Point,
    Trend,
    incomplete_sets,
    points_of,
    trends_of_accepted,
    trends_of_newest,
)
from harness.types.storage import to_json
from tunegate.figures import figures_of
from tunegate.printable import say
from tunegate.project import command_project

_BARS = "▁▂▃▄▅▆▇█"


def trend(
    limit: Annotated[int, typer.Option(min=2, help="Most points of a metric, the newest.")] = 30,
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
        trends = trends_of_accepted(versions, limit)
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
    newest, incomplete = NewestPoints[Point](limit), list[str]()
    filtered = RunFilter(model=model or "", verdict="pass" if passed else None)
    with open_history(history_place(history), to_read=True) as stored:
        for run_id in _useful_runs(stored, newest, filtered):
            record = stored.load_record(run_id)
            newest.add(points_of(record))
            if names := incomplete_sets(record.run):
                incomplete.append(f"run {run_id} is left out of {', '.join(names)}")
        return trends_of_newest(newest), incomplete[::-1]


def _useful_runs(stored: History, newest: NewestPoints[Point], wanted: RunFilter) -> Iterator[str]:
    """Ids of complete runs that may add a point, newest first; a long history isn't read as a whole."""
    having: dict[str, set[SeriesName]] | None = None
    left = Counter[SeriesName]()
    done: list[str] = []
    for run_id in _complete_runs(stored, wanted):
        lacking = newest.lacking
        if lacking is None:
            done.append(run_id)
            yield run_id
            continue
        if having is None:
            having = gated_metrics(stored.database)
            for other in done:
                having.pop(other, None)
            left.update(name for found in having.values() for name in found)
        names = {(plain_text(set_name), plain_text(metric)) for set_name, metric in lacking}
        if not any(left[name] for name in names):
            return
        own = having.pop(run_id, set())
        left.subtract(own)
        if names & own:
            yield run_id


def _complete_runs(stored: History, wanted: RunFilter) -> Iterator[str]:
    """Ids of the complete runs, newest first, however many partial ones are between them."""
    asked, told = 64, 0
    while True:
        lines = stored.list_runs(asked, wanted)
        yield from (line.id for line in lines[told:] if not line.partial)
        if len(lines) < asked:
            return
        asked, told = asked * 4, len(lines)


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
