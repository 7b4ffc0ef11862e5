"""One of the engine's models in memory, and its forward pass with each row's own adapter or none."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from harness.engines.decode import rope_types
from harness.errors import ModelError

if TYPE_CHECKING:
    from harness.engines.stream import Stream

# PEFT's name for "no adapter" inside a mixed batch.
_NO_ADAPTER = "__base__"


# Arguments of a forward pass that some architectures don't accept and don't need.
_OPTIONAL = ("position_ids", "logits_to_keep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A model: the loaded weights, its adapter, tokenizer and settings.

    Attributes:
        adapter: The adapter's name inside ``model``; None for the base, and if ``prompt`` is given.
        tokenizer: The adapter's own, or the base's.
        model_settings: The base's generation config.
        prompt: PEFT's model around ``model`` with virtual tokens, if the adapter consists of them.
        decoder: ``batched`` by our loop, or ``library``: one prompt at a time by transformers' ``generate``,
            for models that can't be batched.
        refills: Whether our loop may put the next prompt in the place of an answer that has ended.
        group: Sides of one group may share batches.
        change: Largest change of the base's logits or embeddings by its adapter.
    """

    model: Any
    adapter: str | None
    tokenizer: Any
    model_settings: Any
    prompt: Any = None
    decoder: Literal["batched", "library"] = "batched"
    refills: bool = False
    group: str = ""
    change: float = math.inf

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer: the generation config and the tokenizer may name different ones."""
        named = self.model_settings.eos_token_id
        ids = set(named if isinstance(named, list) else [named]) | {self.tokenizer.eos_token_id}
        return frozenset(token for token in ids if token is not None)

    @property
    def pad_id(self) -> int:
        """The padding id. It is masked: any does that the model, not the tokenizer alone, has a row for."""
        named = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next((int(token) for token in named if token is not None and token < vocabulary(self)), 0)


@contextmanager
def adapted(
    model: Any, adapters: Sequence[str | None], *, by_peft: bool = False
) -> Iterator[Callable[..., Any]]:
    """The model's forward pass, with each row's own adapter or none.

    Used once around a batch: nothing is switched between its steps.

    Args:
        model: A base model, or PEFT's model around it.
        adapters: Each row's adapter; read at each call, because rows leave a batch. Rows with the same
            adapter are computed fastest where they are neighbours.
        by_peft: Whether a single adapter is computed by PEFT's own layers, which also take other numbers of
            rows than that of ``adapters``.
    """
    forward, names = _with_accepted(model), set(adapters)
    if not hasattr(model, "peft_config"):
        yield forward
        return
    layers = _layers_with_a_flag(model)
    if names == {None}:
        with _switched_off(layers) if layers else model.disable_adapter():
            yield forward
    elif len(names) == 1 and (by_peft or not _adds_in_place(layers)):
        if model.active_adapter != adapters[0]:
            model.set_adapter(adapters[0])
        yield forward
    elif layers and all(_is_plain(layer) for layer in layers):
        with _switched_off(layers), _added_by_row(layers, adapters):
            yield forward
    else:
        try:
            yield lambda **inputs: forward(**inputs, adapter_names=[name or _NO_ADAPTER for name in adapters])
        except BaseException:
            _remove_peft_hooks(model)
            raise


def _layers_with_a_flag(model: Any) -> list[Any]:
    """A LoRA's layers, if a flag on each switches the adapter off; empty for others.

    PEFT's own way visits every module and every parameter, which takes as long as a step of a small model.
    """
    from peft.tuners.lora import LoraModel
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    if type(model.base_model) is not LoraModel:
        return []
    layers = [each for each in model.modules() if isinstance(each, BaseTunerLayer | AuxiliaryTrainingWrapper)]
    flagged = all(type(each).enable_adapters is BaseTunerLayer.enable_adapters for each in layers)
    return layers if flagged else []


@contextmanager
def _switched_off(layers: Sequence[Any]) -> Iterator[None]:
    before = [layer._disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer._disable_adapters = was


def _is_plain(layer: Any) -> bool:
    """Whether a layer's adapters each add B(A(x)) to what the base computes, and nothing else."""
    from peft.tuners.lora import Linear

    return type(layer) is Linear and not layer.lora_variant and not layer.merged


