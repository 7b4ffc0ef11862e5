"""The JSON objects in a judge's reply: as written, or repaired where a repair changes punctuation alone.

A repair that drops, adds or moves a word could turn a quotation into a verdict. So its words and numbers are
compared with those that were written, and a deciding key must have been written once, with its value and the
value's end behind it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.judge.spelling import in_schema_spelling, look_alike, plain_key
from harness.types import JsonValue

# More objects than any judge writes, and more text than is repaired in a second or so.
_MOST_OBJECTS = 10_000
_MOST_REPAIRED = 2_000_000
_MOST_UNREADABLE = 20
# Longer pieces are no verdict that lacks a comma.
_LONGEST_REPAIRED = 20_000
# Code and formulas in a reasoning have braces that begin nothing.
_OPENING = re.compile(r"\{(?=\s*(?:\}|\\?[\"'“‘]|\w+\\?[\"'”’]?\s*:))")
_BRACE = re.compile(r"[{}]")
_OPENED_OFTEN = re.compile(r"(?:\{\s*){50}")
_BEGINS_OBJECT = re.compile(r"\{\s*\\?[\"'“‘]?\w+\\?[\"'”’]?\s*:")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\w+")


class ReplyError(ValueError):
    """A reply contains no single verdict that follows the schema."""


class _DoubledKeyError(ValueError):
    """An object has a key of the schema twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object in a text.

    Attributes:
        start: Where it begins.
        stop: Where it ends.
        value: The object; None if what is there can't be read as one thing.
        problem: Why it can't.
    """

    start: int
    stop: int
    value: dict[str, Any] | None
    problem: str = ""


def deciding_names(schema: Mapping[str, JsonValue]) -> list[str]:
    """The keys of a schema that decide: all except free text."""
    rules = schema.get("properties")
    return [
        name
        for name, rule in (rules.items() if isinstance(rules, dict) else ())
        if isinstance(rule, dict) and (rule.get("type") != "string" or "enum" in rule)
    ]


def scalar_names(schema: Mapping[str, JsonValue]) -> list[str]:
    """The deciding keys whose value is one word or number."""
    rules = schema.get("properties")
    kinds: Mapping[str, Any] = rules if isinstance(rules, dict) else {}
    return [
        name
        for name in deciding_names(schema)
        if "enum" in kinds[name] or kinds[name].get("type") in {"boolean", "integer", "number"}
    ]


def attempts(names: list[str]) -> re.Pattern[str]:
    """Matches the beginning of a verdict, whole or not: one of the keys with a colon or an equals sign."""
    either = "|".join(re.escape(name) for name in names) or r"(?!)"
    return re.compile(rf"\b(?:{either})\b\\?[\"'”’]?\s*[:=]\s*\S", re.IGNORECASE)


def find_objects(text: str, schema: Mapping[str, JsonValue]) -> Iterator[FoundObject]:
    """Objects anywhere in the text, in order; those inside another one are its own.

    What begins like an object of the schema and can't be read is yielded without a value, and what it
    contains is looked at next.

    Args:
        text: Any text.
        schema: JSON Schema of the wanted object.

    Raises:
        ReplyError: There are more objects than can be looked at.
    """
    if _OPENED_OFTEN.search(text):
        raise ReplyError("the reply opens braces without end")
    starts = [found.start() for found in _OPENING.finditer(text)]
    if len(starts) > _MOST_OBJECTS:
        raise ReplyError(f"the reply holds more than {_MOST_OBJECTS} objects")
    end, unreadable, closings, looked_at = 0, 0, _closings(text), 0
    for start in starts:
        if start < end:
            continue
        looked_at += min(closings.get(start, len(text)) - start, _LONGEST_REPAIRED)
        if looked_at > _MOST_REPAIRED:
            raise ReplyError("the reply holds more broken objects than can be looked at")
        found = _object_at(text, start, closings.get(start, len(text)), schema)
        if found is not None:
            yield found
            end = found.stop if found.value is not None else end
            unreadable += found.value is None
        if unreadable > _MOST_UNREADABLE:
            raise ReplyError(f"the reply holds more than {_MOST_UNREADABLE} objects that can't be read")


def whole_object(text: str, schema: Mapping[str, JsonValue]) -> dict[str, Any] | None:
    """The object that the whole text is, or None.

    Args:
        text: Any text.
        schema: JSON Schema of the wanted object.

    Returns:
        The object as it is written, with all its keys.

    Raises:
        ReplyError: It is one, with a key of the schema twice.
    """
    try:
        value = json.loads(text, strict=False, object_pairs_hook=_single_keys(schema))
    except _DoubledKeyError as error:
        raise ReplyError(str(error)) from None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _single_keys(schema: Mapping[str, JsonValue]) -> Any:
    rules = schema.get("properties")
    known = {plain_key(name) for name in (rules if isinstance(rules, dict) else ())}

    def hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[str] = set()
        for name, _ in pairs:
            plain = look_alike(name)
            if plain in known and plain in seen:
                raise _DoubledKeyError(f"the reply names {plain!r} twice in one object")
            seen.add(plain)
        return dict(pairs)

    return hook


def _object_at(text: str, start: int, closing: int, schema: Mapping[str, JsonValue]) -> FoundObject | None:
    """What begins at a brace: an object as written or repaired, an unreadable one, or None for prose."""
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_single_keys(schema))
    try:
        value, stop = decoder.raw_decode(text, start)
        return FoundObject(start=start, stop=stop, value=value)
    except _DoubledKeyError as error:
        return FoundObject(start=start, stop=closing, value=None, problem=str(error))
    except (ValueError, RecursionError):
        stop = closing
    piece = text[start:stop]
    repaired = _repaired(piece, schema)
    if repaired is not None:
        return FoundObject(start=start, stop=stop, value=repaired)
    if _BEGINS_OBJECT.match(piece) and attempts(deciding_names(schema)).search(piece):
        told = "the reply holds an object that can't be read without guessing"
        return FoundObject(start=start, stop=stop, value=None, problem=told)
    return None


def _closings(text: str) -> dict[int, int]:
    """For each opening brace the place behind the one that closes it, if any; quotation marks don't count."""
    opened: list[int] = []
    closings: dict[int, int] = {}
    for found in _BRACE.finditer(text):
        if found.group() == "{":
            opened.append(found.start())
        elif opened:
            closings[opened.pop()] = found.end()
    return closings


