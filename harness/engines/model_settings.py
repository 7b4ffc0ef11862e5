"""Answers by a model's own generation config: penalties, suppressed and forced tokens."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.engines.base import GenerationRequest
from harness.engines.decode import Choose, sampler
from harness.engines.side import Side, vocabulary
from harness.errors import ModelError, first_line

if TYPE_CHECKING:
    import torch

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
        *("use_cache", "max_cache_len", "early_stopping", "length_penalty", "low_memory"),
        *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
        *("return_dict_in_generate", "num_assistant_tokens", "num_assistant_tokens_schedule"),
        *("assistant_confidence_threshold", "prompt_lookup_num_tokens", "max_matching_ngram_size"),
        *("assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight"),
        *("speculation_type", "compile_config", "disable_compile", "continuous_batching_config"),
        *("prefill_chunk_size", "transformers_version", "cache_config"),
    ]
)


# What transformers takes for some of these. An end, a penalty or a token that is wrong fails by itself.
_SWITCHES = {"do_sample", "output_attentions", "output_hidden_states", "output_logits", "output_scores"}
_SWITCHES |= {"return_dict_in_generate", "use_cache"}
_NUMBERS = {"temperature", "top_k", "top_p", "typical_p", "epsilon_cutoff", "eta_cutoff"}
_IDS = {"bos_token_id", "pad_token_id", "decoder_start_token_id"}
_COUNTS = {"prompt_lookup_num_tokens", "assistant_early_exit", "prefill_chunk_size"}


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


def chooser(request: GenerationRequest, side: Side, prompt: Sequence[int]) -> Choose:
    """The function that chooses a request's tokens by the model's own settings.

    Args:
        request: The request.
        side: The side that answers.
        prompt: The prompt's tokens, which count for penalties too.
    """
    draw = sampler(request, side.model.device)
    process = _model_settings(side, prompt, request.settings.token_limit)

    def choose(logits: torch.Tensor, tokens: list[int]) -> int:
        logits = process(logits, [*prompt, *tokens])
        return int(logits.argmax()) if draw is None else draw(logits, tokens)

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
    where = f"{key}: use_model_settings: the generation config of {side.model.config._name_or_path}"
    if found:
        raise ModelError(
            f"{where} sets {_shown(found)}, which the gate doesn't follow; remove it from "
            f"generation_config.json, or leave use_model_settings out"
        )
    if wrong := {name: value for name, value in vars(side.model_settings).items() if _is_wrong(name, value)}:
        raise ModelError(
            f"{where} sets {_shown(wrong)}, with which transformers fails; correct it, or leave "
            f"use_model_settings out"
        )
    try:
        _model_settings(side, [0], 1)(torch.zeros(vocabulary(side), device=side.model.device), [0])
    except Exception as error:  # transformers checks some values here, and others with the first token
        raise ModelError(
            f"{where} can't be followed: {first_line(error)}; correct it, or leave use_model_settings out"
        ) from error


def _shown(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name}: {value!r}" for name, value in sorted(settings.items()))


def _is_wrong(name: str, value: object) -> bool:
    """Whether a setting is of a kind that transformers doesn't take, though our loop doesn't read it."""
    if value is None:
        return False
    if name in _COUNTS:
        return type(value) is not int or value < 1
    if name in _SWITCHES:
        return not isinstance(value, bool)
    if name in _IDS and isinstance(value, list):
        return not all(type(each) is int for each in value)
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return name in _NUMBERS | _IDS and not number


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
