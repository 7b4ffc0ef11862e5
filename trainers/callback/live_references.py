"""What the model in training and its checkpoints are known by."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.engines.weights import weight_sums
from harness.errors import ModelError
from harness.models.resolve import adapter_sha256, model_sha256, resolve_model
from harness.types import ModelRef

# Initialisations after which the base with its adapter off is still the base.
_PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")


def has_plain_base(model: Any) -> bool:
    """Whether the model with its adapter off is the base that it was made from.

    Initialisations such as PiSSA subtract from the base's weights what they put into the adapter, and trained
    biases belong to the base.
    """
    config = getattr(model, "active_peft_config", None)
    if config is None:
        return False
    start = getattr(config, "init_lora_weights", True)
    return start in _PLAIN_STARTS and getattr(config, "bias", "none") == "none"


def base_reference(model: Any) -> ModelRef:
    """The model that training starts from, by the content of its files, or else by its weights.

    Args:
        model: The model before the first step.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    name = str(getattr(base.config, "_name_or_path", "") or type(base).__name__)
    try:
        content = model_sha256(resolve_model(name, download=False, recorded=True))
    except ModelError:
        # Made in this process, or from files that are gone.
        content = hashlib.sha256(json.dumps(weight_sums(base), sort_keys=True).encode()).hexdigest()
    return ModelRef(label=name, base_model=name, base_sha256=content)


def checkpoint_reference(checkpoint: Path, base: ModelRef) -> ModelRef:
    """A saved checkpoint, by the content of its files.

    Args:
        checkpoint: Its directory.
        base: The model that training started from.

    Raises:
        AdapterError: It is damaged.
    """
    if (checkpoint / "adapter_config.json").is_file():
        return replace(
            base,
            label=str(checkpoint),
            adapter_dir=str(checkpoint.resolve()),
            adapter_sha256=adapter_sha256(checkpoint),
        )
    return ModelRef(label=str(checkpoint), base_model=str(checkpoint), base_sha256=model_sha256(checkpoint))
