"""Where a project's history lies."""

from pathlib import Path

from harness.errors import HistoryError


def history_path(given: Path | None = None) -> Path:
    """The history to read: as given, else the one of the project around the working directory.

    Raises:
        HistoryError: There is none.
    """
    if given is not None:
        if not given.is_file():
            raise HistoryError(f"{given}: no such history file")
        return given
    here = Path.cwd()
    for directory in (here, *here.parents):
        found = directory / ".tunegate" / "history.sqlite"
        if found.is_file():
            return found
    raise HistoryError(
        "no history: no .tunegate/history.sqlite here or above; "
        "pytest --model=DIR makes one, --history names one elsewhere"
    )
