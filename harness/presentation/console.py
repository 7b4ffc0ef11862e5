"""The consoles on which everything is printed that Rich lays out, and the colours of verdicts."""

import itertools
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Span, Text

from harness.types import GateVerdict
from tunegate.printable import printable, visible

STYLES = {GateVerdict.PASS: "green", GateVerdict.REGRESS: "red", GateVerdict.INCONCLUSIVE: "yellow"}


class PrintableConsole(Console):
    """A console that escapes the text it is given; its own colours and movements stay.

    Texts are escaped before they are measured and wrapped, so that tables stay straight, and once more at the
    end, since a line may come to begin with a command of a CI service.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """A string, such as a cell of a table, as Rich's text.

        Args:
            text: The string.
            options: Rich's own.
        """
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The renderable's pieces, each as it may be printed.

        Args:
            renderable: What is printed.
            options: Rich's own.
        """
        shown = visible_text(renderable) if isinstance(renderable, Text) else renderable
        for segment in super().render(shown, options):
            text = segment.text
            if segment.control or (text.isprintable() and "::" not in text and "##" not in text):
                yield segment
            else:
                yield Segment(printable(text), segment.style)


def visible_text(text: Text) -> Text:
    """A text of Rich's with visible hidden characters, and its styles where they were.

    A cell of a table is measured as it is given: one with a foreign text needs this.
    """
    shown = [visible(character) for character in text.plain]
    if len(shown) == sum(map(len, shown)):
        return text
    places = list(itertools.accumulate(map(len, shown), initial=0))
    made = text.blank_copy("".join(shown))
    last = len(shown)
    made.spans = [Span(places[each.start], places[min(each.end, last)], each.style) for each in text.spans]
    return made


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
