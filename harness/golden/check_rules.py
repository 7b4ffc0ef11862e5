"""What makes one written check valid, beyond the shape of its keys."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError

from harness.golden.checks import CHECK_TYPES, CheckType, base_type, check_names
from harness.golden.yaml_lines import KeyPath
from harness.types import Check, JsonValue


class CheckProblem(Exception):  # noqa: N818 # it becomes a GoldenError once the place is known
    """What is wrong with a check, below which of its keys, and what is allowed."""

    def __init__(self, key: KeyPath, problem: str, allowed: str = "") -> None:
        """Hold the parts of the message."""
        super().__init__(problem)
        self.key, self.problem, self.allowed = key, problem, allowed


def make_check(
    name: str,
    threshold: float | None,
    value: JsonValue,
    options: Mapping[str, JsonValue],
    *,
    references: Sequence[str],
    line: int = 0,
) -> Check:
    """A validated check.

    Args:
        name: The check's type as written.
        threshold: Its threshold, if one is written.
        value: Its value, if one is written.
        options: Its other keys.
        references: The case's references, which stand in for a missing value.
        line: Its line in the golden set.

    Raises:
        CheckProblem: The check can't be run as written.
    """
    kind = CHECK_TYPES.get(base_type(name))
    if kind is None or (name.startswith("not-") and not kind.invertible):
        close = difflib.get_close_matches(name, check_names(), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise CheckProblem(("type",), f"unknown check type {name!r}{hint}", ", ".join(check_names()))
    _check_threshold(kind, threshold)
    _check_value(kind, value, references)
    given = _options(kind, json.dumps(options, sort_keys=True))
    return Check(type=name, threshold=threshold, value=value, options=given, line=line)


def _check_threshold(kind: CheckType, threshold: float | None) -> None:
    if threshold is None:
        return
    if kind.kind == "binary":
        raise CheckProblem(("threshold",), f"{kind.name} is true or false", "no threshold")
    if threshold < kind.minimum or (kind.maximum is not None and threshold > kind.maximum):
        upper = "" if kind.maximum is None else f" to {kind.maximum:g}"
        raise CheckProblem(
            ("threshold",), f"found {threshold:g}", f"{kind.minimum:g}{upper or ' or more'} for {kind.name}"
        )


def _check_value(kind: CheckType, value: JsonValue, references: Sequence[str]) -> None:
    if value is None:
        if kind.value == "required":
            raise CheckProblem((), f"{kind.name} needs a value")
        if kind.needs_references and not references:
            other = "" if kind.value == "refused" else " or a value"
            raise CheckProblem((), f"{kind.name} needs references{other}")
        if kind.value_type == "json" and kind.needs_references:
            for reference in references:
                _parse_json(reference, ())
        return
    if kind.value == "refused":
        raise CheckProblem(("value",), f"{kind.name} takes no value", "the case's references")
    match kind.value_type:
        case "string" if not isinstance(value, str) or not value:
            raise CheckProblem(("value",), f"found {value!r}", "a text; quote it if it looks like a number")
        case "strings" if not (
            isinstance(value, list) and value and all(isinstance(v, str) and v for v in value)
        ):
            raise CheckProblem(("value",), f"found {value!r}", "a list of texts")
        case "pattern":
            _check_pattern(value)
        case "schema":
            _check_schema(value)
        case "json" if isinstance(value, str):
            _parse_json(value, ("value",))
        case _:
            pass


def _check_pattern(value: JsonValue) -> None:
    if not isinstance(value, str):
        raise CheckProblem(("value",), f"found {value!r}", "a regular expression")
    try:
        re.compile(value)
    except re.error as error:
        raise CheckProblem(("value",), f"not a regular expression: {error}") from error


def _check_schema(value: JsonValue) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(value, dict):
        raise CheckProblem(("value",), f"found {value!r}", "a JSON Schema, a mapping")
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        raise CheckProblem(("value",), f"not a JSON Schema: {error.message}") from error


def _parse_json(text: str, key: KeyPath) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        where = "the value" if key else "the reference"
        raise CheckProblem(key, f"{where} is not JSON: {error}", "JSON") from error


@cache
def _options_of(kind_name: str, written: str) -> dict[str, Any]:
    return CHECK_TYPES[kind_name].options.model_validate_json(written).model_dump(exclude_defaults=True)


def _options(kind: CheckType, written: str) -> dict[str, Any]:
    try:
        return dict(_options_of(kind.name, written))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = tuple(problem["loc"])
        allowed = ", ".join(["type", "threshold", "value", *kind.options.model_fields])
        if problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(str(key[0]), kind.options.model_fields, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise CheckProblem(key, f"unknown key of {kind.name}{hint}", allowed) from error
        message = problem["msg"].removeprefix("Value error, ")
        raise CheckProblem(key, message[0].lower() + message[1:]) from error
