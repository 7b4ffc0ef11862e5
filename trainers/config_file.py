"""A configuration's file: read with line and key in every message, and written as a commented example."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import SettingsError
from harness.golden.yaml_lines import Document, KeyPath, parse_yaml
from tunegate.printable import shown_value

# Steps of a pydantic location that are alternatives of a type, not keys.
_INNER_STEPS = ("literal", "list[", "tuple[", "lax-or-strict[")

Config = TypeVar("Config", bound=BaseModel)


def load_config(path: Path, kind: type[Config], overrides: Mapping[str, object] = {}) -> Config:
    """Read a configuration.

    Args:
        path: The YAML file.
        kind: The method's configuration class.
        overrides: Values from the command line, which have priority.

    Raises:
        GoldenError: The file is not YAML.
        SettingsError: A key is unknown, missing or out of range; the message has file, line and key.
    """
    document = parse_yaml(path)
    if not isinstance(document.data, dict):
        raise SettingsError(f"{path}: expected a mapping of settings, found {type(document.data).__name__}")
    given = {key: value for key, value in overrides.items() if value is not None}
    try:
        config = kind.model_validate({**document.data, **given})
    except ValidationError as error:
        raise _describe(document, error, kind) from error
    # Paths in the file are relative to the file, paths on the command line to the working directory.
    return _from(path.parent, config, frozenset(given))


# A key at the beginning of a message, such as trl.optim or rewards[0] (python).
_KEY = re.compile(r"(?P<key>[a-z]\w*(?:\.[a-z]\w*)*)(?:\[(?P<number>\d+)\])?(?: \([^)]*\))?: ")


def begins_with_key(message: str, kind: type[BaseModel]) -> bool:
    """Whether a message begins with the name of a key.

    Args:
        message: A fault's.
        kind: The configuration class that the key may be of.
    """
    found = _KEY.match(message)
    return found is not None and found["key"].split(".")[0] in kind.model_fields


@contextmanager
def located_faults(path: Path, kind: type[BaseModel]) -> Iterator[None]:
    """Put file and line before a fault of a key that is only found while the configuration is used.

    Args:
        path: The configuration.
        kind: Its class.

    Raises:
        SettingsError: In place of one that begins with a key.
    """
    try:
        yield
    except SettingsError as error:
        message = str(error)
        found = _KEY.match(message)
        if type(error) is not SettingsError or found is None or not begins_with_key(message, kind):
            raise
        document = parse_yaml(path)
        steps: list[str | int] = [
            *found["key"].split("."),
            *([int(found["number"])] if found["number"] else []),
        ]
        line = f":{document.line(tuple(steps))}" if steps[0] in document.data else ""
        raise SettingsError(f"{path}{line}: {message}") from error


ValueT = TypeVar("ValueT")


def _from(directory: Path, value: ValueT, kept: frozenset[str] = frozenset()) -> ValueT:
    """A value with the paths in it relative to a directory. A key that isn't given remains such a key."""
    found: object = value
    if isinstance(value, Path):
        # The name of a data set of the hub is no path.
        found = value if str(value).startswith("hf:") else directory / value
    elif isinstance(value, tuple):
        found = tuple(_from(directory, entry) for entry in value)
    elif isinstance(value, BaseModel):
        moved = {name: _from(directory, entry) for name, entry in value if name not in kept}
        found = value.model_copy(
            update={name: entry for name, entry in moved.items() if entry != getattr(value, name)}
        )
    return cast(ValueT, found)


def _describe(document: Document, error: ValidationError, kind: type[BaseModel]) -> SettingsError:
    problem = error.errors(include_url=False)[0]
    key, around, held = _followed(kind, _steps(problem))
    name = ".".join(map(str, key))
    if problem["type"] == "agreement":
        named, said = _named(problem["msg"], held)
        name = ".".join(map(str, (*key, *named)))
        where = f":{document.line((*key, *named))}: {name}" if name else ""
        return SettingsError(f"{document.path}{where}: {said}")
    place = f"{document.path}:{document.line(key)}: {name}"
    if problem["type"] == "extra_forbidden":
        return SettingsError(f"{place}: unknown key (allowed: {', '.join(around.model_fields)})")
    if problem["type"] == "missing":
        inside = f":{document.line(key)}" if len(key) > 1 else ""
        return SettingsError(f"{document.path}{inside}: {name}: the key is missing")
    if problem["type"].startswith("union_tag"):
        tags = str(problem["ctx"].get("expected_tags", "a mapping with type")).replace("'", "")
        return SettingsError(f"{place}.type: found {shown_value(problem['input'])} (allowed: {tags})")
    # Of a key with alternatives, such as a list or a word, each has its own problem.
    same = [each for each in error.errors(include_url=False) if _steps(each) == _steps(problem)]
    allowed = " or ".join(dict.fromkeys(_allowed(each) for each in same))
    return SettingsError(f"{place}: found {shown_value(problem['input'])} (allowed: {allowed})")


