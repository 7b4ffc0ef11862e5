"""The command line: one option per setting, each also an environment variable and a pyproject key."""

import os
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SettingsError
from harness.settings import SETTINGS, Settings, environment_variable, load_settings
from tunegate.project import session_project

_DEST = "tunegate_"
# Settings that are paths relative to the project's root.
_PATHS = ("golden", "directory")
_GROUP, _TITLE = "tunegate", "tunegate: a regression gate for fine-tuned models"


def add_options(parser: pytest.Parser) -> None:
    """Declare the options of all settings with a flag."""
    group = parser.getgroup(_GROUP, _TITLE)
    for name, setting in SETTINGS.items():
        if setting.flag is None:
            continue
        details: dict[str, Any] = {
            "dest": _DEST + name,
            "default": None,
            "help": f"{setting.help} [{environment_variable(name)}]",
        }
        if setting.flag.startswith("--gate-no-"):
            details |= {"action": "store_const", "const": False}
        elif setting.metavar is None:
            details |= {"action": "store_const", "const": True}
        else:
            details |= {"metavar": setting.metavar, "action": "append" if setting.repeated else "store"}
        group.addoption(f"--gate-{name}" if name == "model" else setting.flag, **details)


def add_model_option(parser: pytest.Parser) -> None:
    """Declare ``--model``, the short name of ``--gate-model``."""
    setting = SETTINGS["model"]
    parser.getgroup(_GROUP, _TITLE).addoption(
        "--model",
        dest=_DEST + "model",
        metavar=setting.metavar,
        action="append",
        help="short for --gate-model",
    )


def _from_here(here: Path, value: Any) -> Any:
    """Paths that were typed here, for a reader who starts at the project's root."""
    if isinstance(value, list):
        return [str(here / each) for each in value]
    return value and str(here / value)


def settings_of(config: pytest.Config) -> Settings:
    """The session's settings.

    Raises:
        pytest.UsageError: A value is not allowed.
    """
    flags = {name: config.getoption(_DEST + name, None) for name in SETTINGS}
    project, here = session_project(config), config.invocation_params.dir
    if here != project:
        flags |= {name: _from_here(here, flags[name]) for name in _PATHS}
    try:
        return load_settings(flags, project, os.environ)
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from error
