"""The command line: one option a setting, each also an environment variable and a pyproject key."""

import argparse
import os
from typing import Any

import pytest

from harness.errors import SettingsError
from harness.settings import SETTINGS, Settings, boolean, environment_variable, load_settings

_DEST = "tunegate_"
_REPEATED = ("model", "golden", "judge")


def add_options(parser: pytest.Parser) -> None:
    """Declare the options of all settings that have a flag."""
    group = parser.getgroup("tunegate", "tunegate: a regression gate for fine-tuned models")
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
        elif setting.parse is boolean:
            details |= {"action": "store_const", "const": True}
        else:
            details |= {"metavar": setting.metavar, "action": "append" if name in _REPEATED else "store"}
        if name == "model":
            _add_model_option(group, details)
        else:
            group.addoption(setting.flag, **details)


def _add_model_option(group: pytest.OptionGroup, details: dict[str, Any]) -> None:
    """``--model``, or only ``--gate-model`` where another plugin has taken the short name."""
    try:
        group.addoption("--model", "--gate-model", **details)
    except (ValueError, argparse.ArgumentError):
        group.addoption("--gate-model", **details)


def settings_of(config: pytest.Config) -> Settings:
    """The session's settings.

    Raises:
        pytest.UsageError: A value is not allowed.
    """
    flags = {name: config.getoption(_DEST + name, None) for name in SETTINGS}
    for name in _REPEATED:
        if flags[name] is not None:
            flags[name] = tuple(flags[name])
    try:
        return load_settings(flags, config.rootpath, os.environ)
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from error
