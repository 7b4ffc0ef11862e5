"""Which folder is the project: one rule for pytest sessions and for all commands."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_CONFIGURATION = "pyproject.toml"
# Signs of a project's root where no configuration has a table of ours; pytest goes by most of them too.
_SIGNS = (_CONFIGURATION, ".tunegate", "pytest.toml", "pytest.ini", "tox.ini", "setup.cfg", "setup.py")


def session_project(config: "pytest.Config") -> Path:
    """The project of a pytest session: the nearest configured one, else pytest's own root."""
    return configured_project(config.invocation_params.dir) or config.rootpath


def command_project(here: Path) -> Path:
    """The project that a command is run in: the nearest configured one, else the nearest that looks like one.

    Args:
        here: The working directory.

    Returns:
        An empty path where it is the working directory, so that paths are shown as they would be typed.
    """
    signed = (each for each in (here, *here.parents) if any((each / sign).exists() for sign in _SIGNS))
    found = configured_project(here) or next(signed, here)
    return Path() if found == here else found


def configured_project(here: Path) -> Path | None:
    """The nearest folder, this one or one above, whose pyproject.toml has a table ``[tool.tunegate]``."""
    return next((folder for folder in (here, *here.parents) if read_table(folder) is not None), None)


def read_table(folder: Path) -> Mapping[str, object] | None:
    """The settings in a folder's pyproject.toml; None where there are none."""
    try:
        text = (folder / _CONFIGURATION).read_text(encoding="utf-8")
        table = tomllib.loads(text)["tool"]["tunegate"] if "tunegate" in text else None
    except (OSError, ValueError, KeyError, TypeError):
        # Whoever reads the settings says what is wrong with the file.
        return None
    return table if isinstance(table, dict) else None
