"""``tunegate judge``: calibrating judges."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.cli.judge_compare import compare
from harness.cli.judge_correct import correct
from harness.cli.kept import kept_in, open_cache
from harness.cli.label import export, label
from harness.cli.options import DirectoryOption, JsonOption
from harness.cli.progress import watched_bar
from harness.errors import GoldenError
from harness.golden.load import LABELLED, project_golden
from harness.judge.calibration import Calibration, CalibrationLimits, calibrate
from harness.judge.labelled import LabelledItem, labelled_files, load_labelled_set
from harness.judge.trust import save_calibration
from harness.presentation.console import table_console
from harness.run.conclusion import make_directory
from harness.run.judging import open_panel
from harness.settings import settings_of_command
from harness.types import Interval, JudgeUsage
from harness.types.storage import to_json
from tunegate.printable import say
from tunegate.streams import prints_aside

app = typer.Typer(help="Judges: calibrate them on labels, compare models by them.", no_args_is_help=True)
app.command("label")(label)
app.command("export")(export)
app.command("compare")(compare)
app.command("correct")(correct)

_UNRELIABLE = 1


@app.callback()
def _group() -> None:
    """Judges: calibrate them on labels, compare models by them."""


@app.command("calibrate")
def calibrate_judge(
    judge: Annotated[
        list[str], typer.Option(help="openai:MODEL@URL, local:MODEL or reward:DIR; repeated, a panel.")
    ],
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Labelled sets or directories; golden_sets/judge by default.")
    ] = None,
    min_kappa: Annotated[float, typer.Option(min=0, max=1, help="Smallest agreement with the labels.")] = 0.6,
    repeats: Annotated[int, typer.Option(min=0, max=20, help="How often each question is repeated.")] = 2,
    concurrency: Annotated[int, typer.Option(min=1, help="How many questions are sent at a time.")] = 8,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest time for one attempt, in seconds.")] = 60.0,
    directory: DirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a judge with labelled items; exit status 1 if it is unreliable.

    The result is stored: a gate refuses an unreliable judge.
    """
    settings = settings_of_command(judge=tuple(judge), judge_concurrency=concurrency, judge_timeout_s=timeout)
    items, hashes = _load(paths or _labelled_places())
    needs = CalibrationLimits(kappa=min_kappa, kappa_low=min(min_kappa, CalibrationLimits().kappa_low))
    kept = kept_in(directory)
    with open_cache(kept / "cache.sqlite") as cache:
        panel = open_panel(settings, cache)
        assert panel is not None
        with prints_aside(as_json), panel, watched_bar("judging") as on_progress:
            found = calibrate(panel, items, hashes, needs=needs, repeats=repeats, on_progress=on_progress)
            usage = panel.usage
    make_directory(kept)
    path = save_calibration(found, kept)
    if as_json:
        say(to_json(found))
    else:
        _show(found, usage, path)
    if not found.reliable:
        say(f"UNRELIABLE: {'; '.join(found.reasons)}", err=as_json)
        raise typer.Exit(_UNRELIABLE)
    if not as_json:
        say("RELIABLE")


def _labelled_places() -> list[Path]:
    """The project's labelled sets, beside its golden sets."""
    places = [path / LABELLED for path in project_golden()]
    return [place for place in places if place.is_dir()] or places[:1]


def _load(paths: Sequence[Path]) -> tuple[list[LabelledItem], dict[str, str]]:
    """All items, with ids made unique by their set's name, and the sets' hashes."""
    items: list[LabelledItem] = []
    hashes: dict[str, str] = {}
    for file in labelled_files(list(paths)):
        read = load_labelled_set(file)
        if read.name in hashes:
            raise GoldenError(
                file, None, "name", f"{read.name!r} is taken by another set", "a name of its own"
            )
        hashes[read.name] = hashlib.sha256(file.read_bytes()).hexdigest()
        items += [item.model_copy(update={"id": f"{read.name}/{item.id}"}) for item in read.items]
    return items, hashes


def _show(found: Calibration, usage: JudgeUsage, path: Path) -> None:
    table = Table("measure", "n", "value", "90 %", "needs", "", box=None)
    for measure in found.measures:
        shown, around = _figures(measure.interval)
        around = "" if measure.interval is not None and measure.interval.confidence == 1 else around
        mark = "NO" if not measure.reached else "ok" if measure.interval is not None else "not measured"
        table.add_row(measure.name, str(measure.n), shown, around, measure.needs, mark)
    for task, interval in found.by_task.items():
        table.add_row(
            f"  kappa of {task}", "", *_figures(interval), "", "NO" if task in found.distrusted else ""
        )
    for tag, interval in found.by_tag.items():
        mark = "NO" if tag in found.distrusted_tags else ""
        table.add_row(f"  kappa of tag {tag}", "", *_figures(interval), "", mark)
    for trap, rate in found.by_trap.items():
        name = "no trap" if trap == "none" else trap
        table.add_row(f"  right: {name}", "", *_figures(rate), "", "")
    console = table_console(pipe_width=120)
    say(f"{found.judge}: {found.items} items of {', '.join(found.labelled)}")
    console.print(table)
    free = f", {usage.unstructured} not held to the JSON schema" if usage.unstructured else ""
    say(f"{usage.requests} requests, {usage.from_cache} cached replies{free}; stored in {path}")


def _figures(interval: Interval | None) -> tuple[str, str]:
    if interval is None:
        return "–", ""
    return f"{interval.estimate:.2f}", f"[{interval.low:.2f}, {interval.high:.2f}]"
