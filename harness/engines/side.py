"""One of the engine's models in memory, ways to run it, and how it chooses tokens.

Prefix and prompt tuning are tokens before every conversation. Tokens other than those of the largest logit
are chosen by a model's own settings, or at random.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from harness.engines.decode import rope_types, sampler
from harness.errors import ModelError, first_line

if TYPE_CHECKING:
    import torch

    from harness.engines.base import GenerationRequest

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
        group: Sides of one group may share batches.
        change: Largest change of the base's logits or embeddings by its adapter.
    """

    model: Any
    adapter: str | None
    tokenizer: Any
    model_settings: Any
    prompt: Any = None
    decoder: Literal["batched", "library"] = "batched"
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
        """The padding id. It is masked, so any valid id works for a tokenizer without one."""
        named = self.tokenizer.pad_token_id
        return int(named if named is not None else self.tokenizer.eos_token_id or 0)


@contextmanager
def adapted(model: Any, adapters: Sequence[str | None]) -> Iterator[Callable[..., Any]]:
    """The model's forward pass, with each row's own adapter or none.

    Used once around a batch, because switching adapters visits all layers.

    Args:
        model: A base model, or PEFT's model around it.
        adapters: Each row's adapter; read at each call, because rows leave a batch.
    """
    forward = _with_accepted(model)
    names = set(adapters)
    if not hasattr(model, "peft_config"):
        yield forward
    elif names == {None}:
        with model.disable_adapter():
            yield forward
    elif len(names) == 1:
        if model.active_adapter != adapters[0]:
            model.set_adapter(adapters[0])
        yield forward
    else:
        try:
            yield lambda **inputs: forward(**inputs, adapter_names=[name or _NO_ADAPTER for name in adapters])
        except BaseException:
            _remove_peft_hooks(model)
            raise


@contextmanager
def whole_model(side: Side) -> Iterator[Any]:
    """The object with the ``generate`` and forward pass of a bare script."""
    if side.prompt is not None:
        _forget_length(side.model)
        yield side.prompt
        return
    with adapted(side.model, [side.adapter]):
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
    rows = _vocabulary(side)
    if max(ids, default=0) < rows:
        return
    token = side.tokenizer.convert_ids_to_tokens(max(ids))
    raise ModelError(
        f"{key}: the prompt contains {token}, and the model has embeddings for {rows} of the tokenizer's "
        f"{len(side.tokenizer)} tokens; save the adapter with its embeddings (save_embedding_layers=True)"
    )


def _vocabulary(side: Side) -> int:
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


