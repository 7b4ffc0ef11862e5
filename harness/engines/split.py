"""A base that is split among devices.

transformers chooses the place of each layer: on the GPUs as far as they have room, then in the machine's
memory, then on its disk. Accelerate's hooks move a layer's inputs to it, and read the weights that are not on
a GPU (without one: not in memory) before each use; in between these are on torch's device ``meta``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.engines.precision import memory_limits
from harness.errors import ModelError

# The attribute of a model on several devices, or of PEFT's around it: the folder of weights that transformers
# had to write anew.
SPREAD = "tunegate_offload_folder"


def load_split(load: Any, device: str, directory: Path, **settings: Any) -> tuple[Any, Any]:
    """Load a model to several devices.

    Args:
        load: The ``from_pretrained`` of a class.
        device: A plan's device.
        directory: The model's directory.
        settings: Further ones of ``load``.

    Returns:
        The model, and the report on its loading.

    Raises:
        ModelError: Not even its embeddings have room, or none of its layers on the GPUs of the plan.
    """
    folder = TemporaryDirectory(prefix="tunegate-")
    limits = memory_limits(device.partition("split:")[2])
    settings |= {"device_map": "auto", "offload_folder": folder.name}
    if limits:
        settings["max_memory"] = limits
    model, report = load(directory, **settings)
    if device.startswith("cuda") and model.device.type == "cpu":
        # The plan, and with it the type of numbers and the keys of stored answers, is that of a GPU.
        raise ModelError(
            f"{directory}: has no room on the GPUs, so that the processor would compute: allow more memory "
            f"there, or the processor's alone with --gate-device split:cpu="
        )
    if not hasattr(model, "_hf_hook"):
        return model, report  # it has room on one device
    setattr(model, SPREAD, folder)
    if model.device.type == "meta":
        raise ModelError(
            f"{directory}: has no room on these devices: its first layers would be read anew for every "
            f"token; allow more memory with --gate-device split:"
        )
    if bytes_away(model):
        # PEFT would choose other places for the layers with the first adapter.
        del model.hf_device_map
    return model, report


def warn_of_weights_away(models: Iterable[Any]) -> None:
    """Warn that the layers of models have no room on the devices that compute.

    Args:
        models: The models, some of them perhaps the same.
    """
    if away := sum(bytes_away(each) for each in {id(model): model for model in models}.values()):
        warnings.warn(
            f"--gate-device split: {away / 1e9:.3g} GB of the weights have no room on the devices that "
            f"compute, and are read anew for every token of a batch, which is slow",
            RuntimeWarning,
            stacklevel=2,
        )


def bytes_away(model: Any) -> int:
    """The size of a model's weights that no computing device has in its memory, in bytes."""
    return sum(
        each.numel() * each.element_size() for each in model.parameters() if each.device.type == "meta"
    )
