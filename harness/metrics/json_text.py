"""Reads an answer as JSON, strictly: what RFC 8259 leaves open to the parser is refused here."""

import json
import math

from harness.metrics.definition import quote
from harness.types import JsonValue

DEEPEST = 100


class NotJsonError(ValueError):
    """The text is not JSON; the message says where and why."""


def parse_json(text: str) -> JsonValue:
    """Read the whole text as one JSON value.

    NaN, Infinity, numbers beyond a float's range, a key that occurs twice in one object and nesting deeper
    than 100 levels are refused. So is a Markdown code fence around the JSON: a program that reads the answer
    would fail on it.

    Raises:
        NotJsonError: It is not.
    """
    if not text.strip():
        raise NotJsonError("the answer is empty")
    try:
        value: JsonValue = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number
        )
    except NotJsonError:
        raise
    except RecursionError:
        raise NotJsonError(f"nested deeper than {DEEPEST} levels") from None
    except json.JSONDecodeError as error:
        raise NotJsonError(_explained(text, error)) from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise NotJsonError(str(error).partition(";")[0]) from None
    if _deeper_than(value, DEEPEST):
        raise NotJsonError(f"nested deeper than {DEEPEST} levels")
    return value


def _explained(text: str, error: json.JSONDecodeError) -> str:
    if text.lstrip().startswith("```"):
        return "the answer is in a ``` code fence; only bare JSON counts"
    if error.msg == "Extra data":
        return f"more text follows the JSON: {quote(text[error.pos :].strip(), 40)}"
    if not text[: error.pos].strip():
        return f"the answer begins with {quote(text.strip()[:30])}, which is not JSON"
    if error.pos >= len(text.rstrip()):
        return f"the JSON ends early, after {quote(text.rstrip()[-20:])} ({error.msg})"
    return (
        f"{error.msg} at line {error.lineno}, column {error.colno}: {quote(text[error.pos : error.pos + 20])}"
    )


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value: dict[str, JsonValue] = {}
    for key, item in pairs:
        if key in value:
            raise NotJsonError(f"the key {quote(key)} occurs twice in one object")
        value[key] = item
    return value


def _constant(name: str) -> JsonValue:
    raise NotJsonError(f"{name} is not a JSON number")


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise NotJsonError(f"the number {quote(digits, 20)} is too large")
    return number


def _deeper_than(value: JsonValue, limit: int) -> bool:
    """Whether arrays and objects are nested deeper than this, computed without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        below = [item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer)]
        level = [item for item in below if isinstance(item, dict | list)]
    return bool(level)