def _repaired(piece: str, schema: Mapping[str, JsonValue]) -> dict[str, Any] | None:
    """The object that a piece is but for its punctuation."""
    if len(piece) > _LONGEST_REPAIRED or not _BEGINS_OBJECT.match(piece):
        return None
    from json_repair import repair_json

    try:
        value = repair_json(piece, return_objects=True, skip_json_loads=True)
    except (ValueError, RecursionError, TypeError):
        return None
    if not isinstance(value, dict) or _tokens(_unescaped(piece)) != _tokens(_flat(value)):
        return None
    names = [name for name in scalar_names(schema) if name in in_schema_spelling(value, schema)]
    return value if all(_written_once(piece, name) for name in names) else None


def _written_once(piece: str, name: str) -> bool:
    """Whether a key is in a piece once, with one value, and the value ends there."""
    key = rf"\b{re.escape(name)}\b\\?[\"'”’]?\s*[:=]"
    value = r"\s*\\?[\"'“‘]?(?P<value>[\w.]+)\\?[\"'”’]?\s*(?P<end>[,}\]]|[\"'“‘]\w+[\"'”’]?\s*:|\Z)"
    found = re.findall(key, piece, re.IGNORECASE)
    whole = re.search(key + value, piece, re.IGNORECASE)
    # A number without its end may have further digits.
    return len(found) == 1 and whole is not None and (bool(whole["end"]) or not whole["value"][-1].isdigit())


def _tokens(text: str) -> list[str]:
    tokens = (token.casefold() for token in _TOKEN.findall(text))
    return ["null" if token == "none" else token for token in tokens]


def _unescaped(piece: str) -> str:
    piece = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), piece)
    return re.sub(r"\\(?:[nrtbf])?", lambda found: " " if len(found[0]) > 1 else "", piece)


def _flat(value: Any) -> str:
    """The keys and scalars of a value in order; a backslash that the repair kept is none of them."""
    if isinstance(value, dict):
        return " ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(map(_flat, value))
    return _unescaped(value) if isinstance(value, str) else str(value)
