"""The JSON file: a gate's record as it is, for other programs."""

import json
import math
from typing import Any

from harness.types import GateRecord

# Raised when a field changes its meaning or goes; a new field doesn't raise it.
SCHEMA_VERSION = 1


def render_json(record: GateRecord) -> str:
    """The record's fields, with ``schema_version`` before them.

    A number that is not finite, such as the loss of a training run that diverged, becomes null. All else
    than ASCII is escaped, so that even a lone surrogate in an answer survives.

    Args:
        record: What a gate found out.
    """
    from pydantic import TypeAdapter

    fields = TypeAdapter(GateRecord).dump_python(record, mode="json")
    plain = {"schema_version": SCHEMA_VERSION, **_finite(fields)}
    return json.dumps(plain, indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
