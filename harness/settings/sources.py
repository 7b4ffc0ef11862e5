"""The sources of pydantic-settings; imported only if one of them has a setting."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from os.path import exists
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
)

from harness.errors import SettingsError
from harness.registry.builtin_names import BUILTIN_NAMES, PREFIXES
from harness.registry.records import EngineKind
from harness.settings.model import SETTINGS, Settings, describe, environment_variable


def _from(project: Path, value: object) -> object:
    """A path that exists in the project, as it is reached from the working directory; others as written.

    A plug-in's engine may have the path: ``NAME:PATH``.
    """
    if isinstance(value, list):
        return [_from(project, each) for each in value]
    if not isinstance(value, str) or project.resolve() == Path.cwd():
        return value
    if _is_path(project, value):
        return str(project / value)
    name, colon, path = value.partition(":")
    if colon and _is_path(project, path) and name not in BUILTIN_NAMES[EngineKind] | PREFIXES:
        return f"{name}:{project / path}"
    return value


def _is_path(project: Path, text: str) -> bool:
    # A word without slash and ending may be a name: of the catalogue, of a baseline, of a run.
    # Unlike pathlib's, this answers False to a name that is too long.
    return ("/" in text or "." in text) and exists(project / text)  # noqa: PTH110


# The start of a judge that may be a path: what is before it, the path, what is behind it.
_JUDGE = re.compile(r"(?P<kind>(?!openai:)[a-z][a-z0-9-]+:)(?P<path>[^@]*)(?P<rest>@.*)?")


def _judge_from(project: Path, value: object) -> object:
    """The specs of judges, whose paths are relative to the project too."""
    specs = value if isinstance(value, list) else re.split(r"\s+(?=\w{2,}:)", str(value).strip())
    made: list[object] = []
    for spec in specs:
        found = _JUDGE.fullmatch(spec) if isinstance(spec, str) else None
        made.append(f"{found['kind']}{_from(project, found['path'])}{found['rest'] or ''}" if found else spec)
    return made if isinstance(value, list) else " ".join(map(str, made))


# What a text in pyproject.toml is read as, where the setting is a switch or a number: a value of no setting.
_QUOTED: Mapping[str, str] = {}


def _typed(name: str, value: object) -> object:
    """A value of pyproject.toml, which has types: a text there is neither a number nor true or false."""
    field = Settings.model_fields.get(name)
    is_typed = field is not None and field.annotation in {bool, int, float, float | None}
    is_choice = field is not None and field.annotation == (int | None) and value != "auto"
    return _QUOTED if (is_typed or is_choice) and isinstance(value, str) else value


def _as_written(_project: Path, value: object) -> object:
    return value


# Keys that may hold the path of a model: it is relative to the project, where it was typed.
_RELATIVE = {"model": _from, "base": _from, "baseline": _from, "judge": _judge_from}


class _Table(PyprojectTomlConfigSettingsSource):
    """``[tool.tunegate]``, whose keys may be written with hyphens.

    Attributes:
        written: The keys as written, by setting name.
        values: Their values, by setting name.
    """

    written: Mapping[str, str] = {}
    values: Mapping[str, object] = {}

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        table: Any = super()._read_file(file_path)
        for key in self.toml_table_header:
            table = table.get(key, {})
            if not isinstance(table, dict):
                raise SettingsError(f"{file_path}: [tool.tunegate]: found {table!r} (allowed: a table)")
        self.written = {}
        for key in table:
            other = self.written.setdefault(key.replace("-", "_"), key)
            if key != key.lower() and key.replace("-", "_").lower() in SETTINGS:
                told = f"unknown key; did you mean {key.lower()}?"
                raise SettingsError(f"{file_path}: [tool.tunegate] {key}: {told}")
            if other != key:
                raise SettingsError(f"{file_path}: [tool.tunegate] {key}: also written as {other}; keep one")
        self.values = {
            name: _RELATIVE.get(name, _as_written)(Path(file_path).parent, table[key])
            for name, key in self.written.items()
        }
        tool, tunegate = self.toml_table_header
        return {tool: {tunegate: {name: _typed(name, value) for name, value in self.values.items()}}}


class _LoadedSettings(Settings, BaseSettings):
    """Settings from the sources of one call."""

    model_config = SettingsConfigDict(
        env_prefix=environment_variable(""),
        # Each field reads its own text.
        enable_decoding=False,
        pyproject_toml_table_header=("tool", "tunegate"),
        validate_default=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the given sources: neither the process's environment nor other files."""
        assert isinstance(init_settings, InitSettingsSource)
        sources: tuple[PydanticBaseSettingsSource, ...] = init_settings.init_kwargs["sources"]
        return sources


def read_sources(flags: Mapping[str, object], path: Path, environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Args:
        flags: Values given on the command line by setting name.
        path: The pyproject.toml, which need not exist.
        environment: The process's environment.

    Raises:
        SettingsError: A file that can't be read, an unknown key, or a value that isn't allowed.
    """
    variables = EnvSettingsSource(_LoadedSettings)
    # By setting, in the letter case that the source expects.
    variables.env_vars = {
        environment_variable(name).lower(): environment[environment_variable(name)]
        for name in SETTINGS
        if environment_variable(name) in environment
    }
    try:
        table = _Table(_LoadedSettings, path)
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: {error}") from error
    try:
        given: dict[str, Any] = {
            "sources": (InitSettingsSource(_LoadedSettings, dict(flags)), variables, table)
        }
        loaded = _LoadedSettings(**given)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        key = f"{path}: [tool.tunegate] {table.written.get(name, name)}"
        if name not in SETTINGS:
            close = get_close_matches(name, SETTINGS, n=1)
            known = f"; did you mean {close[0]}?" if close else f" (allowed: {', '.join(SETTINGS)})"
            raise SettingsError(f"{key}: unknown key{known}") from None
        variable = environment_variable(name)
        if name in flags:
            raise SettingsError(describe(error, SETTINGS[name].flag or name, flags[name])) from None
        if variable in environment:
            raise SettingsError(describe(error, variable, environment[variable])) from None
        raise SettingsError(describe(error, key, table.values[name])) from None
    return Settings.model_construct(**{name: getattr(loaded, name) for name in SETTINGS})
