"""Reads a judge's reply: strict about its content, tolerant about the text around it."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from harness.prompts.reasoning import split_reasoning
from harness.types import JsonValue

_FENCE = re.compile(r"```[A-Za-z]*\s*\n?(.*?)```", re.DOTALL)
# A mark after other words does not begin a reasoning; it is no verdict either.
_LATER_REASONING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_WORDS = {"true": True, "yes": True, "pass": True, "false": False, "no": False, "fail": False}
_LONGEST = 100_000


class ReplyError(ValueError):
    """A reply contains no object that follows the schema."""


def read_reply(text: str, schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The object in a reply.

    A code fence, prose around the object, a thinking block before it, Python's spelling of it, and numbers or
    booleans in quotation marks are accepted. A missing or wrong value is refused.

    Args:
        text: The reply.
        schema: JSON Schema of an object.

    Raises:
        ReplyError: No object in it follows the schema.
    """
    problem = "no JSON object in it"
    answer = _behind_reasoning(text[:_LONGEST])
    for found in _objects(answer):
        candidate = _coerced(found, schema)
        error = _first_error(candidate, json.dumps(schema, sort_keys=True))
        if error is None:
            return candidate
        problem = error
    if not answer.strip() and text.strip():
        raise ReplyError("the reply is reasoning only: it was cut before its answer")
    shown = answer.strip()[:80]
    raise ReplyError(f"{problem}: {shown!r}" if shown else "the reply is empty")


def _behind_reasoning(text: str) -> str:
    """The reply without its reasoning. A mark inside an object is part of its text and ends nothing."""
    masked = text
    for piece in _braced(text):
        masked = masked.replace(piece, "\0" * len(piece))
    parts = split_reasoning(masked)
    if parts.reasoning is not None:
        text = text[masked.rindex(parts.answer) :] if parts.answer else ""
    return _LATER_REASONING.sub("", text)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Objects in the text: the whole text, then code fences, then pieces in braces, the last one first."""
    pieces = [text, *reversed(_FENCE.findall(text))]
    for piece in pieces:
        value = _parsed(piece.strip())
        if isinstance(value, dict):
            yield value
    # A judge that thinks aloud may show an example first and its verdict last.
    for piece in reversed(list(_braced(text))):
        value = _parsed(piece)
        if isinstance(value, dict):
            yield value


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text) if text.startswith("{") else None
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _braced(text: str) -> Iterator[str]:
    """Outermost brace-enclosed pieces; braces inside quoted strings don't count."""
    depth, start, quoted, escaped = 0, 0, False, False
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif depth and character == "\\":
            escaped = True
        elif depth and character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character == "{":
            start = place if depth == 0 else start
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            if depth == 0:
                yield text[start : place + 1]


def _coerced(found: Mapping[str, Any], schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The object with the schema's keys; values that differ from the type only in spelling are converted."""
    properties = schema.get("properties")
    known: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
    by_lower = {name.lower(): name for name in known}
    return {
        by_lower[name.strip().lower()]: _respelt(value, known[by_lower[name.strip().lower()]])
        for name, value in found.items()
        if isinstance(name, str) and name.strip().lower() in by_lower
    }


def _respelt(value: Any, schema: Mapping[str, Any]) -> Any:
    wanted = schema.get("type")
    if wanted == "boolean" and isinstance(value, str):
        return _WORDS.get(value.strip().lower(), value)
    if wanted in {"integer", "number"} and isinstance(value, str):
        return _number(value.strip(), value)
    if wanted == "array" and isinstance(value, list):
        return [_respelt(one, schema.get("items", {})) for one in value]
    if wanted == "object" and isinstance(value, dict):
        return _coerced(value, schema)
    if isinstance(value, str) and "enum" in schema:
        return next((one for one in schema["enum"] if str(one).lower() == value.strip().lower()), value)
    return value


def _number(text: str, otherwise: str) -> float | int | str:
    if re.fullmatch(r"-?\d{1,9}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d{1,9}\.\d{1,9}", text) else otherwise


@cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))


def _first_error(candidate: Mapping[str, JsonValue], schema: str) -> str | None:
    for error in _validator(schema).iter_errors(candidate):
        place = ".".join(map(str, error.path))
        return f"{place}: {error.message}" if place else str(error.message)
    return None
