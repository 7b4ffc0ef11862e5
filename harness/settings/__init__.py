"""The gate's settings and their sources: options, environment, pyproject.toml, defaults."""

from harness.settings.load import given_settings, load_settings, misspelt_variables, settings_of_command
from harness.settings.model import SETTINGS, Settings, environment_variable
from harness.settings.values import DTYPES, Option

__all__ = [
    "DTYPES",
    "SETTINGS",
    "Option",
    "Settings",
    "environment_variable",
    "given_settings",
    "load_settings",
    "misspelt_variables",
    "settings_of_command",
]
