"""The processes of one run: usually one, several if ``accelerate launch`` started it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import SettingsError


def is_main_process() -> bool:
    """Whether this process writes the result: false only for the further ones of ``accelerate launch``."""
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


@contextmanager
def main_process_first() -> Iterator[None]:
    """Let the other processes of ``accelerate launch`` wait for the files of the main one."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield
        return
    import torch
    from accelerate import PartialState

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield
