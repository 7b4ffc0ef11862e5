"""The parameters of a base and of LoRA on it, counted on the model's own class without weights.

Dimensions in config.json have other meanings in each family: experts that all tokens share, first layers
without experts, compressed keys. What transformers builds from the file has them all.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.engines.loading import quiet_load
from harness.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Parameters, counted.

    Attributes:
        parameters: All of them; tied weights count once.
        in_4_bits: Those that QLoRA stores in 4 bits.
        lora_a_rank: LoRA's on all linear layers for each unit of its rank.
    """

    parameters: int
    in_4_bits: int
    lora_a_rank: int


def counted(directory: Path) -> Counts | None:
    """The counts of a model's directory, of which only config.json is read.

    Returns:
        None if the libraries that train are not installed, or transformers doesn't have the model's class.
    """
    if not all(find_spec(library) for library in ("torch", "transformers", "peft")):
        return None
    try:
        with quiet_load():
            return _counted(directory)
    except InputError:
        return None


def _counted(directory: Path) -> Counts:
    import torch
    from peft import get_peft_model
    from transformers.pytorch_utils import Conv1D
    from transformers.quantizers.base import get_keys_to_not_convert

    from trainers.config import PeftSettings
    from trainers.run.adapter_check import empty_model, fitting_adapter
    from trainers.run.adapters import adapter_config

    model = empty_model(directory)
    adapter = fitting_adapter(adapter_config(PeftSettings(r=1)), directory)
    parameters = sum(each.numel() for each in model.parameters())
    # As transformers does for bitsandbytes: plain linear layers, and none that the output layer has.
    whole = set(get_keys_to_not_convert(model))
    in_4_bits = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if name not in whole and (type(module) is torch.nn.Linear or isinstance(module, Conv1D))
    )
    with torch.device("meta"):
        made = get_peft_model(model, adapter)
    trained = sum(each.numel() for each in made.parameters() if each.requires_grad)
    return Counts(parameters=parameters, in_4_bits=in_4_bits, lora_a_rank=trained)
