"""Checks on JSON answers: their schema, their content.

What RFC 8259 leaves open to the parser is refused here.
"""

import json
import math
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from decimal import Decimal

from harness.golden.patterns import of_one_draft, unchecked_formats
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote
from harness.metrics.schema_patterns import WrittenFloat, pattern_time, with_time
from harness.metrics.text import PatternTime
from harness.types import JsonValue, Score
from harness.types.golden import VALUE_IS_NULL

DEEPEST = 100
_MOST_DIGITS = 300
# Python's frames for each of these levels under a schema that refers to itself.
_FRAMES = 4000


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
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_integer
        )
    except NotJsonError:
        raise
    except RecursionError:
        raise NotJsonError(f"nested deeper than {DEEPEST} levels") from None
    except json.JSONDecodeError as error:
        raise NotJsonError(_explained(text, error)) from None
    if _deeper_than(value, DEEPEST):
        raise NotJsonError(f"nested deeper than {DEEPEST} levels")
    return value


def _explained(text: str, error: json.JSONDecodeError) -> str:
    if text.lstrip().startswith("```"):
        return "the answer is in a ``` code fence; only bare JSON counts"
    if error.msg == "Extra data":
        return f"more text follows the JSON: {quote(text[error.pos :].strip(), 40)}"
    # Other white space than JSON's, such as a no-break space, is shown: it is the fault.
    if not text[: error.pos].strip():
        return f"the answer begins with {quote(text[error.pos :].rstrip()[:30])}, which is not JSON"
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
    number = WrittenFloat(digits)
    if math.isinf(number):
        raise NotJsonError(f"the number {quote(digits, 20)} is too large")
    return number


def _integer(digits: str) -> int:
    # Also of more digits than Python converts.
    if len(digits) > _MOST_DIGITS and math.isinf(float(digits)):
        raise NotJsonError(f"the number {quote(digits, 20)} is too large")
    return int(digits)


def _deeper_than(value: JsonValue, limit: int) -> bool:
    """Whether arrays and objects are nested deeper than this, computed without recursion."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        below = [item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer)]
        level = [item for item in below if isinstance(item, dict | list)]
    return bool(level)


_SHOWN = 3


def _is_json(request: ScoringRequest) -> Score:
    try:
        answer = parse_json(request.text)
    except NotJsonError as error:
        return binary(request, False, str(error))
    schema = request.check.value
    if schema is None:
        return binary(request, True, f"the answer is JSON ({_kind(answer)})")
    problem = schema_violation(answer, schema)
    if problem:
        return binary(request, False, problem)
    told = "the answer is JSON and valid under the schema"
    if formats := unchecked_formats(schema):
        told += f"; nothing checks the format {' or '.join(formats)}"
    return binary(request, True, told)


def schema_violation(answer: JsonValue, schema: JsonValue) -> str | None:
    """The most relevant violation, or None. Formats that the standard library can check are checked.

    Args:
        answer: The JSON value.
        schema: The JSON Schema.
    """
    import jsonschema
    from jsonschema.validators import validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    if not isinstance(schema, dict | bool):
        raise TypeError(f"a JSON Schema is an object, not {_kind(schema)}")
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    schema = of_one_draft(schema)
    # With its own registry a $ref to an address is an error, never a download.
    validator = with_time(kind)(schema, registry=EMPTY_REGISTRY, format_checker=kind.FORMAT_CHECKER)
    with pattern_time(PatternTime(what="the schema's pattern")), _room_for_recursion():
        error = jsonschema.exceptions.best_match(validator.iter_errors(answer))
    if error is None:
        return None
    message = error.message if len(error.message) <= 160 else f"{error.message[:80]} … {error.message[-80:]}"
    return f"{error.json_path}: {message}"


@contextmanager
def _room_for_recursion() -> Iterator[None]:
    """Let the validator go as deep as an answer may be nested.

    Raises:
        ValueError: That was not enough.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _FRAMES))
    try:
        yield
    except RecursionError:
        raise ValueError("the schema and the answer are nested too deeply to be compared") from None
    finally:
        sys.setrecursionlimit(before)


