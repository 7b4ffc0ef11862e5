"""Lines of the gate in pytest's output, through the same escape as everything that is printed."""

import pytest

from tunegate.printable import printable


def write_line(terminal: pytest.TerminalReporter, text: object, **markup: bool) -> None:
    """Write a text as one or more lines.

    Args:
        terminal: The terminal.
        text: The text, or a value with one.
        markup: Pytest's own, such as ``red=True``.
    """
    terminal.write_line(printable(str(text)), **markup)
