"""The processes of one run: usually one, several if ``accelerate launch`` started it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from harness.errors import SettingsError
from trainers.unread_keys import sharding_problem


def is_main_process() -> bool:
    """Whether this process writes the result: false only for the further ones of ``accelerate launch``."""
    return os.environ.get("RANK", "0") == "0"


def process_count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_restarted() -> bool:
    """Whether ``accelerate launch --max_restarts`` started this process in place of one that failed."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"


def training_device(gpus: int) -> str:
    """Where this process trains: each process of one machine on a GPU of its own.

    Args:
        gpus: How many this process sees: all of its machine, or its own alone, as a worker of Ray Train does.
    """
    # accelerate takes the same number for the device that it computes on.
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % gpus}" if gpus else "cpu"


_ValueT = TypeVar("_ValueT")


def of_main_process(value: _ValueT) -> _ValueT:
    """What the main process has, in each process: decided apart, one would stop and the others wait."""
    if not _are_several():
        return value
    import torch

    decision = [value]
    torch.distributed.broadcast_object_list(decision, src=0)
    return decision[0]


def of_any_process(asked: bool, device: Any) -> bool:
    """Whether any process of a training was asked, such as by a signal; the same in each of them.

    Args:
        asked: Whether this one was.
        device: Where this one computes.
    """
    if not _are_several():
        return asked
    import torch

    number = torch.tensor(int(asked), device=device)
    torch.distributed.all_reduce(number, op=torch.distributed.ReduceOp.MAX)
    return bool(number)


def _are_several() -> bool:
    import torch

    distributed = torch.distributed
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


# What ``accelerate launch`` sets for each way of dividing a model among devices.
_SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "tensor or context parallelism",
}


def refuse_sharding() -> None:
    """Refuse a launch that divides weights among devices: no process would have all of them to write.

    Raises:
        SettingsError: accelerate was told to do that.
    """
    for variable, name in _SHARDING.items():
        if os.environ.get(variable, "").lower() in {"1", "true", "yes", "on"}:
            raise SettingsError(f"accelerate launch: {sharding_problem(name)}")


def require_one_process(method: str) -> None:
    """Refuse ``accelerate launch`` with several processes.

    Raises:
        SettingsError: There are several.
    """
    if (processes := process_count()) != 1:
        raise SettingsError(
            f"{method} runs in one process, not in {processes}; start it without accelerate launch"
        )


@contextmanager
def main_process_first() -> Iterator[None]:
    """Let the other processes of ``accelerate launch`` wait for the files of the main one."""
    if process_count() == 1:
        yield
        return
    import torch
    from accelerate import PartialState

    # The others also wait while the main process measures held-out answers: ten minutes may be too few.
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(hours=2))
    with state.main_process_first():
        yield
