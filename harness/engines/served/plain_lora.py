"""Adapters that vLLM runs as they were trained: LoRA on a base's layers, with one scale for all of them.

It reads a rank, an alpha and the matrices, and ignores whatever else an adapter's configuration says.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.engines.adapter import OUTPUT_LAYERS, read_adapter, read_json, unusual_keys
from harness.engines.served.process import RANKS, rank_of
from harness.engines.weights import Tensor
from harness.errors import AdapterError, faults_of
from harness.types import ModelRef

_MATRIX = re.compile(r"\.lora_(?:embedding_)?(?P<which>[AB])\b")
# How PEFT calls what a key turns on.
_NAMES = {"use_dora": "DoRA"}
_BEFORE_MODULES = "base_model.model."
# PEFT's own alpha and rank, where a configuration names none.
_DEFAULT = 8


def refuse_unusual(adapter: ModelRef) -> None:
    """Check that vLLM can run an adapter: it runs plain LoRA only, and would ignore the rest.

    Raises:
        AdapterError: It is another kind.
    """
    directory = Path(str(adapter.adapter_dir))
    tensors, file = read_adapter(directory).tensors, directory / "adapter_config.json"
    config = read_json(file)
    with faults_of(f"{file}: its ranks and scales can't be read", AdapterError):
        reasons = _reasons(config, tensors, rank_of(adapter))
    if reasons:
        raise AdapterError(
            f"{adapter.label}: vLLM runs plain LoRA up to rank {RANKS[-1]}, and this has "
            f"{', '.join(reasons)}; run it with --gate-engine transformers, or merge it"
        )


def _reasons(config: Mapping[str, Any], tensors: Mapping[str, Tensor], rank: int) -> list[str]:
    if config.get("peft_type") != "LORA":
        return [str(config.get("peft_type"))]
    reasons = [
        *(_written(key, config[key]) for key in unusual_keys(config)),
        *([f"rank {rank}"] if rank > RANKS[-1] else []),
        *(
            f"LoRA on {layer}, which vLLM applies to the base's requests too"
            for layer in _output_layers(tensors)
        ),
    ]
    return reasons or [*_other_tensors(tensors), *_other_scales(config, tensors)]


def _written(key: str, value: object) -> str:
    return f"{key}: {value}" if isinstance(value, str) else _NAMES.get(key, key)


def _output_layers(tensors: Iterable[str]) -> list[str]:
    """The layers of the logits that an adapter changes: vLLM finds their rows by the places of answers.

    The log-probabilities of a prompt have other rows, so that the base's and the adapters' are mixed up.
    """
    changed = {name.rpartition(".lora_")[0].rpartition(".")[2] for name in tensors}
    return sorted(changed & {*OUTPUT_LAYERS})


def _other_tensors(tensors: Iterable[str]) -> Iterator[str]:
    """The first tensor that is no matrix of a LoRA, such as the embeddings of new tokens."""
    name = next((name for name in tensors if not _MATRIX.search(name)), None)
    if name is not None:
        yield f"a tensor {name}, which vLLM leaves out"


def _other_scales(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """The first layer that training scaled otherwise than by the adapter's own alpha and rank."""
    alphas = config.get("alpha_pattern") or {}
    if not alphas and not config.get("rank_pattern"):
        return
    root = math.sqrt if config.get("use_rslora") else float
    alpha, rank = (config.get(key, _DEFAULT) for key in ("lora_alpha", "r"))
    for name, tensor in tensors.items():
        found = _MATRIX.search(name)
        if found is None or found["which"] != "A":
            continue
        module = name[: found.start()].removeprefix(_BEFORE_MODULES)
        own = alphas.get(_pattern_of(module, alphas), alpha)
        if not math.isclose(own / root(tensor.shape[0]), alpha / root(rank)):
            yield (
                f"a scale of its own on {module} (rank_pattern or alpha_pattern), and vLLM scales all layers "
                f"by lora_alpha and r"
            )
            return


def _pattern_of(module: str, patterns: Iterable[str]) -> str | None:
    """The pattern that PEFT uses for a module: the first one that its name ends in."""
    return next((each for each in patterns if re.match(rf"(.*\.)?({each})$", module)), None)
