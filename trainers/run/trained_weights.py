"""What was trained: its description, and its files."""

from pathlib import Path
from typing import Any

from harness.models.resolve import plain_reference


def describe_trained(model: Any) -> str:
    """One line on what is trained, such as ``LoRA r=16, 4.88 million trainable parameters``.

    Args:
        model: The model, its trained parameters marked by ``requires_grad``.
    """
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    own = getattr(model, "active_peft_config", None)
    kind = "all weights" if own is None else _described(own)
    return f"{kind}, {_counted(trainable)} trainable parameters"


def _described(adapter: Any) -> str:
    """PEFT's configuration in a few words."""
    rank, tokens = (
        f"r={getattr(adapter, 'r', None)}",
        f"{getattr(adapter, 'num_virtual_tokens', None)} virtual tokens",
    )
    name = str(getattr(adapter.peft_type, "value", adapter.peft_type))
    return {
        "LORA": f"{'DoRA' if getattr(adapter, 'use_dora', False) else 'LoRA'} {rank}",
        "LOHA": f"LoHa {rank}",
        "LOKR": f"LoKr {rank}",
        "VERA": f"VeRA {rank}",
        "OFT": f"OFT with blocks of {getattr(adapter, 'oft_block_size', None)}",
        "IA3": "IA3",
        "PREFIX_TUNING": f"prefix of {tokens}",
        "PROMPT_TUNING": f"prompt of {tokens}",
    }.get(name, name)


def _counted(number: int) -> str:
    """A number as it is read best: virtual tokens are thousands, adapters millions, models billions."""
    if number < 100_000:
        return f"{number:,}"
    return f"{number / 1e6:.2f} million" if number < 1e9 else f"{number / 1e9:.2f} billion"


def save_trained(model: Any, tokenizer: Any, base: str, directory: Path) -> None:
    """Write what was trained: an adapter directory, or a whole model's.

    Args:
        model: The trained model.
        tokenizer: Written only with a whole model; an adapter uses its base's.
        base: The base as the user named it, so that the adapter works wherever that base is available.
        directory: Empty directory to write to.
    """
    if hasattr(model, "peft_config"):
        model.peft_config["default"].base_model_name_or_path = plain_reference(base)
        # Besides the trained adapter TRL may have a frozen copy of the one that training started from.
        model.save_pretrained(str(directory), selected_adapters=["default"])
        (directory / "README.md").unlink(missing_ok=True)
    else:
        model.config.use_cache = True
        model.save_pretrained(str(directory))
        tokenizer.save_pretrained(str(directory))
