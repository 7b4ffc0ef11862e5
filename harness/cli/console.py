"""The console that commands print tables on."""

from rich.console import Console


def table_console(pipe_width: int) -> Console:
    """A console on stdout as wide as its terminal.

    Args:
        pipe_width: Columns where the output goes into a pipe, which has no width: Rich would fold rows at 80.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = pipe_width
    return console
