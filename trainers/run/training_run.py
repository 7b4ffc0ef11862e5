"""One training run, prepared: its base, its work directory, its console, log and seed."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from harness.engines.loading import hush_missing_kernel
from harness.models.resolve import resolve_model
from harness.presentation.console import open_console
from trainers.config import DtypeName, RunConfig, RunConfigT
from trainers.run.processes import is_main_process, is_restarted, main_process_first
from trainers.run.work_directory import can_resume, prepare_work, work_directory
from tunegate.exit_status import ExitStatus

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from trainers.run.progress import Watch

INTERRUPTED = int(ExitStatus.INTERRUPTED)
ConfigT_co = TypeVar("ConfigT_co", bound=RunConfig, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun(Generic[ConfigT_co]):
    """A prepared run.

    Attributes:
        method: The trainer's name, such as ``sft``.
        work: Directory of checkpoints, logs and the unfinished result, next to the output.
        checkpoint: Where to continue from, or None.
        dtype: Type of numbers of the computation.
        started_s: Reading of the monotonic clock, in seconds.
    """

    method: str
    config: ConfigT_co
    base_dir: Path
    work: Path
    checkpoint: Path | None
    console: "Console"
    watch: "Watch"
    dtype: "torch.dtype"
    started_s: float

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run was prepared."""
        return time.monotonic() - self.started_s


@contextmanager
def prepared_run(
    method: str, config: RunConfigT, data_sha256: str, *, dtype: DtypeName, resume: bool
) -> Iterator[TrainingRun[RunConfigT]]:
    """Prepare a run; until its end the libraries' output goes to ``train.log``.

    Args:
        method: The trainer's name, such as ``sft``.
        config: The run's configuration.
        data_sha256: Hash of the data; a resumed run must have the same.
        dtype: Type of numbers to compute in.
        resume: Continue from the last checkpoint.

    Raises:
        InputError: The base is unavailable, or there is nothing to resume.
    """
    base_dir = resolve_model(config.base)
    work = work_directory(config.output)
    with main_process_first():
        # The launcher knows the first line only, which would delete what is to be continued.
        resume = resume or (is_restarted() and can_resume(work, config, data_sha256))
        checkpoint = prepare_work(work, config, data_sha256, resume=resume)

    hush_missing_kernel()
    from datasets.utils.logging import disable_progress_bar
    from transformers import set_seed

    from trainers.run.base_model import compute_dtype
    from trainers.run.output_log import output_in_log
    from trainers.run.progress import Watch

    console = open_console(file=sys.stderr, soft_wrap=True, quiet=not is_main_process())
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
            dtype=compute_dtype(dtype),
            started_s=time.monotonic(),
        )
