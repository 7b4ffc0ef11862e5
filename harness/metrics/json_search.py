"""Checks on a part of a JSON answer, or on JSON inside another answer."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

from harness.golden.json_paths import compiled_path
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote
from harness.metrics.json_checks import NotJsonError, differences, parse_json, schema_violation
from harness.types import JsonValue, Score
from harness.types.golden import VALUE_IS_NULL

_SHOWN = 3
_START = re.compile(r"[{\[]")
# Each start of an object that never ends is read again and again: so many characters in all.
_MOST_READ = 50_000_000
# Python nests its reader about a thousand levels deep, and more than a hundred are refused.
_SKIPPED = 200
# A word, a number's sign or an escape that is cut has no more characters.
_LONGEST_PART = 16


def _json_path(request: ScoringRequest) -> Score:
    path, wanted = str(request.check.options["path"]), request.check.value
    query = compiled_path(path)
    try:
        found = [node.obj for node in query.finditer(parse_json(request.text))]
    except NotJsonError as error:
        return binary(request, False, str(error))
    if not found:
        return binary(request, False, f"{path} selects nothing in the answer")
    if wanted is None and not request.check.options.get(VALUE_IS_NULL):
        return binary(request, True, f"{path} selects {_counted(len(found))}")
    # A path such as $.items[*] is of a list, even where it selects one value.
    value = found[0] if query.singular_query() else found
    tolerance = Decimal(repr(request.check.options.get("tolerance", 0.0)))
    lines = differences(wanted, value, tolerance, path)
    if not lines:
        return binary(request, True, f"{path} is the expected value")
    more = f"; and {len(lines) - _SHOWN} more differences" if len(lines) > _SHOWN else ""
    return binary(request, False, "; ".join(lines[:_SHOWN]) + more)


def _counted(number: int) -> str:
    return "a value" if number == 1 else f"{number} values"


def _contains_json(request: ScoringRequest) -> Score:
    schema, problem = request.check.value, ""
    for value in json_inside(request.text):
        if schema is None:
            return binary(request, True, f"the answer contains JSON: {quote(json.dumps(value), 40)}")
        violation = schema_violation(value, schema)
        if violation is None:
            return binary(request, True, "the answer contains JSON that is valid under the schema")
        problem = problem or violation
    return binary(request, False, problem or "the answer contains no JSON object or array")


def json_inside(text: str) -> Iterator[JsonValue]:
    """The objects and arrays in a text, in order; not those inside others.

    Args:
        text: Any text, such as JSON in a code block with words around it.

    Raises:
        ValueError: There are too many brackets to look at.
    """
    return (value for value, _ in _search(text))


def contains_for_good(text: str, schema: JsonValue) -> bool:
    """Whether ``contains-json`` passes on a text and on every longer one that begins with it.

    A bracket before it that may still be closed leaves this open: the JSON would then be inside another
    value, where it doesn't count.

    Args:
        text: The beginning of an answer.
        schema: The check's value.
    """
    try:
        for value, settled in _search(text):
            if not settled:
                return False
            if schema is None or schema_violation(value, schema) is None:
                return True
    except Exception:  # whatever it is: the check itself tells it of the whole answer
        return False
    return False


def _search(text: str) -> Iterator[tuple[JsonValue, bool]]:
    """As ``json_inside``, and whether what precedes each value is the same in every longer text."""
    decoder, place, read, settled = json.JSONDecoder(), 0, 0, True
    while (match := _START.search(text, place)) is not None:
        if read > _MOST_READ:
            raise ValueError("too many brackets of it are not JSON: the search was stopped")
        place = end = match.start() + 1
        try:
            _, end = decoder.raw_decode(text, match.start())
            value = parse_json(text[match.start() : end])
        except ValueError as error:
            read += max(end, getattr(error, "pos", 0)) - match.start()
            settled = settled and _fails_for_good(text, error)
            continue
        except RecursionError:
            # What begins at the next brackets is nested too deeply as well.
            place, settled = _behind_brackets(text, place, _SKIPPED), False
            continue
        place = end
        yield value, settled


def _fails_for_good(text: str, error: ValueError) -> bool:
    """Whether what begins at a bracket is no JSON however the text goes on."""
    if isinstance(error, NotJsonError):
        return True  # it has its closing bracket
    if not isinstance(error, json.JSONDecodeError) or error.msg.startswith("Unterminated"):
        return False
    return len(text.rstrip()) - error.pos >= _LONGEST_PART


def _behind_brackets(text: str, place: int, count: int) -> int:
    """The place behind so many further starts."""
    for match in islice(_START.finditer(text, place), count):
        place = match.end()
    return place


json_path = one_by_one(_json_path)
contains_json = one_by_one(_contains_json)
