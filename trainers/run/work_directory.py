"""The directory next to the output with checkpoints, the log and the unfinished result."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from harness.errors import SettingsError
from harness.models.file_hashes import file_sha256
from harness.models.resolve import adapter_sha256
from harness.types.storage import parse_json, write_whole
from harness.types.training import MANIFEST_FILE
from trainers.config import RunConfig
from trainers.run.checkpoint import STATE_FILE, check_checkpoint
from trainers.run.processes import is_main_process, process_count

# The identity of the run, compared when it is resumed.
_IDENTITY_FILE = "config.json"
# The output, the steps between checkpoints, the data's location and the search for golden cases may differ
# when a run is resumed.
_CONTENT = "content of "
# Each takes a batch of its own in a step.
_PROCESSES = "processes"
# One of them is in each work directory.
_OF_WORK = {_IDENTITY_FILE, "checkpoints", "train.log"}
_NOT_IDENTITY = {"output", "save_steps", "data", "early_stop", "golden", "leakage", "report_to"}


def work_directory(output: Path) -> Path:
    """The work directory of a run that writes ``output``."""
    return output.with_name(output.name + ".work")


def prepare_work(work: Path, config: RunConfig, data_sha256: str, *, resume: bool) -> Path | None:
    """Create the work directory, empty unless the run is resumed.

    Args:
        work: The directory.
        config: The run's configuration.
        data_sha256: Hash of the data.
        resume: Continue from the last checkpoint.

    Returns:
        The checkpoint to continue from; None for a new run.

    Raises:
        SettingsError: The output would replace something else, there is no checkpoint, or data or settings
            changed since it was written.
    """
    if not is_main_process():
        return last_checkpoint(work) if resume else None
    refuse_foreign(config.output)
    _refuse_foreign_work(work)
    identity: dict[str, object] = {
        **config.model_dump(mode="json", exclude=_NOT_IDENTITY),
        "data_sha256": data_sha256,
        _PROCESSES: process_count(),
        **_files(config),
    }
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        write_whole(work / _IDENTITY_FILE, json.dumps(identity, indent=2))
        return None
    checkpoint = last_checkpoint(work)
    if checkpoint is None:
        raise SettingsError(f"--resume: no checkpoint in {work / 'checkpoints'}; start without --resume")
    check_checkpoint(checkpoint)
    before = _identity(work)
    changed = sorted(key for key in identity if _differs(before, key, identity[key]))
    if changed == [_PROCESSES]:
        raise SettingsError(
            f"--resume: the number of processes changed since the checkpoint ({before[_PROCESSES]}, now "
            f"{identity[_PROCESSES]}), and with it the rows of each step; start as many, or without --resume"
        )
    if changed:
        raise SettingsError(
            f"--resume: {', '.join(changed)} changed since the checkpoint; start without --resume"
        )
    return checkpoint


def refuse_foreign(output: Path) -> None:
    """Refuse an output in whose place is something that no training wrote: it would be deleted.

    Raises:
        SettingsError: There is a file, or a directory with other files.
    """
    known = output.is_dir() and ((output / MANIFEST_FILE).exists() or not any(output.iterdir()))
    if output.exists() and not known:
        raise SettingsError(
            f"output: {output} has files that no training wrote, and they would be replaced; give another"
        )


def _refuse_foreign_work(work: Path) -> None:
    """Refuse a work directory that no training made: it would be emptied.

    Raises:
        SettingsError: There is a file, or a directory with other files.
    """
    ours = work.is_dir() and ({path.name for path in work.iterdir()} & _OF_WORK or not any(work.iterdir()))
    if work.exists() and not ours:
        raise SettingsError(
            f"output: {work} is for a training's checkpoints and has other files; move it or give another"
        )


def can_resume(work: Path, config: RunConfig, data_sha256: str) -> bool:
    """Whether a run with these settings on this data left a checkpoint to continue from.

    Args:
        work: The run's work directory.
        config: Its configuration.
        data_sha256: Hash of its data.
    """
    if last_checkpoint(work) is None:
        return False
    # Of another number of processes the run itself says that it can't go on: it is not begun anew.
    wanted = {**config.model_dump(mode="json"), "data_sha256": data_sha256, **_files(config)}
    return all(wanted[key] == value for key, value in _identity(work).items() if key in wanted)


def _differs(before: Mapping[str, object], key: str, value: object) -> bool:
    """Whether a part of the run's identity changed; earlier versions stored some of them not."""
    is_new = key == _PROCESSES or key.startswith(_CONTENT)
    return before.get(key) != value and not (is_new and key not in before)


def _files(config: RunConfig) -> dict[str, str]:
    """Hashes of the files and adapters that the configuration names, since paths don't identify them."""
    found = {}
    for place, path in _paths(config.model_dump(exclude=_NOT_IDENTITY), ""):
        if path.is_file():
            found[f"{_CONTENT}{place}"] = file_sha256(path)
        elif (path / "adapter_config.json").is_file():
            found[f"{_CONTENT}{place}"] = adapter_sha256(path)
    return found


def _paths(value: object, place: str) -> Iterator[tuple[str, Path]]:
    """The paths in a configuration, each with the dotted name of its key."""
    if isinstance(value, Path):
        yield place, value
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from _paths(item, f"{place}.{name}" if place else str(name))


def _identity(work: Path) -> dict[str, object]:
    path = work / _IDENTITY_FILE
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--resume: {path}: can't be read: {error}; start without --resume") from error
    if not isinstance(found, dict):
        raise SettingsError(f"--resume: {path}: not a JSON object; start without --resume")
    return found


def last_checkpoint(work: Path) -> Path | None:
    """The newest complete checkpoint."""
    whole = [path.parent for path in work.glob(f"checkpoints/checkpoint-*/{STATE_FILE}")]
    ours = [path for path in whole if path.name.removeprefix("checkpoint-").isdecimal()]
    return max(ours, key=checkpoint_step, default=None)


def checkpoint_step(checkpoint: Path) -> int:
    """The optimizer step (or round) after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def put_in_place(target: Path, made: Path) -> None:
    """Put a finished directory into place; the old one stays complete until the new one is there.

    Args:
        target: Where the result goes.
        made: The finished directory, on the same file system; it is moved.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # A directory of its own: NAME.old might be somebody's copy.
    beside = Path(mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    old = beside / target.name
    try:
        if target.exists():
            target.rename(old)
        made.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def disk_errors(work: Path) -> Iterator[None]:
    """Report in one line that a file could not be written; complete checkpoints stay."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        kept = last_checkpoint(work)
        remedy = (
            f"{kept.name} is kept: make room and continue with --resume"
            if kept
            else "make room and start again"
        )
        raise SettingsError(f"{work}: can't be written: {error}; {remedy}") from error
