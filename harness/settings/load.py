"""Loads settings from options, variables, ``[tool.tunegate]`` and defaults, in this order of priority."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import SettingsError
from harness.settings.model import SETTINGS, Settings, describe, environment_variable


def load_settings(flags: Mapping[str, object], root: Path, environment: Mapping[str, str]) -> Settings:
    """Combine the settings of all sources.

    Args:
        flags: Values given on the command line by setting name; None if a flag was not given.
        root: The project's root; its pyproject.toml may have ``[tool.tunegate]``.
        environment: The process's environment.

    Raises:
        SettingsError: An unknown key, or a value that isn't allowed.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    path = root / "pyproject.toml"
    is_written = bool(given) or any(environment_variable(name) in environment for name in SETTINGS)
    if not is_written and not _may_have_table(path):
        # Importing the sources takes a tenth of a second, and they are empty here.
        return Settings.model_construct()
    from harness.settings.sources import read_sources

    return read_sources(given, path, environment)


def _may_have_table(path: Path) -> bool:
    try:
        return b"tunegate" in path.read_bytes()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # the sources report its fault


def settings_of_command(**chosen: Any) -> Settings:
    """Settings of a command's own options, which have the names of the settings.

    Raises:
        SettingsError: A value isn't allowed.
    """
    try:
        return Settings(**chosen)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise SettingsError(describe(error, f"--{name.replace('_', '-')}", chosen[name])) from None


def given_settings(settings: Settings) -> frozenset[str]:
    """The settings that differ from their defaults."""
    fields = Settings.model_fields.items()
    return frozenset(
        name
        for name, field in fields
        if getattr(settings, name) != field.get_default(call_default_factory=True)
    )


# Variables of the gate that are no settings.
_OTHERS = ("HOME", "JUDGE_API_KEY", "MODEL_API_KEY", "SERVE_API_KEY", "REPORT", "JSON", "MARKDOWN")


def misspelt_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that are none of the gate's and look like one, each with the one that may be meant.

    Args:
        environment: The process's environment.
    """
    known = [environment_variable(name) for name in (*SETTINGS, *_OTHERS)]
    unknown = [
        name for name in environment if name.startswith(environment_variable("")) and name not in known
    ]
    if not unknown:
        return {}
    from difflib import get_close_matches

    close = {name: get_close_matches(name, known, n=1, cutoff=0.85) for name in unknown}
    return {name: found[0] for name, found in close.items() if found}
