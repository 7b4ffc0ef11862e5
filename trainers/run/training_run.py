"""What all trainers do around their method: prepare, log, survive Ctrl-C, check, write the result whole."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import SettingsError
from harness.golden.load import load_golden_set
from harness.models.digest import adapter_sha256
from harness.models.resolve import resolve_model
from trainers.config import TrainingConfig

INTERRUPTED = 130  # as a shell reports Ctrl-C
# Where the result goes, how often it is saved, where the data lies and what is looked for in it may differ
# when a run is resumed.
_NOT_IDENTITY = {"output", "save_steps", "data", "early_stop", "golden", "leakage"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """A prepared run.

    Attributes:
        work: Directory of checkpoints, logs and the unfinished result, beside the output.
        checkpoint: Where to go on from, or None.
        dtype: torch dtype of the computation.
        started_s: Reading of the monotonic clock.
    """

    method: str
    config: TrainingConfig
    base_dir: Path
    work: Path
    checkpoint: Path | None
    console: Any
    watch: Any
    dtype: Any
    started_s: float


@contextmanager
def training_run(
    method: str, config: TrainingConfig, data_sha256: str, *, resume: bool
) -> Iterator[TrainingRun]:
    """Prepare a run; while it lasts, what the libraries print goes to ``train.log``.

    Args:
        method: The trainer's name, such as ``sft``.
        config: The run's configuration.
        data_sha256: Hash of the data, which must be the same when a run is resumed.
        resume: Go on from the last checkpoint.

    Raises:
        InputError: The base can't be had, or there is nothing to resume.
    """
    base_dir = resolve_model(config.base)
    for path in config.early_stop.golden if isinstance(config, TrainingConfig) else ():
        load_golden_set(path)  # a broken set is told now, not after a model has loaded
    work = config.output.with_name(config.output.name + ".work")
    with _main_process_first():
        checkpoint = _prepare_work(work, config, data_sha256, resume=resume)

    from datasets.utils.logging import disable_progress_bar
    from rich.console import Console
    from transformers import set_seed

    from trainers.run.progress import Watch, output_in_log
    from trainers.run.quantised import compute_dtype

    console = Console(file=sys.stderr, highlight=False, soft_wrap=True, quiet=not is_main_process())
    set_seed(config.seed)
    disable_progress_bar()
    with output_in_log(work / "train.log"):
        yield TrainingRun(
            method=method,
            config=config,
            base_dir=base_dir,
            work=work,
            checkpoint=checkpoint,
            console=console,
            watch=Watch(console),
            # Encoders with heads are small, and always trained in 32 bits.
            dtype=compute_dtype(config.dtype if isinstance(config, TrainingConfig) else "float32"),
            started_s=time.monotonic(),
        )


def is_main_process() -> bool:
    """Whether this process writes the result: true but for the helpers that ``accelerate launch`` starts."""
    return os.environ.get("RANK", "0") == "0"


def require_one_process(method: str) -> None:
    """Refuse ``accelerate launch`` with several processes.

    Raises:
        SettingsError: There are several.
    """
    if (processes := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise SettingsError(
            f"{method} runs in one process, not in {processes}; start it without accelerate launch"
        )


def load_tokenizer(run: TrainingRun) -> Any:
    """The base's tokenizer, which must know how a conversation is written.

    Raises:
        SettingsError: It has no chat template.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(run.base_dir, trust_remote_code=False)
    if tokenizer.chat_template is None:
        raise SettingsError("base: the tokenizer has no chat template; train a base that has one")
    return tokenizer


def started_from(config: TrainingConfig) -> dict[str, str] | None:
    """Path and content of the adapter that training began with."""
    if config.adapter is None:
        return None
    return {"path": str(config.adapter), "sha256": adapter_sha256(config.adapter)}


def _prepare_work(work: Path, config: TrainingConfig, data_sha256: str, *, resume: bool) -> Path | None:
    """Make the work directory; the checkpoint to resume from, if that is wanted."""
    if not is_main_process():
        return last_checkpoint(work) if resume else None
    identity = {**config.model_dump(mode="json", exclude=_NOT_IDENTITY), "data_sha256": data_sha256}
    note = work / "config.json"
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        note.write_text(json.dumps(identity, indent=2), encoding="utf-8")
        return None
    checkpoint = last_checkpoint(work)
    if checkpoint is None:
        raise SettingsError(f"--resume: no checkpoint in {work / 'checkpoints'}; start without --resume")
    before = json.loads(note.read_text(encoding="utf-8"))
    changed = sorted(key for key in identity if before.get(key) != identity[key])
    if changed:
        raise SettingsError(f"--resume: {', '.join(changed)} changed since the checkpoint; start afresh")
    return checkpoint


@contextmanager
def _main_process_first() -> Iterator[None]:
    """Let the other processes of ``accelerate launch`` wait for the first one's files."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield
        return
    import torch
    from accelerate import PartialState

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


def last_checkpoint(work: Path) -> Path | None:
    """The newest whole checkpoint: its state is written last."""
    whole = [path.parent for path in work.glob("checkpoints/checkpoint-*/trainer_state.json")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def put_in_place(target: Path, made: Path) -> None:
    """Put a finished directory into place; the old one stays whole until the new one is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    made.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def disk_errors(run: TrainingRun) -> Iterator[None]:
    """Say in one line that a file could not be written; checkpoints that are whole stay."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError) as error:
        kept = last_checkpoint(run.work)
        remedy = (
            f"{kept.name} is kept: make room and go on with --resume" if kept else "make room and start again"
        )
        raise SettingsError(f"{run.work}: can't be written: {error}; {remedy}") from error


def dtype_name(dtype: Any) -> str:
    """A torch dtype as a configuration names it."""
    return str(dtype).removeprefix("torch.")
