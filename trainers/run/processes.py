"""The processes of one run: usually one, several if ``accelerate launch`` started it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from harness.errors import SettingsError
from trainers.unread_keys import sharding_problem


def is_main_process() -> bool:
    """Whether this process writes the result: false only for the further ones of ``accelerate launch``."""
    return os.environ.get("RANK", "0") == "0"


def training_device(cuda: bool) -> str:
    """Where this process trains: each process of one machine on a GPU of its own.

    Args:
        cuda: There is a GPU.
    """
    # accelerate takes the same number for the device that it computes on.
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if cuda else "cpu"


_LONGEST_WAIT = timedelta(hours=2)
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
    if (processes := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise SettingsError(
            f"{method} runs in one process, not in {processes}; start it without accelerate launch"
        )


@contextmanager
def main_process_first() -> Iterator[None]:
    """Let the other processes of ``accelerate launch`` wait for the files of the main one."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield
        return
    import torch
    from accelerate import PartialState

    # The others also wait while the main process measures held-out answers: ten minutes may be too few.
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=_LONGEST_WAIT)
    with state.main_process_first():
        yield
