"""The location of a project's history."""

import os
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HistoryError
from harness.settings import load_settings
from tunegate.project import configured_project

FILE_NAME = "history.sqlite"


def history_path(
    given: Path | None = None,
    *,
    here: Path | None = None,
    environment: Mapping[str, str] | None = None,
    to_write: bool = False,
) -> Path:
    """The history to read: the given one, otherwise that of the nearest project that has one.

    The project is the nearest directory whose pyproject.toml has a table ``[tool.tunegate]``; without one,
    each with a pyproject.toml or a .tunegate directory is looked at. The setting ``directory`` is followed.

    Args:
        given: What the user named: the history's file, or its folder.
        here: Where to start looking; the working directory by default.
        environment: The process's environment by default.
        to_write: The file may be missing: it is made.

    Raises:
        HistoryError: There is none.
        SettingsError: A project's settings can't be read.
    """
    if given is not None:
        if given.is_dir() or (not given.suffix and not given.exists()):
            given = given / FILE_NAME
        if not to_write and not given.is_file():
            raise HistoryError(f"{given}: no such history file")
        return given
    start = Path.cwd() if here is None else here
    environment = os.environ if environment is None else environment
    looked: list[Path] = []
    configured = configured_project(start)
    for directory in (start, *start.parents) if configured is None else (configured,):
        if (directory / "pyproject.toml").is_file() or (directory / ".tunegate").is_dir():
            path = directory / load_settings({}, directory, environment).directory / FILE_NAME
            if to_write or path.is_file():
                return path
            looked.append(path)
    missing = looked[0] if looked else start / ".tunegate" / FILE_NAME
    raise HistoryError(
        f"{missing}: no history here: pytest --model=DIR makes one, --history names one elsewhere"
    )