def _adds_in_place(layers: Sequence[Any]) -> bool:
    """Whether all layers are plain ones in float32: for these we write less to memory than PEFT does."""
    import torch

    return bool(layers) and all(_is_plain(layer) and layer.weight.dtype == torch.float32 for layer in layers)


@contextmanager
def _added_by_row(layers: Sequence[Any], adapters: Sequence[str | None]) -> Iterator[None]:
    """The base computes all rows together; each adapter adds its part to its own rows.

    PEFT does the same with ``adapter_names``, but visits all modules and collects rows anew at each step.

    Args:
        layers: Plain LoRA layers whose adapters are switched off.
        adapters: Each row's adapter; read at each call.
    """
    rows = _RowsByAdapter(adapters)

    def add(layer: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        given = inputs[0]
        current = rows.current()
        if len(given) != len(adapters):
            # Some layers get all tokens as rows: where all are one adapter's, it does not matter whose.
            if len(set(adapters)) > 1:
                raise ValueError(f"a layer got {len(given)} rows of a batch of {len(adapters)}")
            current = [(name, slice(None)) for name, _ in current]
        for name, places in current:
            if name in layer.lora_A:
                _add_change(output, given, places, layer, name)
        return output

    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _add_change(output: Any, given: Any, places: slice | list[int], layer: Any, name: str) -> None:
    """Add scaling · B(A(x)) to what a layer's base has computed for some rows.

    In float32 the last product is added to where the base's is: the same additions, but what is as large as
    the layer's output is written once instead of three times.

    Args:
        output: What the base has computed, (rows, tokens, features); it is changed.
        given: The layer's input.
        places: The rows.
        layer: The LoRA layer.
        name: The adapter.
    """
    import torch

    down, up, scaling = layer.lora_A[name], layer.lora_B[name], layer.scaling[name]
    reduced = down(given[places].to(down.weight.dtype))
    in_one_step = output.dtype == up.weight.dtype == torch.float32 and up.bias is None
    if in_one_step and isinstance(places, slice) and output.is_contiguous():
        rows = output[places].view(-1, output.shape[-1])
        rows.addmm_(reduced.reshape(-1, reduced.shape[-1]), up.weight.t(), alpha=scaling)
    else:
        output[places] += (up(reduced) * scaling).to(output.dtype)


class _RowsByAdapter:
    """The places of each adapter's rows: a slice where they are neighbours, which is not copied."""

    def __init__(self, adapters: Sequence[str | None]) -> None:
        self._adapters, self._seen = adapters, list[str | None]()
        self._places: list[tuple[str, slice | list[int]]] = []

    def current(self) -> list[tuple[str, slice | list[int]]]:
        if self._seen != self._adapters:
            self._seen, found = list(self._adapters), dict[str, list[int]]()
            for place, name in enumerate(self._adapters):
                if name is not None:
                    found.setdefault(name, []).append(place)
            self._places = [(name, _as_slice(places)) for name, places in found.items()]
        return self._places


def _as_slice(places: list[int]) -> slice | list[int]:
    neighbours = places[-1] - places[0] + 1 == len(places)
    return slice(places[0], places[-1] + 1) if neighbours else places


@contextmanager
def whole_model(side: Side) -> Iterator[Any]:
    """The object with the ``generate`` and forward pass of a bare script."""
    if side.prompt is not None:
        _forget_length(side.model)
        yield side.prompt
        return
    with adapted(side.model, [side.adapter], by_peft=True):
        _forget_length(side.model)
        yield side.model


def _forget_length(model: Any) -> None:
    """Let dynamic angles begin anew: a model keeps those of the longest text until it reads a short one."""
    import torch

    if any("dynamic" in kind for kind in rope_types(model.config)):
        with torch.inference_mode():
            model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device))


def refuse_unknown_tokens(side: Side, ids: Sequence[int], key: str) -> None:
    """Check that the model has an embedding for each token of a prompt.

    Args:
        side: The side.
        ids: The prompt's tokens.
        key: The prompt's name in messages.

    Raises:
        ModelError: The tokenizer has more tokens than the model.
    """
    rows = vocabulary(side)
    if max(ids, default=0) < rows:
        return
    token = side.tokenizer.convert_ids_to_tokens(max(ids))
    raise ModelError(
        f"{key}: the prompt contains {token}, and the model has embeddings for {rows} of the tokenizer's "
        f"{len(side.tokenizer)} tokens; save the adapter with its embeddings (save_embedding_layers=True)"
    )