# The keys of a generation config that act on a greedy answer through transformers' logits processors, or name
# its end.
_FOLLOWED = frozenset(
    [
        *("repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size"),
        *("encoder_no_repeat_ngram_size", "bad_words_ids", "min_length", "min_new_tokens"),
        *("forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values", "renormalize_logits"),
        *("exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "sequence_bias"),
        *("watermarking_config", "eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id"),
    ]
)


# Those in whose place the golden set's own settings stand.
_SET_BY_CASES = frozenset(
    [
        *("do_sample", "temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff"),
        *("eta_cutoff", "max_length", "max_new_tokens"),
    ]
)


# Those that change no token of a single greedy answer: how fast it is computed, what is returned beside it,
# and what only beams read.
_WITHOUT_EFFECT = frozenset(
    [
        *("use_cache", "max_cache_len", "early_stopping", "length_penalty", "low_memory", "use_mtp"),
        *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
        *("return_dict_in_generate", "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule"),
        *("assistant_confidence_threshold", "prompt_lookup_num_tokens", "max_matching_ngram_size"),
        *("assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight"),
        *("speculation_type", "compile_config", "disable_compile", "continuous_batching_config"),
        *("prefill_chunk_size", "transformers_version", "cache_config"),
    ]
)


# Values that mean: off.
_OFF: dict[str, tuple[object, ...]] = {
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "num_return_sequences": (1,),
    "diversity_penalty": (0,),
    "guidance_scale": (1,),
    "penalty_alpha": (0,),
    "cache_implementation": ("dynamic", "dynamic_full", "static", "offloaded", "offloaded_static", "hybrid"),
}


# The next token, given its logits, (vocabulary,), and the answer's tokens so far.
Choose: TypeAlias = "Callable[[torch.Tensor, list[int]], int]"


def chooser(request: GenerationRequest, side: Side, prompt: Sequence[int]) -> Choose | None:
    """The function that chooses a request's tokens.

    Args:
        request: The request.
        side: The side that answers.
        prompt: The prompt's tokens, which count for penalties too.

    Returns:
        The function; None for the most probable token.
    """
    settings, draw = request.settings, sampler(request, side.model.device)
    if not settings.use_model_settings:
        return None if draw is None else lambda logits, _tokens: draw(logits)
    process = _model_settings(side, prompt, settings.token_limit)

    def choose(logits: torch.Tensor, tokens: list[int]) -> int:
        logits = process(logits, [*prompt, *tokens])
        return int(logits.argmax()) if draw is None else draw(logits)

    return choose


def refuse_unfollowed(side: Side, key: str) -> None:
    """Check that answers by the model's own settings can follow all of them.

    Args:
        side: The side that answers.
        key: The request's name in messages.

    Raises:
        ModelError: Its generation config sets a key that ``generate`` would follow and our loop doesn't, or
            one to a value that can't be followed.
    """
    import torch

    found = {
        name: value
        for name, value in vars(side.model_settings).items()
        if name in _known_keys() - _FOLLOWED - _SET_BY_CASES - _WITHOUT_EFFECT
        and value is not None
        and value is not False
        and value not in _OFF.get(name, ())
    }
    if found:
        shown = ", ".join(f"{name}: {value!r}" for name, value in sorted(found.items()))
        raise ModelError(
            f"{key}: use_model_settings: the generation config of {side.model.config._name_or_path} sets "
            f"{shown}, which the gate doesn't follow; remove it from generation_config.json, or leave "
            f"use_model_settings out"
        )
    try:
        _model_settings(side, [0], 1)(torch.zeros(_vocabulary(side), device=side.model.device), [0])
    except Exception as error:  # transformers checks some values here, and others with the first token
        raise ModelError(
            f"{key}: use_model_settings: the generation config of {side.model.config._name_or_path} can't be "
            f"followed: {first_line(error)}; correct it, or leave use_model_settings out"
        ) from error


def _known_keys() -> set[str]:
    """The keys that transformers' generate knows; models' files hold others too, which nothing reads."""
    from transformers import GenerationConfig

    known: set[str] = set(vars(GenerationConfig()))  # type: ignore[no-untyped-call] # transformers leaves it so
    return {name for name in known if not name.startswith("_")}


def _model_settings(
    side: Side, prompt: Sequence[int], limit: int
) -> Callable[[torch.Tensor, list[int]], torch.Tensor]:
    """The effects of the model's generation config on logits: penalties, suppressed and forced tokens.

    Its settings for sampling and its largest length are ignored: those of the golden set apply, also for the
    place of a forced end token.
    """
    import torch

    settings = copy.deepcopy(side.model_settings)
    settings.do_sample, settings.num_beams, settings.guidance_scale = False, 1, None
    settings.update(**settings._get_default_generation_params(), defaults_only=True)
    settings.max_length = len(prompt) + limit
    device = side.model.device
    eos = sorted(side.stop_ids)
    settings._eos_token_tensor = torch.tensor(eos, device=device) if eos else None
    base: Any = side.model.get_base_model() if hasattr(side.model, "peft_config") else side.model
    processors = base._get_logits_processor(
        generation_config=settings,
        input_ids_seq_length=len(prompt),
        encoder_input_ids=torch.tensor([list(prompt)], device=device),
        device=device,
        model_kwargs={},
    )

    def process(logits: torch.Tensor, tokens: list[int]) -> torch.Tensor:
        ids = torch.tensor([tokens], device=logits.device)
        return processors(ids, logits[None].float())[0]  # type: ignore[no-any-return] # untyped

    return process
