"""The vocabulary that an adapter was trained with, if it isn't its base's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.engines.adapter import read_json
from harness.engines.fingerprints import bare_name
from harness.engines.safetensors_file import read_header
from harness.errors import AdapterError

# The vocabulary dimension of an embedding's or output layer's tensors; None if there is none.
_DIMENSIONS = {
    ".weight": 0,
    ".lora_A.weight": None,
    ".lora_B.weight": 0,
    ".lora_embedding_A": 1,
}


def rows_of_adapter(model: Any, adapter_dir: Path) -> int | None:
    """Number of rows of an adapter's own embeddings; None if it has none.

    Args:
        model: The base model.
        adapter_dir: The adapter's directory.

    Raises:
        AdapterError: Its input and output embeddings are of different sizes.
    """
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    ends = {
        name.rpartition(".")[2] for name, module in model.named_modules() if any(module is e for e in layers)
    }
    found: dict[int, str] = {}
    for name, tensor in read_header(adapter_dir / "adapter_model.safetensors").items():
        bare = bare_name(name.replace(".modules_to_save.", "."))
        for ending, dimension in _DIMENSIONS.items():
            layer = bare.removesuffix(ending)
            if layer != bare and layer.rpartition(".")[2] in ends and dimension is not None:
                found.setdefault(tensor.shape[dimension], name)
    if len(found) > 1:
        raise AdapterError(
            f"{adapter_dir}: its embeddings are of different sizes: "
            f"{', '.join(f'{name} {size}' for size, name in found.items())}; save the adapter again"
        )
    return next(iter(found), None) or _rows_of_tokens(model, adapter_dir)


def _rows_of_tokens(model: Any, adapter_dir: Path) -> int | None:
    """Rows for the new tokens of an adapter that trains single tokens and holds no other row.

    Only where input and output share their embeddings: else the new tokens' output rows are in no file.
    """
    given, output = model.get_input_embeddings().weight, model.get_output_embeddings()
    if output is None or output.weight is not given:
        return None
    config = read_json(adapter_dir / "adapter_config.json")
    named = config.get("trainable_token_indices") or config.get("token_indices") or []
    lists = list(named.values()) if isinstance(named, dict) else [named]
    rows = max((token + 1 for tokens in lists for token in tokens), default=0)
    return rows if rows > given.shape[0] else None


def weights_in_file(adapter_dir: Path) -> set[str]:
    """Names in the bare base of the weights in an adapter's file."""
    names = read_header(adapter_dir / "adapter_model.safetensors")
    return {bare_name(name.replace(".modules_to_save.", ".")) for name in names}


def resize(model: Any, rows: int) -> None:
    """Give a model a vocabulary of ``rows``, as it had when the adapter was trained.

    The adapter's own embeddings then replace all rows, including new ones.

    Args:
        model: The base model; it is changed.
        rows: Rows of its embeddings.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.resize_token_embeddings(rows, mean_resizing=False)
