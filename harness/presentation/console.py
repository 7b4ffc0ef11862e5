"""The consoles on which everything is printed that Rich lays out, and the colours of verdicts."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from harness.types import GateVerdict
from tunegate.printable import printable

STYLES = {GateVerdict.PASS: "green", GateVerdict.REGRESS: "red", GateVerdict.INCONCLUSIVE: "yellow"}


class PrintableConsole(Console):
    """A console that escapes the text it is given; its own colours and movements stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The renderable's pieces, each as it may be printed.

        Args:
            renderable: What is printed.
            options: Rich's own.
        """
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or (text.isprintable() and "::" not in text and "##" not in text):
                yield segment
            else:
                yield Segment(printable(text), segment.style)


def open_console(**options: Any) -> Console:
    """A console on standard output, or with Rich's options elsewhere; nothing is highlighted.

    Args:
        options: Rich's own, such as ``stderr=True``.
    """
    return PrintableConsole(**{"highlight": False, **options})


def table_console(pipe_width: int) -> Console:
    """A console on stdout, as wide as the terminal.

    Args:
        pipe_width: Columns for output into a pipe, which has no width: Rich would wrap rows at 80.
    """
    console = open_console()
    if not console.is_terminal:
        console.width = pipe_width
    return console
