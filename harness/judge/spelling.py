"""An object in its schema's own spelling: key case, truth values and numbers in quotation marks."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from harness.types import JsonValue

_WORDS = {"true": True, "yes": True, "pass": True, "false": False, "no": False, "fail": False}

_LIKE = dict(zip("аеорсухіјѕԁԛԝһզոսαορνικτυχɡɑıꜱᴀᴘοѵ", "aeopcyxijsdqwhqnuaopviktuxgaisapov", strict=True))


def plain_key(name: str) -> str:
    """A key without what a reader doesn't see: case, width, invisible characters, space at its ends."""
    shown = unicodedata.normalize("NFKC", name)
    return "".join(one for one in shown if unicodedata.category(one) != "Cf").strip().casefold()


def look_alike(name: str) -> str:
    """A key with letters of other alphabets as the Latin ones that they look like."""
    return "".join(_LIKE.get(one, one) for one in plain_key(name))


def in_schema_spelling(found: Mapping[str, Any], schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The object with the schema's own keys, in its types where only the spelling differs.

    Args:
        found: The object.
        schema: JSON Schema of an object; keys that it doesn't name are left out.

    Returns:
        The object, with the keys that were found.
    """
    properties = schema.get("properties")
    known: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
    by_plain = {plain_key(name): name for name in known}
    return {
        by_plain[plain_key(name)]: _respelt(value, known[by_plain[plain_key(name)]])
        for name, value in found.items()
        if isinstance(name, str) and plain_key(name) in by_plain
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
        return in_schema_spelling(value, schema)
    if isinstance(value, str) and "enum" in schema:
        return next((one for one in schema["enum"] if str(one).lower() == value.strip().lower()), value)
    return value


def _number(text: str, otherwise: str) -> float | int | str:
    if re.fullmatch(r"-?\d{1,9}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d{1,9}\.\d{1,9}", text) else otherwise
