"""Keeps the best checkpoint apart from the trainer's own, which it may delete."""

import os
import shutil
from pathlib import Path

DIRECTORY = "gate-best"
# What only a resumed training needs.
_OF_TRAINING = ("optimizer", "scheduler", "scaler", "rng_state", "training_args", "trainer_state", "README")


def keep_checkpoint(checkpoint: Path, output: Path) -> Path:
    """Put a checkpoint's model in place of the one that was kept before.

    Files are linked, so that they take no more room while the trainer's own checkpoint is there.

    Args:
        checkpoint: The trainer's checkpoint.
        output: The trainer's output directory.

    Returns:
        The directory of the kept model.

    Raises:
        OSError: It can't be written.
    """
    kept, made = output / DIRECTORY, output / f"{DIRECTORY}.new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    for file in sorted(checkpoint.rglob("*")):
        place = file.relative_to(checkpoint)
        if file.is_file() and not place.name.startswith(_OF_TRAINING):
            (made / place).parent.mkdir(parents=True, exist_ok=True)
            _link(file, made / place)
    shutil.rmtree(kept, ignore_errors=True)
    made.rename(kept)
    return kept


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # File systems without links.
        shutil.copy2(source, target)
