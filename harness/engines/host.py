"""One copy of a base's weights in memory, the adapters on it, and their rows of a changed vocabulary."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.engines.adapter import NO_ADAPTER, VIRTUAL_TOKENS, AdapterTraits, read_json
from harness.engines.library_faults import loading_failures, refuse_not_finite
from harness.engines.loading import attach, load_base
from harness.engines.side import adapted
from harness.engines.split import SPREAD
from harness.engines.split_adapters import refuse_other_vocabulary, refuse_unsplittable
from harness.engines.weights import (
    bare_name,
    changed_weights,
    not_finite,
    probe_rows,
    read_header,
    refuse_not_a_number,
    row_logits,
    weight_sums,
)
from harness.errors import AdapterError, ModelError
from harness.types import ExecutionPlan

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


@dataclass(slots=True, kw_only=True)
class Host:
    """A loaded base model, shared by sides or used by one.

    Attributes:
        base_sha256: The base's content hash.
        model: The base, or PEFT's model around it.
        model_settings: The base's own generation config, which is removed from the model meanwhile.
        rows: Token ids of test prompts, to check whether the base is unchanged.
        bare_logits: The bare base's logits for them.
        sums: The sum of each of the bare base's weights.
        traits: The traits of each side's adapter.
        prompts: PEFT's models with virtual tokens, by side.
        logits: Each side's own logits, computed after its adapter was attached.
        changed: Names of the base's weights that an adapter changed.
        resized: Whether it has an adapter's vocabulary.
        packs: Whether the first forward pass changes the format of its weights, so that an adapter must come
            first: bitsandbytes' 4 bits on some CPUs.
    """

    base_sha256: str
    directory: Path
    model: Any
    model_settings: Any
    rows: list[list[int]]
    bare_logits: Any
    sums: dict[str, float]
    traits: dict[str, AdapterTraits] = field(default_factory=dict)
    prompts: dict[str, Any] = field(default_factory=dict)
    logits: dict[str, Any] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    resized: bool = False
    packs: bool = False

    @property
    def unpacked(self) -> str | None:
        """The packed numbers that the base is stored in, where transformers turned them into plain ones."""
        stored = read_json(self.directory / "config.json").get("quantization_config")
        if not isinstance(stored, dict) or getattr(self.model.config, "quantization_config", None):
            return None
        return str(stored.get("quant_method", "packed numbers"))

    @property
    def is_bare_base(self) -> bool:
        """Whether it equals the base with all adapters off."""
        return not self.changed and not self.resized and not (self.packs and self.traits)

    def takes(self, traits: AdapterTraits) -> bool:
        """Whether an adapter may share this host."""
        if traits.kind == NO_ADAPTER or not self.is_bare_base:
            return self.is_bare_base
        together = (*self.traits.values(), traits)
        return all(each.shares for each in together) and len({each.kind for each in together}) == 1


def open_host(
    base_sha256: str, directory: Path, plan: ExecutionPlan, tokenizer: Any, adapter_dir: str | None
) -> Host:
    """Load a base.

    Args:
        base_sha256: Its content's hash.
        directory: Its directory.
        plan: How to compute.
        tokenizer: The base's.
        adapter_dir: The adapter that it is loaded for, whose vocabulary may be another one; None for none.

    Raises:
        ModelError: It can't be loaded as it is, or holds NaN or infinity.
    """
    from transformers import GenerationConfig

    model = load_base(plan, directory)
    settings, model.generation_config = model.generation_config, GenerationConfig()  # type: ignore[no-untyped-call] # as above
    found, wanted = model.get_input_embeddings().weight.shape[0], None
    if adapter_dir is not None:
        wanted = rows_of_adapter(model, Path(adapter_dir))
    rows = probe_rows(tokenizer, min(found, wanted or found))
    packs = bool(getattr(model, "is_quantized", False)) and model.device.type == "cpu"
    bare_logits = None
    if not (packs and adapter_dir):
        with loading_failures(str(directory), ModelError, verb="run"):
            bare_logits = row_logits(model, rows, model.device)
    if wanted not in (None, found):
        if hasattr(model, SPREAD):
            refuse_other_vocabulary(str(adapter_dir))
        resize(model, wanted)
    sums = weight_sums(model)
    refuse_not_finite(str(directory), not_finite(model, sums), ModelError)
    if bare_logits is not None:
        refuse_not_a_number(str(directory), bare_logits, ModelError)
    return Host(
        base_sha256=base_sha256,
        directory=directory,
        model=model,
        model_settings=settings,
        rows=rows,
        bare_logits=bare_logits,
        sums=sums,
        resized=wanted not in (None, found),
        packs=packs,
    )


def change_by(host: Host, side: str) -> float:
    """Largest change of the base's logits, or of the embedding of any token, by a side's adapter.

    Args:
        host: A base with its adapters.
        side: The side whose adapter is compared with the base.

    Returns:
        In logits, or in the units of the embeddings.
    """
    import math

    import torch

    if side not in host.traits or host.resized or not host.traits[side].batches:
        # A vocabulary of its own is a change; an effect on certain tokens shows only with these tokens.
        return math.inf
    change = float((host.logits[side] - host.bare_logits).abs().max())
    if change or side in host.prompts or not hasattr(host.model, "peft_config"):
        return change
    # Only tokens that are not in the test prompts may be changed.
    tokens = torch.arange(len(host.model.get_input_embeddings().weight), device=host.model.device)
    with torch.inference_mode():
        found = []
        for adapter in (side, None):
            with adapted(host.model, [adapter], by_peft=True):
                found.append(host.model.get_input_embeddings()(tokens).float())
    return float((found[0] - found[1]).abs().max())


def put_adapter(host: Host, side: str, adapter_dir: str, traits: AdapterTraits) -> None:
    """Attach a side's adapter; record its own logits, and its changes to the base.

    Args:
        host: A base with its adapters; it is changed.
        side: The adapter's side.
        adapter_dir: The adapter's directory.
        traits: Its traits.

    Raises:
        AdapterError: It can't be loaded, or doesn't load completely.
    """
    if hasattr(host.model, SPREAD):
        refuse_unsplittable(host.model, adapter_dir, traits)
    wrapped = attach(host.model, side, adapter_dir)
    with loading_failures(adapter_dir, AdapterError, verb="run"):
        if traits.kind == VIRTUAL_TOKENS:
            host.prompts[side] = wrapped
            host.logits[side] = _steady_logits(wrapped, host, adapter_dir)
        else:
            host.model = wrapped
            with adapted(wrapped, [side], by_peft=True) as forward:
                host.logits[side] = _steady_logits(forward, host, adapter_dir)
    host.traits[side] = traits
    host.changed = changed_weights(host.sums, host.model)
    if host.bare_logits is None:
        with adapted(host.model, [None]) as forward:
            host.bare_logits = row_logits(forward, host.rows, host.model.device)
        refuse_not_a_number(str(host.directory), host.bare_logits, ModelError)
    refuse_not_a_number(adapter_dir, host.logits[side], AdapterError)


def _steady_logits(forward: Any, host: Host, adapter_dir: str) -> Any:
    """A side's own logits, independent of earlier prompts.

    Raises:
        AdapterError: A recurrent model doesn't begin anew with each prompt behind this adapter.
    """
    import torch

    said = row_logits(forward, host.rows, host.model.device)
    base = host.model.get_base_model() if hasattr(host.model, "peft_config") else host.model
    if base._is_stateful and not torch.equal(said, row_logits(forward, host.rows, host.model.device)):
        raise AdapterError(
            f"{adapter_dir}: a recurrent model behind this adapter answers by what it was asked before: "
            f"transformers doesn't begin its state anew; train a LoRA instead"
        )
    return said
