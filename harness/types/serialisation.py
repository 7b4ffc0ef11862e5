"""Frozen dataclasses as JSON text and back, exactly.

Everything except ASCII is escaped, so that text that UTF-8 can't represent (a lone surrogate in an answer, a
non-text byte of a path) is kept. Numbers that are not finite are written as Python reads them.
"""

import json
import math
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

_ANY: TypeAdapter[Any] = TypeAdapter(Any)
_T = TypeVar("_T")


class DamagedFactsError(Exception):
    """A stored text is damaged."""


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # It takes about 0.1 s for a whole run's type, so it is done only when one is read.
    return TypeAdapter(kind)


def encode(value: object) -> str:
    """A dataclass as JSON text."""
    return json.dumps(_parts(value))


def decode(kind: type[_T], text: str) -> _T:
    """The dataclass that :func:`encode` wrote.

    Args:
        kind: The class.
        text: JSON text.

    Raises:
        DamagedFactsError: The text is not JSON, or not of this type.
    """
    try:
        # pydantic's own reading of JSON refuses lone surrogates.
        # For mypy a class of unknown type is not hashable, as the cache's arguments must be.
        value: _T = _adapter(cast("Any", kind)).validate_python(json.loads(text))
    except (ValidationError, ValueError, RecursionError) as error:
        raise DamagedFactsError(str(error).splitlines()[0]) from error
    return value


def to_json(value: object) -> str:
    """Indented JSON for other programs; a number that is not finite is null."""
    return json.dumps(finite_facts(value), indent=2, allow_nan=False)


def finite_facts(value: object) -> Any:
    """Dataclasses as mappings for JSON; a number that is not finite is None."""
    return _finite(_parts(value))


def plain(value: object) -> Any:
    """Dataclasses and models of files as mappings, tuples as lists: what :func:`encode` writes, as values."""
    return json.loads(encode(value))


def _parts(value: object) -> Any:
    """Dataclasses as mappings; a file's model as its file holds it, without the keys that it leaves out."""
    # In JSON mode pydantic refuses lone surrogates in a mapping's keys.
    return _ANY.dump_python(value, exclude_unset=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
