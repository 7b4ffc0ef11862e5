"""The JSON file: a gate's whole record, for other programs."""

import json

from harness.presentation.sentences import sentence_of
from harness.types import GateRecord
from harness.types.storage import finite_facts

# Raised when a field changes its meaning or is removed; not for a new field.
SCHEMA_VERSION = 2


def render_json(record: GateRecord) -> str:
    """The record's fields after ``schema_version``, with each finding's sentence next to its figures.

    A number that is not finite, such as the loss of a training run that diverged, becomes null. Everything
    except ASCII is escaped, so that even a lone surrogate in an answer is kept.

    Args:
        record: The gate's record.
    """
    plain = {"schema_version": SCHEMA_VERSION, **finite_facts(record)}
    if record.verdict is not None:
        for written, finding in zip(plain["verdict"]["findings"], record.verdict.findings, strict=True):
            written["sentence"] = sentence_of(finding)
    return json.dumps(plain, indent=1, allow_nan=False) + "\n"
