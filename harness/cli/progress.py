"""Progress bars of commands that answer and score."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.presentation.console import open_console
from harness.presentation.stage_bars import bar_per_stage
from harness.presentation.stage_lines import StageLines
from harness.run.generation import Progress as OnProgress
from tunegate.printable import say


@contextmanager
def stage_bars() -> Iterator[OnProgress]:
    """A bar for each stage, on stderr; they disappear at the end. In a log, a line every half a minute."""
    console = open_console(stderr=True)
    if not console.is_terminal:
        with _lines() as on_progress:
            yield on_progress
        return
    with Progress(console=console, transient=True) as bars:
        yield bar_per_stage(bars)


@contextmanager
def current_stage_bar() -> Iterator[OnProgress]:
    """One bar with the name of the current stage, for work of many stages; in a log as stage_bars."""
    console = open_console(stderr=True)
    if not console.is_terminal:
        with _lines() as on_progress:
            yield on_progress
        return
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda stage, done, total: bars.update(task, description=stage, completed=done, total=total)


@contextmanager
def _lines() -> Iterator[OnProgress]:
    with StageLines(lambda line: say(f"tunegate: {line}", err=True)) as lines:
        yield lines.show


@contextmanager
def watched_bar(stage: str) -> Iterator[OnProgress]:
    """A bar of one long stage with the remaining time, on a terminal."""
    console = open_console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(stage)
        yield lambda _, done, total: bar.update(task, completed=done, total=total)
