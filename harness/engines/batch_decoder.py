"""The decoding loop over a batch that becomes smaller: for models that can't refill, and in low precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from harness.engines.decode import Ending, Row, behind_cached, choose_tokens
from harness.engines.side import can_lose_rows

if TYPE_CHECKING:
    import torch

# Removing rows from the cache copies it: done when this fraction of the batch has ended.
_COMPACT_AT = 0.25


def decode_batch(  # one call per batch; a type for its arguments would only be unpacked again
    forward: Callable[..., Any],
    cache: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    rows: Sequence[Row],
    *,
    select_rows: Callable[[list[int]], None] = lambda _: None,
    cached: int = 0,
    on_tokens: Callable[[int, list[int]], None] = lambda _index, _tokens: None,
) -> list[Ending]:
    """Continue each row of a left-padded batch.

    Args:
        forward: The model's forward; called with input_ids, attention_mask, position_ids, past_key_values,
            use_cache and logits_to_keep.
        cache: Key/value cache, empty but for ``cached`` tokens.
        input_ids: Prompts, (rows, tokens), padded on the left.
        attention_mask: 1 where ``input_ids`` is not padding, (rows, tokens).
        rows: The rows; each one's watch gets its tokens.
        select_rows: Called with the rows of the current batch that stay when others leave.
        cached: Number of tokens that are already in the cache, the same for each row.
        on_tokens: Called with each row's index in ``input_ids`` and its tokens so far, after each token.

    Returns:
        Why each row ended, in the order of ``input_ids``.
    """
    import torch

    reasons: list[Ending | Literal[""]] = [""] * len(rows)
    here = list(range(len(rows)))  # the rows that are still in the batch
    attention_mask, positions = behind_cached(attention_mask, cached)
    step_ids = input_ids
    while True:
        logits = forward(
            input_ids=step_ids,
            attention_mask=attention_mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1, :]  # (rows, vocabulary)
        chosen = choose_tokens(logits, [None if reasons[index] else rows[index] for index in here])
        for index, token in zip(here, chosen.tolist(), strict=True):
            if not reasons[index]:
                reasons[index] = rows[index].watch.take(token)
                on_tokens(index, rows[index].watch.tokens)
        alive = [place for place, index in enumerate(here) if not reasons[index]]
        if not alive:
            return [reason for reason in reasons if reason]
        if len(here) - len(alive) >= max(1, _COMPACT_AT * len(here)) and can_lose_rows(cache):
            # On the processor, where the layers of a split model find it, whatever device they are on.
            keep = torch.tensor(alive)
            cache.batch_select_indices(keep)
            select_rows(alive)
            here = [here[place] for place in alive]
            attention_mask, chosen, positions = attention_mask[keep], chosen[keep], positions[keep]
        attention_mask = torch.cat([attention_mask, attention_mask.new_ones(len(here), 1)], dim=-1)
        positions = positions[:, -1:] + 1
        step_ids = chosen[:, None]
