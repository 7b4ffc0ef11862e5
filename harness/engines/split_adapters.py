"""Adapters on a base that is split among devices: which can be put there, and where their weights are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.engines.adapter import VIRTUAL_TOKENS, AdapterTraits
from harness.engines.split import bytes_away
from harness.engines.weights import read_header
from harness.errors import AdapterError


def refuse_other_vocabulary(adapter_dir: str) -> None:
    """Refuse an adapter with rows of embeddings that its split base doesn't have.

    Args:
        adapter_dir: The adapter's directory.

    Raises:
        AdapterError: In every case.
    """
    raise AdapterError(
        f"{adapter_dir}: --gate-device split doesn't take an adapter with another number of tokens than its "
        f"base; name one device, or merge the adapter and gate the model"
    )


def refuse_unsplittable(model: Any, adapter_dir: str, traits: AdapterTraits) -> None:
    """Check that an adapter can be put on a split base.

    Args:
        model: The base.
        adapter_dir: The adapter's directory.
        traits: The adapter's.

    Raises:
        AdapterError: It can't: PEFT would compute with weights that are not there.
    """
    reason = None
    if traits.kind == VIRTUAL_TOKENS:
        reason = "virtual tokens"
    elif bytes_away(model):
        names = read_header(Path(adapter_dir) / "adapter_model.safetensors")
        plain = traits.kind == "LORA" and traits.shares
        if not (plain and all(".lora_A." in name or ".lora_B." in name for name in names)):
            reason = "an adapter that is more than matrices of a plain LoRA, on layers that are not on a GPU"
    if reason is not None:
        raise AdapterError(
            f"{adapter_dir}: --gate-device split doesn't take {reason}; name one device, or merge the "
            f"adapter and gate the model"
        )


def add_to_split(base: Any, name: str, config: Any) -> Any:
    """Add an adapter to a split base, its weights on the devices where their layers compute.

    PEFT would put them where the layer's own weights are, perhaps on ``meta``: what is loaded there is lost.
    An output layer's input may come from another device than its own.

    Args:
        base: The base, or PEFT's model around it.
        name: The adapter's name in it.
        config: The adapter's configuration.

    Returns:
        PEFT's model around the base; the adapter's weights are to be loaded.
    """
    from peft import PeftModel, PeftModelForCausalLM
    from peft.tuners.tuners_utils import BaseTunerLayer

    if isinstance(base, PeftModel):
        base.add_adapter(name, config, autocast_adapter_dtype=False)
    else:
        base = PeftModelForCausalLM(base, config, adapter_name=name, autocast_adapter_dtype=False)
    layers: list[Any] = [each for each in base.modules() if isinstance(each, BaseTunerLayer)]
    for layer in layers:
        if (device := _computes_on(layer.get_base_layer())) is None:
            continue
        for kind in layer.adapter_layer_names:
            parts = getattr(layer, kind, {})
            if name in parts and any(each.device.type == "meta" for each in parts[name].parameters()):
                parts[name].to_empty(device=device)
        if not layer._forward_pre_hooks:
            layer.register_forward_pre_hook(lambda _, given, to=device: (given[0].to(to), *given[1:]))
    return base


def _computes_on(layer: Any) -> Any:
    """The device on which a layer of a split model computes; None if nothing moves its inputs."""
    hook = getattr(layer, "_hf_hook", None)
    devices = [getattr(each, "execution_device", None) for each in getattr(hook, "hooks", [hook])]
    return next((each for each in devices if each is not None), None)
