"""The directory of a trained network with several heads."""

from __future__ import annotations

import json
from pathlib import Path

from harness.engines.adapter import MULTITASK_CONFIG
from harness.engines.multitask.description import MultitaskConfig
from harness.engines.multitask.directory import ADAPTERS, ENCODER, HEADS
from harness.engines.multitask.network import Network
from harness.models.resolve import model_sha256, tokenizer_sha256
from harness.types.storage import write_whole
from trainers.multitask.config import MultitaskConfig as Settings


def write_network(network: Network, config: Settings, base_dir: Path, directory: Path) -> None:
    """Write a finished network as a directory for the gate.

    Args:
        network: The trained network.
        config: The run's configuration.
        base_dir: The base's directory on this machine.
        directory: The directory to write; must not exist.
    """
    from safetensors.torch import save_file

    directory.mkdir(parents=True)
    heads = {
        f"{task}.{name}": tensor.contiguous().cpu()
        for task, head in network.heads.items()
        for name, tensor in head.state_dict().items()
    }
    save_file(heads, directory / HEADS)
    if config.encoder == "full":
        network.encoder.save_pretrained(str(directory / ENCODER))
    else:
        for adapter in network.encoder.peft_config.values():
            adapter.base_model_name_or_path = config.base
        network.encoder.save_pretrained(str(directory / ADAPTERS))
        (directory / ADAPTERS / "README.md").unlink(missing_ok=True)
    facts = MultitaskConfig(
        base=config.base,
        base_sha256=model_sha256(base_dir),
        tokenizer_sha256=tokenizer_sha256(base_dir),
        encoder=config.encoder,
        max_length=config.max_length,
        max_answer_tokens=config.max_answer_tokens,
        tasks=tuple(network.tasks.values()),
    )
    content = facts.model_dump(mode="json")
    write_whole(directory / MULTITASK_CONFIG, json.dumps(content, indent=2) + "\n")
