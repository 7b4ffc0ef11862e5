"""Prefix and prompt tuning as a decoder sees them: tokens before every conversation."""

from __future__ import annotations

from typing import Any

from harness.engines.side import Side


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
