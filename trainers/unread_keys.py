"""Keys that have no effect: whoever changes one expects something of it, so it is refused.

A key that has its default value is no problem: nothing else could have been meant.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

# The keys under peft that each kind of trained weights reads.
_PEFT_KEYS = {
    "lora": frozenset({"r", "alpha", "dropout", "rslora", "dora", "init", "target_modules"}),
    "loha": frozenset({"r", "alpha", "target_modules"}),
    "lokr": frozenset({"r", "alpha", "target_modules"}),
    "vera": frozenset({"r", "target_modules"}),
    "oft": frozenset({"block_size", "target_modules"}),
    "ia3": frozenset({"target_modules"}),
    "prefix": frozenset({"virtual_tokens", "init_text"}),
    "prompt": frozenset({"virtual_tokens", "init_text"}),
    "full": frozenset[str](),
}


def changed_keys(settings: BaseModel) -> list[str]:
    """The keys with another value than their default, in the order of the class."""
    return [
        name
        for name, field in type(settings).model_fields.items()
        if not field.is_required() and getattr(settings, name) != field.default
    ]


def peft_keys(settings: BaseModel, method: str) -> str | None:
    """What is wrong with the keys under ``peft``, if one is of another method.

    Args:
        settings: The keys.
        method: ``peft.method``.
    """
    unread = [key for key in changed_keys(settings) if key not in _PEFT_KEYS[method] | {"method"}]
    if not unread:
        return None
    methods = [name for name, keys in _PEFT_KEYS.items() if unread[0] in keys]
    return f"{unread[0]} is read by method: {', '.join(methods)}, not by {method}; leave it out"


def stop_keys(settings: BaseModel, golden: Sequence[Path]) -> str | None:
    """What is wrong with the keys under ``early_stop``, if nothing can stop the training.

    Args:
        settings: The keys.
        golden: The golden sets.
    """
    unread = changed_keys(settings)
    if golden or not unread:
        return None
    return (
        f"{unread[0]} is read only with golden, the sets that stop the training; give them, or leave it out"
    )


def length_of_training(settings: BaseModel, max_steps: int | None) -> str | None:
    """What is wrong with the length of training, if it is given twice.

    Args:
        settings: A trainer's keys.
        max_steps: Its number of steps, or None.
    """
    if max_steps is None or "epochs" not in changed_keys(settings):
        return None
    return f"epochs: max_steps: {max_steps} sets the length of training; leave one of them out"


def warmup_problem(warmup: int, steps: int | None) -> str | None:
    """What is wrong with the steps over which the rate rises, if it never reaches its peak.

    Args:
        warmup: Those steps.
        steps: All steps of the training; None if that isn't known yet.
    """
    if steps is None or not warmup or warmup < steps:
        return None
    return f"warmup_steps: the rate rises for {warmup} of {steps} steps, and never reaches its peak; lower it"


def adapter_shape(settings: BaseModel, adapter: Path | None) -> str | None:
    """What is wrong with ``peft``, if training starts from an adapter.

    Args:
        settings: A trainer's keys.
        adapter: The adapter, or None.
    """
    if adapter is None or "peft" not in changed_keys(settings):
        return None
    return "peft: an adapter that is trained further keeps its kind and shape; leave peft out"


_SHARDING_KEYS = {
    "fsdp": "FSDP",
    "fsdp_config": "FSDP",
    "deepspeed": "DeepSpeed",
    "parallelism_config": "tensor or context parallelism",
}


def sharding_keys(trl: Mapping[str, Any]) -> str | None:
    """What is wrong with TRL's keys, if one divides the weights among devices."""
    asked = [key for key in _SHARDING_KEYS if trl.get(key)]
    return f"trl.{asked[0]}: {sharding_problem(_SHARDING_KEYS[asked[0]])}" if asked else None


def sharding_problem(name: str) -> str:
    """Why a way of dividing the weights among devices is refused."""
    return (
        f"{name} divides the weights among devices, and the trainers write them from one; start with "
        "--multi_gpu, where every GPU has the whole model (smaller with quantization: nf4)"
    )
