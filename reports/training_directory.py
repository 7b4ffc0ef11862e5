"""The files of a training: its manifest, what it logged, and the answers that it sampled."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import SettingsError
from harness.types.storage import parse_json
from harness.types.training import (
    HELD_OUT_ANSWERS_FILE,
    LOG_FILE,
    MANIFEST_FILE,
    SAMPLES_FILE,
    TrainingManifest,
    stored_manifest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFiles:
    """A training as its directory shows it, also while it runs.

    Attributes:
        manifest: None while it runs, or where it was interrupted.
        log: What was logged, oldest first; each with ``step``.
        samples: Sampled answers with their rewards.
        held_out: Answers to held-out prompts.
    """

    directory: Path
    manifest: TrainingManifest | None
    log: tuple[Mapping[str, Any], ...]
    samples: tuple[Mapping[str, Any], ...]
    held_out: tuple[Mapping[str, Any], ...]


def work_directory(directory: Path) -> Path:
    """Where a trainer that writes ``directory`` stores its log and samples."""
    return directory.with_name(directory.name + ".work")


def is_training(directory: Path) -> bool:
    """Whether a trainer wrote to this directory, or is about to."""
    places = (directory / MANIFEST_FILE, directory / LOG_FILE, work_directory(directory) / LOG_FILE)
    return any(place.is_file() for place in places)


def read_training(directory: Path) -> TrainingFiles:
    """Read what there is.

    Args:
        directory: The trainer's ``output``.

    Raises:
        SettingsError: The manifest is damaged.
    """
    work = work_directory(directory)
    # While it is trained again, the directory still holds the training before.
    newer = work / LOG_FILE
    running = newer.is_file() and (
        not (directory / LOG_FILE).is_file() or newer.read_bytes() != (directory / LOG_FILE).read_bytes()
    )
    return TrainingFiles(
        directory=directory,
        manifest=None if running else _manifest(directory / MANIFEST_FILE),
        log=tuple(_lines(newer if running else directory / LOG_FILE)),
        samples=tuple(_lines(work / SAMPLES_FILE)),
        held_out=tuple(_lines(work / HELD_OUT_ANSWERS_FILE)),
    )


def _manifest(path: Path) -> TrainingManifest | None:
    if not path.is_file():
        return None
    try:
        found = stored_manifest(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: can't be read: {error}; train again") from error
    if found is not None and not isinstance(found, TrainingManifest):
        raise SettingsError(f"{path}: not a JSON object; train again")
    return found


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Each line's object with a step; a line that is still being written is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            yield entry