# The types of YAML's values, by pydantic's names of problems.
_PLAIN_TYPES = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "a text",
    "path_type": "a path",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}


def _allowed(problem: ErrorDetails) -> str:
    said = problem["msg"].removeprefix("Input should be ")
    return _PLAIN_TYPES.get(problem["type"], said)


def _steps(problem: ErrorDetails) -> list[int | str]:
    """A problem's location without the alternatives of a type."""
    return [step for step in problem["loc"] if step != "str" and not str(step).startswith(_INNER_STEPS)]


def _named(message: str, around: type[BaseModel]) -> tuple[KeyPath, str]:
    """The key that a message begins with, if it is one of a class, and the rest of the message."""
    begin, colon, rest = message.partition(": ")
    key = tuple(begin.split("."))
    return (key, rest) if colon and key[0] in around.model_fields else ((), message)


def _followed(
    kind: type[BaseModel], location: Sequence[int | str]
) -> tuple[KeyPath, type[BaseModel], type[BaseModel]]:
    """The key of a pydantic location, the class that it is of, and the class that it holds or else that one.

    In a list of alternatives, such as rewards, the location names the entry's type after its number.
    """
    key: list[str | int] = []
    here: Any = kind
    around = kind
    for step in location:
        tagged = _alternative(here, str(step)) if key and isinstance(key[-1], int) else None
        if tagged is not None:
            here = tagged
            continue
        key.append(step)
        if isinstance(here, type) and issubclass(here, BaseModel):
            around = here
            here = here.model_fields[str(step)].annotation if step in here.model_fields else None
            if get_origin(here) in {Union, UnionType}:
                here = _only_entry(here)  # a section that may be left out
        elif isinstance(step, int):
            here = _only_entry(here)
    inside = here if isinstance(here, type) and issubclass(here, BaseModel) else around
    return tuple(key), around, inside


def _only_entry(annotation: Any) -> Any:
    """The class of a list's entries, if there is only one."""
    inside = get_args(annotation)
    kinds = [inner for inner in inside if isinstance(inner, type) and issubclass(inner, BaseModel)]
    return kinds[0] if len(kinds) == 1 else annotation


def _alternative(annotation: Any, tag: str) -> type[BaseModel] | None:
    """The class with ``type`` equal to ``tag`` among the classes of a list's entries."""
    found = list(get_args(annotation))
    while found:
        inner = found.pop()
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if "type" in inner.model_fields and tag in get_args(inner.model_fields["type"].annotation):
                return inner
        else:
            found += get_args(inner)
    return None


def example(kind: type[BaseModel], values: Mapping[str, str]) -> str:
    """A commented configuration: every key with its meaning, defaults commented out.

    Args:
        kind: The method's configuration class.
        values: Values in YAML of the keys that are written out; they come first.

    Returns:
        YAML text.
    """
    lines = []
    unread = getattr(kind, "unread", {})
    fields = {name: field for name, field in kind.model_fields.items() if name not in unread}
    for name, field in sorted(fields.items(), key=lambda item: item[0] not in values):
        lines.append(f"# {field.description}")
        default = field.default
        if name in values:
            lines.append(f"{name}: {values[name]}")
        elif isinstance(default, BaseModel):
            lines.append(f"# {name}:")
            lines += [
                f"#   {key}: {value}  # {type(default).model_fields[key].description}"
                for key, value in default
            ]
        else:
            lines.append(f"# {name}: {'null' if default is None else default}")
    return "\n".join(lines) + "\n"
