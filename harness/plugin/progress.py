"""Progress of the long stages, shown through pytest's output capture."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from harness.plugin.writing import write_line
from harness.presentation.console import open_console
from harness.presentation.stage_lines import StageLines
from harness.run.generation import Progress
from tunegate.printable import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Where progress is shown.

    Attributes:
        on_progress: Called with a stage, and its finished and all parts.
        on_lost: Called with the number of lost cases; None where nobody reads it.
    """

    on_progress: Progress
    on_lost: Callable[[int], None] | None = None


@contextmanager
def open_progress(config: pytest.Config) -> Iterator[Shown]:
    """Live bars on a terminal, else a line every half a minute; nothing with ``-q``."""
    if config.option.verbose < 0 or not sys.__stderr__:
        yield Shown(on_progress=lambda stage, done, total: None)
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        if _is_terminal(config):
            with _bars() as on_progress:
                yield Shown(on_progress=on_progress)
        else:
            with StageLines(partial(_write, config)) as lines:

                def on_lost(lost: int) -> None:
                    lines.lost = lost

                yield Shown(on_progress=lines.show, on_lost=on_lost)


def _write(config: pytest.Config, line: str) -> None:
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is not None:
        terminal.ensure_newline()
        write_line(terminal, f"tunegate: {line}")
        terminal.flush()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    from harness.presentation.stage_bars import bar_per_stage

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
    with bars:
        yield bar_per_stage(bars)


def _is_terminal(config: pytest.Config) -> bool:
    terminal = config.pluginmanager.getplugin("terminalreporter")
    return bool(terminal and terminal.isatty)
