"""The location of a project's history, for commands."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HistoryError
from harness.history.database import is_stored, project_history
from harness.history.server import FILE_NAME, HistoryPlace, HistoryServer, place_of
from harness.settings import load_settings
from tunegate.project import command_project, configured_project


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLocation:
    """A history, and where what belongs to its runs is.

    Attributes:
        place: The history.
        directory: The directory with ``runs/ID`` of reports and of runs that are not saved yet.
    """

    place: HistoryPlace
    directory: Path


def find_history(
    given: str | Path | None = None,
    *,
    here: Path | None = None,
    environment: Mapping[str, str] | None = None,
    to_write: bool = False,
) -> HistoryLocation:
    """The history to read: the given one, otherwise that of the nearest project that has one.

    The project is the nearest directory whose pyproject.toml has a table ``[tool.tunegate]``; without one,
    each with a pyproject.toml or a .tunegate directory is looked at. The settings ``history`` and
    ``directory`` are followed.

    Args:
        given: What an option names: a URL, the history's file, or its folder. A path of the variable is
            relative to the project instead, as in a gate.
        here: Where to start looking; the working directory by default.
        environment: The process's environment by default.
        to_write: The file may be missing: it is made.

    Raises:
        HistoryError: There is none, or the name of one can't be read.
        SettingsError: A project's settings can't be read.
    """
    start = Path.cwd() if here is None else here
    environment = os.environ if environment is None else environment
    if given is None and environment.get("TUNEGATE_HISTORY"):
        return _of_variable(start, environment, to_write=to_write)
    if given is not None:
        place = place_of(str(given), Path())
        if isinstance(place, HistoryServer):
            project = command_project(start)
            directory = project / load_settings({}, project, environment).directory
            return HistoryLocation(place=place, directory=directory)
        if not to_write and not is_stored(place):
            raise HistoryError(f"{place}: no such history file")
        return HistoryLocation(place=place, directory=place.parent)
    looked: list[Path] = []
    configured = configured_project(start)
    for project in (start, *start.parents) if configured is None else (configured,):
        if (project / "pyproject.toml").is_file() or (project / ".tunegate").is_dir():
            settings = load_settings({}, project, environment)
            directory, path = project / settings.directory, project_history(settings, project)
            if to_write or is_stored(path):
                return HistoryLocation(place=path, directory=directory)
            looked.append(directory / FILE_NAME)
    missing = looked[0] if looked else start / ".tunegate" / FILE_NAME
    raise HistoryError(
        f"{missing}: no history here: pytest --model=DIR makes one, --history names one elsewhere"
    )


def _of_variable(start: Path, environment: Mapping[str, str], *, to_write: bool) -> HistoryLocation:
    """The history that the variable names, wherever in the project a command is run.

    Raises:
        HistoryError: There is none, or the name of one can't be read.
    """
    project = start / command_project(start)
    settings = load_settings({}, project, environment)
    place = project_history(settings, project)
    if not to_write and not is_stored(place):
        raise HistoryError(f"{place}: no such history file")
    return HistoryLocation(place=place, directory=project / settings.directory)


def history_place(given: str | Path | None = None) -> HistoryPlace:
    """The history that a command reads, as :func:`find_history` finds it.

    Raises:
        HistoryError: There is none.
    """
    return find_history(given).place
