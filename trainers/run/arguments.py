"""TRL's own configuration classes, filled from ours."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

from harness.engines.adapter import read_json
from harness.errors import SettingsError
from trainers.config import TrainingConfig, default_rate
from trainers.run.training_run import TrainingRun
from trainers.run.trl_keys import check_keys, recomputes


def trl_arguments(kind: Any, run: TrainingRun[TrainingConfig], **of_method: Any) -> Any:
    """An instance of a TRL configuration class: common keys, the method's, then the user's ``trl:`` keys.

    Args:
        kind: TRL's class, such as ``trl.SFTConfig``.
        run: The run, whose configuration is used; checkpoints are stored in its ``work``.
        of_method: Keys of this method only.

    Raises:
        SettingsError: A ``trl:`` key is unknown or one of our own, or its value is refused.
    """
    import torch

    config = run.config
    check_keys(config, kind)
    chosen: dict[str, Any] = {
        **_of_device(torch.cuda.is_available(), recomputes(config)),
        "output_dir": str(run.work / "checkpoints"),
        "learning_rate": config.learning_rate,
        "max_steps": config.max_steps or -1,
        "num_train_epochs": config.epochs,
        "per_device_train_batch_size": config.batch_size,
        "gradient_accumulation_steps": config.gradient_accumulation,
        "warmup_steps": config.warmup_steps,
        "lr_scheduler_type": "linear",
        "bf16": run.dtype == torch.bfloat16,
        "fp16": run.dtype == torch.float16,
        "logging_steps": 1,
        # By default a loss that is not a number is not logged: here it must be.
        "logging_nan_inf_filter": False,
        "save_steps": config.save_steps,
        "seed": config.seed,
        "data_seed": config.seed,
        "report_to": list(config.report_to) or "none",
        "run_name": config.output.name,
        "disable_tqdm": True,
        "ddp_find_unused_parameters": False,
    }
    try:
        return on_one_gpu(kind(**{**chosen, **of_method, **config.trl}))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"trl: {' '.join(str(error).split())}") from error


# A tracker's libraries; one of them is enough.
_TRACKERS: dict[str, tuple[str, ...]] = {name: (name,) for name in ("trackio", "wandb", "mlflow")}
_TRACKERS["tensorboard"] = ("tensorboard", "tensorboardX")


def require_trackers(names: Sequence[str]) -> None:
    """Check that the trackers of ``report_to`` are installed.

    Raises:
        SettingsError: One isn't.
    """
    for name in names:
        if not any(find_spec(library) for library in _TRACKERS[name]):
            raise SettingsError(f"report_to: {name} is not installed: pip install {_TRACKERS[name][0]}")


def on_one_gpu(arguments: Any) -> Any:
    """The same arguments; a process that sees several GPUs trains on one of them.

    The library would divide each batch among all of them in one process, which TRL refuses.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def _of_device(cuda: bool, recompute: bool) -> dict[str, Any]:
    """TRL's keys that depend on the device.

    Args:
        cuda: There is a GPU.
        recompute: What is trained allows that activations are recomputed.
    """
    return {
        "optim": "paged_adamw_8bit" if cuda else "adamw_torch",
        "use_cpu": not cuda,
        # Recomputing activations saves memory that a small batch doesn't need, for a third more time.
        "gradient_checkpointing": cuda and recompute,
        "dataloader_pin_memory": cuda,
    }


TrainingConfigT = TypeVar("TrainingConfigT", bound=TrainingConfig)


def with_rate_of_adapter(config: TrainingConfigT) -> TrainingConfigT:
    """The configuration with the default rate of the kind of adapter that it starts from.

    Args:
        config: One that gives a rate, or no adapter, stays as it is.

    Raises:
        AdapterError: The adapter's configuration can't be read.
    """
    if config.adapter is None or "learning_rate" in config.model_fields_set:
        return config
    kind = str(read_json(config.adapter / "adapter_config.json").get("peft_type")).lower()
    return config.model_copy(
        update={"learning_rate": default_rate(type(config), kind.removesuffix("_tuning"))}
    )
