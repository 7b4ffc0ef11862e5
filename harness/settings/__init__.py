"""The gate's settings and their sources: options, environment, pyproject.toml, defaults."""

from harness.settings.load import load_settings, settings_of_command
from harness.settings.model import SETTINGS, Settings, environment_variable
from harness.settings.values import DTYPES, Option

__all__ = [
    "DTYPES",
    "SETTINGS",
    "Option",
    "Settings",
    "environment_variable",
    "load_settings",
    "settings_of_command",
]
