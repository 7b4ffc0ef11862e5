"""Writes the training manifest next to the weights: how an adapter was made."""

import json
import subprocess
from importlib import metadata
from pathlib import Path

from harness.types.storage import plain, write_whole
from harness.types.training import MANIFEST_FILE, SCHEMA_VERSION, TrainingManifest

_PACKAGES = ("tunegate", "torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate", "datasets")


def write_manifest(directory: Path, manifest: TrainingManifest) -> None:
    """Write a manifest, with package versions and the project's commit.

    Args:
        directory: The directory of the weights.
        manifest: The trainer's notes.
    """
    changes = _git("status", "--porcelain", "--untracked-files=no")
    whole = manifest.model_copy(
        update={
            "schema_version": SCHEMA_VERSION,
            "packages": {name: version for name in _PACKAGES if (version := _version(name))},
            "commit": _git("rev-parse", "HEAD"),
            "dirty": None if changes is None else bool(changes),
        }
    )
    write_whole(directory / MANIFEST_FILE, json.dumps(plain(whole), indent=2) + "\n")


def merged(manifest: TrainingManifest, further: TrainingManifest) -> TrainingManifest:
    """Two parts of one manifest as one.

    Args:
        manifest: One part.
        further: The other one; for a key in both, its value is used.
    """
    return manifest.model_copy(update={key: getattr(further, key) for key in further.model_fields_set})


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
