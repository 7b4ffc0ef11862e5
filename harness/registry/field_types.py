"""Whether a record's fields have their types and make sense: plug-ins are written without our type checks."""

import math
from dataclasses import fields
from functools import cache
from typing import Any, cast, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.registry.metric import Metric
from harness.types import LARGEST_VALUE

# The keys that a check has whatever its type.
_KEYS_OF_CHECKS = {"type", "threshold", "value"}


def wrong_field(record: Any) -> str:
    """The first field of a record with a value of another type, and what is allowed; empty where all fit."""
    for name, adapter in _adapters(cast("Any", type(record))).items():
        value = getattr(record, name)
        try:
            found = adapter.validate_python(value)
        except ValidationError as error:
            return f"{name}: found {value!r}: {error.errors()[0]['msg']}"
        if isinstance(found, float) and not isinstance(value, int | float):
            # pydantic takes whatever has __float__, such as float32 of numpy, which no JSON text can hold.
            return f"{name}: found {value!r}: Input should be a valid number"
    return ""


def wrong_meaning(metric: Metric) -> str:
    """What a plug-in's metric can't be, in a sentence's part; empty where nothing is wrong."""
    low, high, margin = metric.minimum, metric.maximum, metric.usual_margin
    ends = [end for end in (low, high) if end is not None]
    if metric.judged:
        return "a plug-in's metric can't be judged"
    if metric.group:
        return "group: only built-in metrics combine checks"
    if not all(abs(end) <= LARGEST_VALUE for end in ends) or (
        low is not None and high is not None and low >= high
    ):
        return (
            f"minimum {low}, maximum {high}: no scale (allowed: numbers up to {LARGEST_VALUE:g}, the smaller "
            "one first; None)"
        )
    if margin is not None and not (math.isfinite(margin) and margin >= 0):
        return f"usual_margin: found {margin} (allowed: a number from 0; None)"
    if taken := sorted(_KEYS_OF_CHECKS.intersection(metric.options.model_fields)):
        return f"options: {taken[0]} is a key of every check"
    return ""


@cache
def _adapters(kind: Any) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(kind)
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    return {field.name: _adapter(hints[field.name], config) for field in fields(kind)}


def _adapter(hint: Any, config: ConfigDict) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=config)
