"""Whole and damaged checkpoints: a run is resumed from a whole one, or says in one line what is wrong."""

import zipfile
import zlib
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
        SettingsError: One is damaged or missing.
    """
    state = read_state(checkpoint)
    # A checkpoint of the transformers library, whatever is left of its state.
    if "log_history" in state or (checkpoint / "training_args.bin").exists():
        _check_trainer(checkpoint, state)
    for path in sorted(checkpoint.rglob("*")):
        if path.suffix in _TORCH_FILES:
            _check_torch_file(checkpoint, path)
        elif path.suffix == ".safetensors":
            try:
                read_header(path)
            except (SafetensorsError, OSError) as error:
                raise _damaged(checkpoint, path.name, error) from error


# What the transformers library goes on without, as if training began anew.
_PARTS = {
    "weights": ("*.safetensors", "*.bin"),
    "optimizer": ("optimizer*",),
    "scheduler": ("scheduler.pt",),
    "random state": ("rng_state*",),
}


def _check_trainer(checkpoint: Path, state: dict[str, Any]) -> None:
    """Check that a checkpoint of the transformers library has all parts, and a state that it can read.

    Raises:
        SettingsError: It hasn't.
    """
    from transformers import TrainerState

    for part, patterns in _PARTS.items():
        found = (path for pattern in patterns for path in checkpoint.glob(pattern))
        if all(path.name == "training_args.bin" for path in found):
            raise _damaged(checkpoint, f"its {part}", "the file is missing")
    for key in ("epoch", "global_step", "max_steps"):
        if not isinstance(state.get(key), int | float):
            raise _damaged(checkpoint, STATE_FILE, f"{key} is {state.get(key)!r}")
    if not isinstance(state.get("train_batch_size"), int | None):
        raise _damaged(checkpoint, STATE_FILE, f"train_batch_size is {state['train_batch_size']!r}")
    if checkpoint.name != f"checkpoint-{state['global_step']}":
        raise _damaged(checkpoint, STATE_FILE, f"global_step is {state['global_step']}")
    try:
        for entry in TrainerState(**state).log_history:
            float(entry.get("loss", 0)), int(entry["step"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(checkpoint, STATE_FILE, error) from error


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
            holds = any(name.endswith("/data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise _damaged(checkpoint, path.name, error) from error
    if not holds:
        raise _damaged(checkpoint, path.name, "not a file of torch.save")
    if wrong is not None:
        raise _damaged(checkpoint, path.name, f"{wrong} has a wrong checksum")


def _damaged(checkpoint: Path, what: str, error: object) -> SettingsError:
    cause = str(error).strip().partition("\n")[0] or type(error).__name__
    return SettingsError(
        f"--resume: {checkpoint}: {what} is damaged ({cause}): delete this checkpoint and continue from an "
        f"older one, or start without --resume"
    )
