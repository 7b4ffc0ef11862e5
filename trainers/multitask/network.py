"""New networks to train, their trained weights, and their directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.engines.loading import quiet_load
from harness.engines.multitask.description import Task
from harness.engines.multitask.network import Network, load_encoder
from harness.errors import SettingsError
from harness.prompts.tokenizers import from_files
from trainers.config import PeftSettings
from trainers.multitask.config import MultitaskConfig as Settings
from trainers.run.adapters import adapter_config

if TYPE_CHECKING:
    import torch


def new_network(config: Settings, base_dir: Path, tasks: Mapping[str, Task], device: str) -> Network:
    """The base's encoder with untrained adapters, if any, and untrained heads.

    A head and an adapter depend only on the seed and on their task: they start with equal weights in every
    network.

    Args:
        config: The run's configuration.
        base_dir: The base's directory on this machine.
        tasks: The heads' tasks, by name.
        device: ``cpu`` or ``cuda``.

    Raises:
        SettingsError: The base is not an encoder, or its tokenizer doesn't give the positions of its tokens
            in the text.
    """
    import torch

    with quiet_load():
        tokenizer = from_files(base_dir)
        encoder = load_encoder(base_dir)
    if not tokenizer.is_fast:
        raise SettingsError("base: its tokenizer doesn't give the characters of a token; take another")
    most = getattr(encoder.config, "max_position_embeddings", config.max_length)
    generates = any(name.endswith("ForCausalLM") for name in encoder.config.architectures or ())
    if generates or not hasattr(encoder.config, "hidden_size"):
        raise SettingsError(f"base: {config.base} is not an encoder; take one such as minilm")
    if config.max_length > most:
        raise SettingsError(f"max_length: found {config.max_length} (allowed: up to the encoder's {most})")
    heads = {}
    for task in tasks.values():
        torch.manual_seed(config.seed)
        heads[task.name] = torch.nn.Linear(encoder.config.hidden_size, len(task.labels)).to(device)
    return Network(
        encoder=_with_adapters(encoder, config, tasks).to(device),
        heads=heads,
        tokenizer=tokenizer,
        tasks=tasks,
        max_length=config.max_length,
        max_answer_tokens=config.max_answer_tokens,
    )


def _with_adapters(encoder: Any, config: Settings, tasks: Mapping[str, Task]) -> Any:
    import torch

    settings = PeftSettings(r=config.lora.r, alpha=config.lora.alpha, dropout=config.lora.dropout)
    for name in dict.fromkeys(task.adapter for task in tasks.values()):
        if name is None:
            continue
        torch.manual_seed(config.seed)
        wanted = adapter_config(settings, "FEATURE_EXTRACTION")
        if hasattr(encoder, "peft_config"):
            encoder.add_adapter(name, wanted)
        else:
            from peft import get_peft_model

            encoder = get_peft_model(encoder, wanted, adapter_name=name)
    return encoder


def encoder_parameters(network: Network, task: Task) -> list[torch.nn.Parameter]:
    """The encoder's trained parameters for a task: all of them, or the task's adapter.

    Args:
        network: The network; the task's adapter is the active one afterwards.
        task: The task.
    """
    if task.adapter is None:
        return list(network.encoder.parameters())
    network.encoder.set_adapter(task.adapter)
    return [parameter for parameter in network.encoder.parameters() if parameter.requires_grad]


def trained_weights(network: Network) -> dict[str, torch.Tensor]:
    """Every weight that training may change, by name; they are the network's own, not copies."""
    named = network.encoder.named_parameters()
    of_encoder = {
        f"encoder.{name}": parameter.data
        for name, parameter in named
        if not hasattr(network.encoder, "peft_config") or ".lora_" in name
    }
    of_heads = {
        f"heads.{task}.{name}": parameter.data
        for task, head in network.heads.items()
        for name, parameter in head.named_parameters()
    }
    return of_encoder | of_heads
