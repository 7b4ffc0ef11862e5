"""The device, and the type of numbers that suits it, by one rule for gate and trainers.

A model that is too large for one device is split: its layers are on all GPUs, and what has no room there in
the machine's memory or on its disk. Such a device is called ``cuda:split``, or ``cpu:split`` where no GPU may
compute, with the memory that each may use if the user limits it: ``cuda:split:0=20GiB,cpu=60GiB``.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from harness.errors import ModelError, SettingsError
from harness.models.resolve import model_config
from harness.types import ExecutionPlan, ModelRef

_FIRST_WITH_BFLOAT16 = (8, 0)  # Ampere
# In the name of a plan's device.
SPLIT = ":split"
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def split_device(device: str, *, cuda: bool) -> str:
    """The device of a plan that splits models: its kind is that of what computes.

    Args:
        device: ``split`` with or without the memory of each device.
        cuda: Whether this machine has GPUs.

    Raises:
        SettingsError: The memory is no such text, or of a GPU where there is none.
    """
    memory = device.partition(":")[2]
    limits = memory_limits(memory)
    gpus = [name for name in limits if name != "cpu"]
    if gpus and not cuda:
        raise SettingsError(f"--gate-device {device}: no GPU {gpus[0]} here: there is none; limit cpu alone")
    computes = cuda and (not limits or any(limits[name] for name in gpus))
    return f"{'cuda' if computes else 'cpu'}{SPLIT}{':' if memory else ''}{memory}"


def memory_limits(memory: str) -> dict[int | str, int]:
    """The bytes that a split model may use of each device; empty for what transformers finds.

    Args:
        memory: Such as ``0=20GiB,1=20GiB,cpu=60GiB``; GPUs are numbered, and those without a limit not used.

    Raises:
        SettingsError: It is no such text, or names a device twice.
    """
    limits: dict[int | str, int] = {}
    for part in memory.split(",") if memory else ():
        found = re.fullmatch(r"(\d+|cpu)=(\d+(?:\.\d+)?)([KMG]i?B)", part)
        if found is None:
            raise SettingsError(
                f"--gate-device split:{memory}: found {part!r} (allowed: a GPU's number or cpu, = and its "
                f"memory, such as split:0=20GiB,1=20GiB,cpu=60GiB)"
            )
        text, size, unit = found.groups()
        name = int(text) if text.isdecimal() else text
        if name in limits:
            raise SettingsError(f"--gate-device split:{memory}: the memory of {name} is named twice")
        limits[name] = int(float(size) * _UNITS[unit])
    return limits


def refuse_split(device: str, runner: str) -> None:
    """Refuse to split a model that isn't run by one process with transformers.

    Args:
        device: A plan's device.
        runner: Who runs the model.

    Raises:
        SettingsError: It would be split.
    """
    if SPLIT in device:
        raise SettingsError(
            f"--gate-device split: splits a base among the devices of one process, which "
            f"{runner} can't do; name another device"
        )


def refuse_missing_gpus(device: str) -> None:
    """Refuse a plan for GPUs that this machine doesn't have.

    Args:
        device: The plan's device, of the kind ``cuda``.

    Raises:
        SettingsError: One is missing.
    """
    import torch

    if not torch.cuda.is_available():
        raise SettingsError(f"--gate-device {device}: torch sees no CUDA device here; use cpu")
    number, split, memory = device.removeprefix("cuda:").partition("split")
    wanted = memory_limits(memory.removeprefix(":")) if split else [number]
    count = torch.cuda.device_count()
    for each in map(str, wanted):
        if each.isdecimal() and int(each) >= count:
            given = f"{split}{memory}" if split else device
            raise SettingsError(
                f"--gate-device {given}: no GPU {each} here: torch sees {count}, numbered from 0"
            )


def dtype_of_capability(capability: tuple[int, int]) -> Literal["bfloat16", "float32"]:
    """The type of numbers for GPUs of a compute capability: bfloat16 where they have it, else float32.

    Older GPUs emulate bfloat16 slowly, and have float16, whose range is too small for the activations of
    models that were trained in bfloat16: it may be asked for, and is not chosen.

    Args:
        capability: Major and minor number, such as (7, 5) for a T4.
    """
    return "bfloat16" if capability >= _FIRST_WITH_BFLOAT16 else "float32"


def gpu_dtype(device: str = "cuda") -> Literal["bfloat16", "float32"]:
    """The type of numbers that all GPUs have which a plan uses.

    Args:
        device: The plan's. Without any GPU it is refused where a model is loaded to it.

    Raises:
        SettingsError: It names a GPU that is not there, where others are.
    """
    import torch

    if not torch.cuda.is_available():
        return "bfloat16"
    refuse_missing_gpus(device)
    types = {dtype_of_capability(torch.cuda.get_device_capability(each)) for each in _gpus(device)}
    return "float32" if "float32" in types else "bfloat16"


def _gpus(device: str) -> list[str]:
    """The GPUs of a plan: of a model that is split all that may have a part of it."""
    import torch

    _, split, memory = device.partition(SPLIT)
    if not split:
        return [device]
    limits = memory_limits(memory.removeprefix(":")) or dict.fromkeys(range(torch.cuda.device_count()), 1)
    return [f"cuda:{name}" for name, size in limits.items() if size and name != "cpu"]


def stored_quantisation(reference: str) -> str | None:
    """The name of what a base's weights were quantised by before they were stored; None for plain numbers.

    Args:
        reference: The base, as a run recorded it.
    """
    config = model_config(reference)
    for part in (config, config.get("text_config")):
        if isinstance(part, dict) and (stored := part.get("quantization_config")):
            return str(stored.get("quant_method", "unknown") if isinstance(stored, dict) else "unknown")
    return None


def place_of_stored(directory: Path, device: str) -> dict[str, Any]:
    """Where transformers loads a base's quantised weights to, for it moves none.

    If it isn't told, most kinds come to the processor, and others to the first GPU.

    Args:
        directory: The base's directory.
        device: A plan's. The processor must not be named: it refuses some kinds then.

    Returns:
        A setting of ``from_pretrained``; empty for plain numbers.
    """
    stored = stored_quantisation(str(directory)) is not None
    return {"device_map": {"": device}} if stored else {}


def refuse_elsewhere(directory: Path, model: Any, device: str) -> None:
    """Refuse a quantised model whose weights are not on the plan's device, and can't be moved there.

    Args:
        directory: The model's directory.
        model: The loaded model.
        device: The plan's.

    Raises:
        ModelError: They are elsewhere, so that another device would compute than answers are stored under.
    """
    if SPLIT not in device and model.device.type != device.partition(":")[0]:
        raise ModelError(
            f"{directory}: its weights are stored quantised, and transformers loads them to "
            f"{model.device.type} alone: use --gate-device {model.device.type}"
        )


def in_four_bits(
    plan: ExecutionPlan, sides: Sequence[ModelRef], asked: str = "--gate-weights nf4"
) -> ExecutionPlan:
    """The plan on bases in 4 bits, as QLoRA trains on them; as it is for engines that load models themselves.

    Args:
        plan: How the models are run.
        sides: The models.
        asked: The option that asks for it, for messages.

    Raises:
        SettingsError: bitsandbytes isn't installed, or a base is stored quantised.
    """
    if plan.engine != "transformers":
        return plan
    if find_spec("bitsandbytes") is None:
        raise SettingsError(f"{asked}: bitsandbytes is not installed: pip install 'tunegate[train]'")
    for side in sides:
        if method := stored_quantisation(side.base_model):
            raise SettingsError(
                f"{asked}: {side.base_model}: its weights are stored quantised ({method}); "
                f"leave it out: they are loaded as they are"
            )
    return replace(plan, weights="nf4")
