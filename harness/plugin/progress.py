"""Progress of the long stages, shown through pytest's output capture."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.presentation.console import open_console
from harness.run.generation import Progress
from tunegate.printable import say


@contextmanager
def open_progress(config: pytest.Config) -> Iterator[Progress]:
    """A progress callback: live bars on a terminal, nothing with ``-q`` or without a terminal."""
    if config.option.verbose < 0 or not sys.__stderr__ or not _is_terminal(config):
        yield lambda stage, done, total: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        say("")  # keeps the line on which pytest shows the file's dots
        bars = Bars(
            TextColumn("{task.description:>14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=open_console(stderr=True),
            transient=True,
        )
        tasks: dict[str, int] = {}
        with bars:

            def show(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, total=total)
                bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type] # a TaskID

            yield show


def _is_terminal(config: pytest.Config) -> bool:
    terminal = config.pluginmanager.getplugin("terminalreporter")
    return bool(terminal and terminal.isatty)
