"""The console that commands print tables on."""

from rich.console import Console


def table_console(pipe_width: int) -> Console:
    """A console on stdout, as wide as the terminal.

    Args:
        pipe_width: Columns for output into a pipe, which has no width: Rich would wrap rows at 80.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = pipe_width
    return console
