"""The training manifest: what an adapter was made of, beside its weights."""

import json
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
FILE = "training_manifest.json"
_PACKAGES = ("tunegate", "torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "datasets")


def write_manifest(directory: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest: the trainer's facts with package versions and the project's commit."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        **facts,
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "commit": commit,
        "dirty": None if changes is None else bool(changes),
    }
    (directory / FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
