"""The JSON file: a gate's whole record, for other programs."""

import json
from typing import Any

from pydantic import TypeAdapter

from harness.baselines.run_file import record_digest
from harness.presentation.sentences import sentence_of, verdict_line
from harness.types import GateRecord
from harness.types.storage import finite_facts

# Raised when a field changes its meaning or is removed; not for a new field.
SCHEMA_VERSION = 2


def render_json(record: GateRecord) -> str:
    """The record's fields after ``schema_version`` and the verdict in a line.

    Each finding has its sentence next to its figures.
    A number that is not finite, such as the loss of a training run that diverged, becomes null. Everything
    except ASCII is escaped, so that even a lone surrogate in an answer is kept.

    Args:
        record: The gate's record.
    """
    head = {"schema_version": SCHEMA_VERSION, "summary": verdict_line(record)}
    plain = {**head, **finite_facts(record)}
    if record.verdict is not None:
        for written, finding in zip(plain["verdict"]["findings"], record.verdict.findings, strict=True):
            written["sentence"] = sentence_of(finding)
    return json.dumps({**plain, "sha256": record_digest(plain)}, indent=1, allow_nan=False) + "\n"


def record_schema() -> dict[str, Any]:
    """The file's JSON Schema, of :data:`SCHEMA_VERSION`; new fields need no new version."""
    schema = TypeAdapter(GateRecord).json_schema(mode="serialization")
    properties = {
        "schema_version": {"const": SCHEMA_VERSION},
        "summary": {"type": "string", "description": "The verdict in one line."},
        **schema.pop("properties"),
        "sha256": {"type": "string", "description": "Hash of run, baseline, comparison and verdict."},
    }
    schema["$defs"]["Finding"]["properties"]["sentence"] = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://github.com/tunegate/tunegate/blob/main/docs/schemas/gate-{SCHEMA_VERSION}.json",
        **schema,
        "properties": properties,
        "required": ["schema_version", "summary", "run", "baseline", "comparison", "verdict"],
    }
