"""Several texts after one prompt: the prompt is read once, and each text continues from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harness.engines.decode import behind_cached

if TYPE_CHECKING:
    import torch


def logits_behind(
    read_prompts: Callable[..., Any],
    read_texts: Callable[..., Any],
    cache: Any,
    prompts: tuple[torch.Tensor, torch.Tensor],
    texts: tuple[torch.Tensor, torch.Tensor],
    owners: Sequence[int],
    *,
    cached: int = 0,
) -> torch.Tensor:
    """Logits that predict each token of each text, given its prompt.

    Args:
        read_prompts: The model's forward for the rows of ``prompts``.
        read_texts: The same for the rows of ``texts``.
        cache: Key/value cache, empty but for ``cached`` tokens.
        prompts: Token ids and attention mask, (prompts, tokens), padded on the left.
        texts: Token ids and attention mask, (texts, tokens), padded on the right.
        owners: The index of each text's prompt.
        cached: Number of tokens that are already in the cache, the same for each row.

    Returns:
        (texts, tokens, vocabulary); after a text's end they have no meaning.
    """
    import torch

    (prompt_ids, prompt_mask), (text_ids, text_mask) = prompts, texts
    mask, positions = behind_cached(prompt_mask, cached)
    last = read_prompts(
        input_ids=prompt_ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1:]  # (prompts, 1, vocabulary)
    rows = torch.tensor(owners, device=text_ids.device)
    cache.batch_select_indices(rows)
    # The prediction after the last token of a text is not needed.
    behind = read_texts(
        input_ids=text_ids[:, :-1],
        attention_mask=torch.cat([mask[rows], text_mask[:, :-1]], dim=-1),
        position_ids=positions[rows, -1:] + text_mask[:, :-1].cumsum(-1),
        past_key_values=cache,
        use_cache=True,
    ).logits  # (texts, tokens - 1, vocabulary)
    return torch.cat([last[rows], behind], dim=1)
