"""Whole and damaged checkpoints: a run is resumed from a whole one, or says in one line what is wrong."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.engines.weights import SafetensorsError, read_header
from harness.errors import SettingsError
from harness.types.storage import parse_json

# A checkpoint's last file: a checkpoint with it is complete. The name is that of the transformers library.
STATE_FILE = "trainer_state.json"
# torch.save writes zip files, which have a checksum of each part.
_TORCH_FILES = (".pt", ".pth", ".bin")


def check_checkpoint(checkpoint: Path) -> None:
    """Read a checkpoint's files before a model loads.

    Raises:
        SettingsError: One is damaged.
    """
    read_state(checkpoint)
    for path in sorted(checkpoint.rglob("*")):
        if path.suffix in _TORCH_FILES:
            _check_torch_file(checkpoint, path)
        elif path.suffix == ".safetensors":
            try:
                read_header(path)
            except (SafetensorsError, OSError) as error:
                raise _damaged(checkpoint, path.name, error) from error


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The state in a checkpoint's last file.

    Raises:
        SettingsError: It is damaged.
    """
    try:
        state = parse_json((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(checkpoint, STATE_FILE, error) from error
    if not isinstance(state, dict):
        raise _damaged(checkpoint, STATE_FILE, "not a JSON object")
    return state


@contextmanager
def whole_checkpoint(checkpoint: Path) -> Iterator[None]:
    """Report in one line that a checkpoint's content is not what this program writes."""
    try:
        yield
    except (LookupError, TypeError, ValueError, RuntimeError, OSError) as error:
        if "out of memory" in str(error):
            raise
        raise _damaged(checkpoint, "its content", error) from error


def _check_torch_file(checkpoint: Path, path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(checkpoint, path.name, error) from error
    if wrong is not None:
        raise _damaged(checkpoint, path.name, f"{wrong} has a wrong checksum")


def _damaged(checkpoint: Path, what: str, error: object) -> SettingsError:
    cause = str(error).strip().partition("\n")[0] or type(error).__name__
    return SettingsError(
        f"--resume: {checkpoint}: {what} is damaged ({cause}): delete this checkpoint and continue from an "
        f"older one, or start without --resume"
    )
