"""Whether a record's fields have their declared types: plug-ins are written without our type checks."""

from dataclasses import fields
from functools import cache
from typing import Any, cast, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError


def wrong_field(record: Any) -> str:
    """The first field of a record with a value of another type, and what is allowed; empty where all fit."""
    for name, adapter in _adapters(cast("Any", type(record))).items():
        value = getattr(record, name)
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            return f"{name}: found {value!r}: {error.errors()[0]['msg']}"
    return ""


@cache
def _adapters(kind: Any) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(kind)
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    return {field.name: _adapter(hints[field.name], config) for field in fields(kind)}


def _adapter(hint: Any, config: ConfigDict) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=config)
