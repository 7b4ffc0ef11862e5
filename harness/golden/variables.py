"""``{{name}}`` in a case's texts, values in files beside the golden set, a case for each combination."""

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.golden.yaml_lines import MAX_BYTES
from harness.types import JsonValue

_VARIABLE = re.compile(r"\{\{\s*([^{}\s](?:[^{}\n]*[^{}\s])?)\s*\}\}")
# Other words between braces are a variable only if vars has their name: they may be a text's own.
_NAME = re.compile(r"[A-Za-z_]\w*")


_FILE = "file://"


class TemplateError(ValueError):
    """A variable or file that isn't there."""


class FilledText(str):
    """A text that was nothing but a variable with a number, true or false: in JSON it is that value."""

    __slots__ = ("variable",)

    variable: JsonValue


def fill(text: str, variables: Mapping[str, object], directory: Path) -> str:
    """A text with its file read and its variables filled in; other braces stay as they are.

    Args:
        text: The text, or ``file://`` and a path relative to the golden set.
        variables: The case's ``vars``.
        directory: The golden set's directory; files must be in it or below.

    Raises:
        TemplateError: A variable has no value, or the file can't be read.
    """
    text = read_if_file(text, directory)
    if "{{" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        if match[1] not in variables:
            if not _NAME.fullmatch(match[1]):
                return match[0]
            known = ", ".join(variables) or "none: write them under vars"
            raise TemplateError(f"{{{{{match[1]}}}}} has no value (allowed: {known})")
        found = variables[match[1]]
        return found if isinstance(found, str) else json.dumps(found)

    filled = _VARIABLE.sub(value, text)
    alone = _VARIABLE.fullmatch(text)
    if alone is None or isinstance(found := variables.get(alone[1], ""), str):
        return filled
    typed = FilledText(filled)
    typed.variable = found  # type: ignore[assignment] # the schema allows JSON alone
    return typed


def fill_value(value: JsonValue, fill_text: Callable[[str], str]) -> JsonValue:
    """A JSON value with each of its texts filled.

    Args:
        value: The value; mappings' keys stay as they are.
        fill_text: Fills one text.
    """
    if isinstance(value, str):
        return fill_text(value)
    if isinstance(value, list):
        return [fill_value(item, fill_text) for item in value]
    if isinstance(value, dict):
        return {key: fill_value(item, fill_text) for key, item in value.items()}
    return value


def as_json(value: JsonValue) -> JsonValue:
    """A filled value in which a text that was nothing but a variable is its value, 3 and not "3"."""
    if isinstance(value, FilledText):
        return value.variable
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return value


def as_texts(value: JsonValue) -> JsonValue:
    """A filled value in which a text, or a list of them, stays text; in a mapping any JSON is allowed."""
    if isinstance(value, FilledText):
        return str(value)
    if isinstance(value, list):
        return [as_texts(item) for item in value]
    return as_json(value)


def names_file(text: str) -> bool:
    """Whether a text stands for the content of a file."""
    return text.startswith(_FILE)


def read_if_file(text: str, directory: Path) -> str:
    """The content of the file that a text names, without its last line break; any other text unchanged.

    Args:
        text: A text; ``file://NAME`` names a file.
        directory: Where names start; only files below it are read.

    Raises:
        TemplateError: The file is outside of the directory or can't be read.
    """
    if not names_file(text):
        return text
    name = text.removeprefix(_FILE).strip()
    if not name or "\0" in name:
        raise TemplateError(f"file://{name!r} names no file")
    try:
        path = (directory / name).resolve()
        if not path.is_relative_to(directory.resolve()):
            raise TemplateError(f"file://{name} leaves the golden set's directory")
        if path.exists() and not path.is_file():
            raise TemplateError(f"file://{name} is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise TemplateError(f"file://{name} is larger than {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig").rstrip("\n")
    except UnicodeDecodeError as error:
        raise TemplateError(f"file://{name} is not UTF-8: byte {error.start}") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise TemplateError(f"file://{name} can't be read: {reason}") from error


Scalar = str | int | float | bool


_MOST = 1000


_LONGEST_ID = 120


_LONGEST_PART = 30


class MatrixError(ValueError):
    """Lists of values can't be combined; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """One case of a matrix.

    Attributes:
        case_id: The case's id with the values; the id itself without lists.
        variables: A value for each name.
    """

    case_id: str
    variables: Mapping[str, Scalar]


def combinations(case_id: str, variables: Mapping[str, Scalar | list[Scalar]]) -> list[Combination]:
    """All combinations of the lists' values, the last list's changing fastest.

    Args:
        case_id: The case's id as written.
        variables: The case's ``vars``.

    Raises:
        MatrixError: There are more than 1000, or a list has a value twice.
    """
    lists = {name: value for name, value in variables.items() if isinstance(value, list)}
    for name, values in lists.items():
        if len({(type(value), value) for value in values}) < len(values):
            raise MatrixError(f"{name} has a value twice")
    total = 1
    for values in lists.values():
        total *= len(values)
    if total > _MOST:
        raise MatrixError(f"{total} combinations (allowed: at most {_MOST})")
    fixed = {name: value for name, value in variables.items() if not isinstance(value, list)}
    labels = {name: _labels(values) for name, values in lists.items()}
    made = []
    for places in itertools.product(*(range(len(values)) for values in lists.values())):
        picked = dict(zip(lists, places, strict=True))
        case_name = "-".join([case_id, *(labels[name][place] for name, place in picked.items())])
        chosen = {name: lists[name][place] for name, place in picked.items()}
        made.append(Combination(case_id=case_name, variables={**fixed, **chosen}))
    return _numbered(case_id, made) if any(len(one.case_id) > _LONGEST_ID for one in made) else made


def _labels(values: Sequence[Scalar]) -> list[str]:
    """A part of an id for each value: its letters and digits, or its number in the list."""
    labels = [
        re.sub(r"[^A-Za-z0-9.]+", "-", str(value).removeprefix("file://")).strip("-.") for value in values
    ]
    clear = all(0 < len(label) <= _LONGEST_PART for label in labels) and len(set(labels)) == len(labels)
    return labels if clear else [str(number) for number in range(1, len(values) + 1)]


def _numbered(case_id: str, made: Sequence[Combination]) -> list[Combination]:
    return [
        Combination(case_id=f"{case_id}-{number}", variables=one.variables)
        for number, one in enumerate(made, start=1)
    ]
