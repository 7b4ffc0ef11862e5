"""A run of one of TRL's trainers, from its preparation to the result: prepare, make ready, train, write."""

import math
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from harness.engines.adapter import read_json
from harness.errors import ModelError, SettingsError, TunegateError
from trainers.config import TrainingConfig
from trainers.run.arguments import require_trackers, with_rate_of_adapter
from trainers.run.processes import of_any_process
from trainers.run.training_run import TrainingRun, prepared_run
from trainers.run.work_directory import disk_errors

TrainingConfigT = TypeVar("TrainingConfigT", bound=TrainingConfig)


@contextmanager
def method_run(
    method: str, config: TrainingConfigT, data_sha256: str, *, resume: bool
) -> Iterator[TrainingRun[TrainingConfigT]]:
    """Prepare the run of a method that trains a language model.

    Args:
        method: The trainer's name, such as ``sft``.
        config: The run's configuration.
        data_sha256: Hash of the data; a resumed run must have the same.
        resume: Continue from the last checkpoint.

    Raises:
        InputError: The base is unavailable, a golden set of ``early_stop`` can't be used, or there is nothing
            to resume.
    """
    if config.early_stop.golden:
        from trainers.measure.golden_subset import golden_subset

        golden_subset(config.early_stop)  # what is wrong is said now, not after a model has loaded
    require_trackers(config.report_to)
    config = with_rate_of_adapter(config)
    with prepared_run(method, config, data_sha256, dtype=config.dtype, resume=resume) as run, _blamed(run):
        yield run


# What a library raises that looks for something a model of this kind doesn't have.
_NOT_THERE = (AttributeError, KeyError, NotImplementedError, TypeError)
_LIBRARIES = frozenset({"trl", "peft", "transformers"})


@contextmanager
def _blamed(run: TrainingRun[TrainingConfig]) -> Iterator[None]:
    """What a library raises before the first step is about its own keys, if there are some, or the base.

    Raises:
        SettingsError: In place of such an exception.
        ModelError: The same, without such keys: a library looked for what the base doesn't have.
    """
    try:
        yield
    except TunegateError:
        raise
    except Exception as error:
        if run.watch.losses or not (run.config.trl or _looks_in_vain(error)):
            raise
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if run.config.trl:
            keys = ", ".join(run.config.trl)
            raise SettingsError(f"trl: with {keys}: {said}; see TRL's documentation") from error
        kind = read_json(run.base_dir / "config.json").get("model_type")
        raise ModelError(
            f"base: {run.base_dir}: the libraries can't train a model of the kind {kind} by {run.method}: "
            f"{said}; choose another base or method"
        ) from error


def _looks_in_vain(error: Exception) -> bool:
    """Whether a library's own code looked for something that isn't there."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, _NOT_THERE) and bool(_LIBRARIES & set(Path(frames[-1].filename).parts))


def fit(run: TrainingRun[TrainingConfig], trainer: Any) -> bool:
    """Train to the end, or to Ctrl-C.

    Args:
        run: The run.
        trainer: TRL's trainer, after make_ready.

    Returns:
        False if Ctrl-C stopped it; the last checkpoint is then that of the last step.

    Raises:
        SettingsError: The loss is not a number, or the disk is full; the last checkpoint stays.
    """
    with run.watch.stop_on_interrupt(), disk_errors(run.work):
        trainer.train(resume_from_checkpoint=str(run.checkpoint) if run.checkpoint else None)
    # Between the last step and now it may have come to one process alone.
    interrupted = of_any_process(run.watch.interrupted, trainer.args.device)
    if interrupted and trainer.state.global_step < trainer.state.max_steps:
        run.console.print(
            f"stopped at step {trainer.state.global_step}; {run.config.output} is unchanged; "
            f"continue with --resume"
        )
        return False
    diverged = next(
        (entry for entry in run.watch.losses if entry.loss is None or not math.isfinite(entry.loss)), None
    )
    if diverged is not None:
        raise SettingsError(
            f"learning_rate: the loss became {diverged.loss} at step {diverged.step}; "
            f"no adapter was written; lower the rate"
        )
    return True