def _json_equals(request: ScoringRequest) -> Score:
    wanted = _wanted(request)
    try:
        answer = parse_json(request.text)
    except NotJsonError as error:
        return binary(request, False, str(error))
    options = request.check.options
    ignore, tolerance = options.get("ignore", []), options.get("tolerance", 0.0)
    without = set(ignore) if isinstance(ignore, list | tuple) else set()
    most = Decimal(repr(tolerance))
    closest = min((differences(_kept(one, without), _kept(answer, without), most) for one in wanted), key=len)
    if not closest:
        return binary(request, True, "the answer equals the expected JSON")
    shown = "; ".join(closest[:_SHOWN])
    more = f"; and {len(closest) - _SHOWN} more differences" if len(closest) > _SHOWN else ""
    return binary(request, False, shown + more)


def _wanted(request: ScoringRequest) -> list[JsonValue]:
    if request.check.value is not None or request.check.options.get(VALUE_IS_NULL):
        return [request.check.value]
    if not request.case.references:
        raise ValueError(f"{request.check.type} has neither a value nor a reference to compare with")
    try:
        return [parse_json(reference) for reference in request.case.references]
    except NotJsonError as error:
        message = f"a reference of the case is not JSON: {str(error).removeprefix('the answer ')}"
        raise ValueError(message) from None


def _kept(value: JsonValue, ignore: Collection[object]) -> JsonValue:
    """The value without its ignored top-level keys."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if key not in ignore}
    return value


def differences(wanted: JsonValue, found: JsonValue, tolerance: Decimal, path: str = "$") -> list[str]:
    """Differences of two JSON values, in the expected value's order, each as "path: expected …, found …".

    The order of keys is ignored. 1 and 1.0 are the same number, true and 1 are not, and numbers are
    compared as decimal fractions so that 1.02 and 1.01 differ by exactly 0.01.

    Args:
        wanted: The reference.
        found: The answer.
        tolerance: Greatest difference of two numbers that counts as none.
        path: Where the values are in the document, for messages.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        return _object_differences(wanted, found, tolerance, path)
    if isinstance(wanted, list) and isinstance(found, list):
        pairs = enumerate(zip(wanted, found, strict=False))
        inner = [line for at, (a, b) in pairs for line in differences(a, b, tolerance, f"{path}[{at}]")]
        if len(wanted) != len(found):
            inner.append(f"{path}: expected {len(wanted)} items, found {len(found)}")
        return inner
    if _same_scalar(wanted, found, tolerance):
        return []
    return [f"{path}: expected {_shown(wanted)}, found {_shown(found)}"]


def _object_differences(
    wanted: dict[str, JsonValue], found: dict[str, JsonValue], tolerance: Decimal, path: str
) -> list[str]:
    lines = []
    for key, item in wanted.items():
        if key in found:
            lines += differences(item, found[key], tolerance, _member(path, key))
        else:
            lines.append(f"{_member(path, key)}: missing, expected {_shown(item)}")
    lines += [
        f"{_member(path, key)}: not expected, found {_shown(found[key])}"
        for key in found
        if key not in wanted
    ]
    return lines


def _member(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{key!r}]"


def _same_scalar(wanted: JsonValue, found: JsonValue, tolerance: Decimal) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int | float) and isinstance(found, int | float):
        return wanted == found or abs(Decimal(repr(wanted)) - Decimal(repr(found))) <= tolerance
    return type(wanted) is type(found) and wanted == found


def _shown(value: JsonValue) -> str:
    if isinstance(value, dict | list):
        text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
        return text if len(text) <= 40 else f"{text[:39]}…"
    if isinstance(value, str):
        return quote(value, 40)
    return json.dumps(value)


def _kind(value: JsonValue) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


is_json = one_by_one(_is_json)


json_equals = one_by_one(_json_equals)