def vocabulary(side: Side) -> int:
    """Number of tokens that a side's model has embeddings for."""
    return int(side.model.config.get_text_config(decoder=True).vocab_size)


def accepts(model: Any, argument: str) -> bool:
    """Whether a model's forward pass accepts an argument.

    Args:
        model: The model, or PEFT's around it.
        argument: The argument's name.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    return argument in inspect.signature(base.forward).parameters


def _remove_peft_hooks(model: Any) -> None:
    """Remove the hooks that give each row its adapter: PEFT leaves them when a forward pass fails."""
    for module in model.modules():
        for number, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, partial) and hook.func.__module__.startswith("peft."):
                del module._forward_pre_hooks[number]
                module._forward_pre_hooks_with_kwargs.pop(number, None)


def _with_accepted(model: Any) -> Callable[..., Any]:
    left_out = [argument for argument in _OPTIONAL if not accepts(model, argument)]
    if not left_out:
        return model  # type: ignore[no-any-return] # transformers' modules are untyped here

    def forward(**inputs: Any) -> Any:
        return model(**{name: value for name, value in inputs.items() if name not in left_out})

    return forward


def empty_cache(side: Side, rows: int) -> tuple[Any, int]:
    """A key/value cache with the side's virtual tokens, if it has any, and their number.

    Args:
        side: The side.
        rows: Rows of the batch.

    Returns:
        The cache, and its number of tokens.
    """
    from transformers import DynamicCache

    if side.prompt is not None:
        return virtual_tokens(side.prompt, rows)
    return DynamicCache(config=side.model.config.get_text_config(decoder=True)), 0


def can_lose_rows(cache: Any) -> bool:
    """Whether every layer can remove rows, from all that its function to reorder them is about.

    Args:
        cache: A key/value cache. A layer that attends and remembers may remove rows of keys and values alone.
    """

    def owner(layer: Any, name: str) -> type:
        return next((kind for kind in type(layer).__mro__ if name in vars(kind)), object)

    return all(
        hasattr(layer, "batch_select_indices")
        and issubclass(owner(layer, "batch_select_indices"), owner(layer, "reorder_cache"))
        for layer in getattr(cache, "layers", [None])
    )


@contextmanager
def open_stream(
    side: Side, adapters: list[str | None], *, budget: float, kept: dict[Any, Any]
) -> Iterator[Stream]:
    """The loop that refills its batches, for rows of sides that share them.

    Args:
        side: One of the sides.
        adapters: Each row's adapter.
        budget: Most rows times tokens of the longest one.
        kept: Keys and values of first tokens that were read before; those that are read here are added.
    """
    from harness.engines.stream import Stream

    alone = replace(side, prompt=None)
    with adapted(side.model, adapters) as forward:
        yield Stream(
            forward,
            adapters,
            lambda: empty_cache(alone, 1)[0],
            None if side.prompt is None else lambda: empty_cache(side, 1)[0],
            device=side.model.device,
            budget=budget,
            kept=kept,
        )


def virtual_tokens(wrapped: Any, rows: int) -> tuple[Any, int]:
    """The key/value cache of an adapter's virtual tokens, as if the model had read them first.

    PEFT adds them before the input at every call and therefore can't continue from a cache; the model itself
    can.

    Args:
        wrapped: PEFT's model around the base, with a prefix- or prompt-tuning adapter.
        rows: Rows of the batch.

    Returns:
        A cache with the virtual tokens in each row, and their number.
    """
    from transformers import DynamicCache

    base = wrapped.get_base_model()
    count = int(wrapped.active_peft_config.num_virtual_tokens)
    prompt = wrapped.get_prompt(batch_size=rows)
    cache = DynamicCache(config=base.config.get_text_config(decoder=True))
    if wrapped.active_peft_config.peft_type == "PREFIX_TUNING":
        for layer, (keys, values) in enumerate(_keys_and_values(prompt)):
            cache.update(keys, values, layer)
    else:
        base(inputs_embeds=prompt.to(base.dtype), past_key_values=cache, use_cache=True, logits_to_keep=1)
    return cache, count


def _keys_and_values(cache: Any) -> list[tuple[Any, Any]]:
    """Keys and values of each layer, (rows, heads, tokens, head size)."""
    if hasattr(cache, "self_attention_cache"):
        cache = cache.self_attention_cache
    return [(layer.keys, layer.values) for layer in cache.layers]
