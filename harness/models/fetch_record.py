"""The note next to a fetched model: its source, and its hash when it was made."""

import json
from collections.abc import Mapping
from pathlib import Path

from harness.models.catalogue import CatalogueEntry
from harness.models.resolve import model_sha256
from harness.types.storage import parse_json, write_whole

_FILE = "tunegate_model.json"


def read_facts(directory: Path) -> Mapping[str, str]:
    """The note of a model directory; empty if there is no readable one."""
    try:
        facts = parse_json((directory / _FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    if not isinstance(facts, dict):
        return {}
    return {key: value for key, value in facts.items() if isinstance(value, str)}


def write_facts(directory: Path, entry: CatalogueEntry) -> None:
    """Write the note of a finished directory.

    Args:
        directory: The finished directory.
        entry: Its entry in the catalogue.
    """
    config = parse_json((directory / "config.json").read_text(encoding="utf-8"))
    facts = {
        "name": entry.name,
        "title": entry.title,
        "licence": entry.licence,
        "source": entry.requirement,
        "wheel_sha256": entry.wheel_sha256,
        "saved_dtype": config.get("dtype", "as in the wheel"),
        "sha256": model_sha256(directory),
    }
    write_whole(directory / _FILE, json.dumps(facts, indent=2) + "\n")
