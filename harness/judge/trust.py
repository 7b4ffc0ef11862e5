"""Calibrations as files: the judges that were compared with labels, and the results."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness.errors import SettingsError
from harness.judge.calibration import Calibration
from harness.judge.prompts import CURRENT, load_prompt
from harness.types.storage import write_whole

_ADAPTER = TypeAdapter(Calibration)


def calibration_path(directory: Path, identity: str) -> Path:
    """Path of a judge's calibration.

    Args:
        directory: Where tunegate stores its files.
        identity: The judge: its kind, model and wording.
    """
    return directory / "judges" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"


def save_calibration(calibration: Calibration, directory: Path) -> Path:
    """Store a calibration; an older one of the same judge is replaced.

    Args:
        calibration: The calibration, with the judge's identity.
        directory: Where tunegate stores its files.

    Returns:
        The file.

    Raises:
        SettingsError: It can't be written.
    """
    path = calibration_path(directory, calibration.judge)
    try:
        write_whole(path, json.dumps(_plain(calibration), indent=2) + "\n")
    except OSError as error:
        raise SettingsError(f"{path}: can't be written: {error.strerror}") from error
    return path


def find_calibration(directory: Path, identity: str) -> Calibration | None:
    """A judge's calibration; None if there is none, or if it was made with other wordings.

    Args:
        directory: Where tunegate stores its files.
        identity: The judge: its kind, model and wording.

    Raises:
        SettingsError: The file is damaged.
    """
    path = calibration_path(directory, identity)
    if not path.is_file():
        return None
    try:
        found = _ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        first = error if isinstance(error, OSError) else error.errors()[0]["msg"]
        raise SettingsError(f"{path}: not a calibration: {first}; repeat tunegate judge calibrate") from error
    # The name of a question in the user's own wording has its version.
    ours = {task: version for task, version in found.prompts.items() if task in CURRENT}
    return found if ours == {task: load_prompt(task).version for task in ours} else None


def _plain(calibration: Calibration) -> Mapping[str, Any]:
    return dataclasses.asdict(calibration)
