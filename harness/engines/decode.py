"""The decoding loop: greedy or sampled, batched, with finished rows leaving the batch.

``generate`` of transformers keeps a finished row in the batch until the longest row ends, and draws all
rows' samples from one random stream, so that a row's text depends on its neighbours. Here a row that is done
is taken out of the cache, each row has its own limit, stop strings and random stream, and greedy text is the
same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from harness.engines.base import GenerationRequest
    from harness.types import GenerationSettings

# Taking rows out of the cache copies it: worth it once this fraction of the batch has ended.
_COMPACT_AT = 0.25


@dataclass(slots=True)
class _Row:
    index: int
    settings: GenerationSettings
    generator: torch.Generator | None
    tokens: list[int]
    stop_reason: str = ""


@dataclass(frozen=True, slots=True)
class DecodedRow:
    """One row's new tokens (end token left out) and why it ended: ``stop`` or ``length``."""

    tokens: list[int]
    stop_reason: str


def decode_batch(  # noqa: PLR0913 # one call a batch; a type for its arguments would only be unpacked again
    forward: Callable[..., Any],
    cache: Any,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    settings: Sequence[GenerationSettings],
    *,
    stop_ids: frozenset[int],
    to_text: Callable[[list[int]], str],
    select_rows: Callable[[list[int]], None] = lambda _: None,
    cached: int = 0,
    on_tokens: Callable[[int, list[int]], None] | None = None,
) -> list[DecodedRow]:
    """Continue each row of a left-padded batch.

    Args:
        forward: The model's forward; called with input_ids, attention_mask, position_ids, past_key_values,
            use_cache and logits_to_keep.
        cache: Key/value cache, empty but for ``cached`` tokens.
        input_ids: Prompts, (rows, tokens), padded on the left.
        attention_mask: 1 where ``input_ids`` is not padding, (rows, tokens).
        settings: Each row's limit, temperature, top-p, seed and stop strings.
        stop_ids: Tokens that end an answer.
        to_text: Decodes tokens; used to look for stop strings.
        select_rows: Told which rows of the current batch stay when rows leave it.
        cached: Tokens that the cache holds already, the same number in each row.
        on_tokens: Told each row's place in ``input_ids`` and its tokens so far, after each token.

    Returns:
        Each row's tokens, in the order of ``input_ids``.
    """
    import torch

    device = input_ids.device
    rows = [_Row(index, row, _generator(row, device), []) for index, row in enumerate(settings)]
    decoded: list[DecodedRow | None] = [None] * len(rows)
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
        chosen = _choose(logits, rows)
        for row, token in zip(rows, chosen.tolist(), strict=True):
            if row.stop_reason:
                continue
            if _advance(row, token, stop_ids, to_text):
                decoded[row.index] = DecodedRow(row.tokens, row.stop_reason)
            if on_tokens is not None:
                on_tokens(row.index, row.tokens)
        alive = [place for place, row in enumerate(rows) if not row.stop_reason]
        if not alive:
            return [row for row in decoded if row is not None]
        if len(rows) - len(alive) >= max(1, _COMPACT_AT * len(rows)) and hasattr(
            cache, "batch_select_indices"
        ):
            keep = torch.tensor(alive, device=device)
            cache.batch_select_indices(keep)
            select_rows(alive)
            rows = [rows[place] for place in alive]
            attention_mask, chosen, positions = attention_mask[keep], chosen[keep], positions[keep]
        attention_mask = torch.cat([attention_mask, attention_mask.new_ones(len(rows), 1)], dim=-1)
        positions = positions[:, -1:] + 1
        step_ids = chosen[:, None]


def _generator(settings: GenerationSettings, device: torch.device) -> torch.Generator | None:
    import torch

    return torch.Generator(device=device).manual_seed(settings.seed) if settings.temperature > 0 else None


def _choose(logits: torch.Tensor, rows: Sequence[_Row]) -> torch.Tensor:
    """Next token of each row, (rows,)."""
    chosen = logits.argmax(dim=-1)
    for place, row in enumerate(rows):
        if row.generator is not None and not row.stop_reason:
            chosen[place] = _sample(logits[place], row.settings, row.generator)
    return chosen


def _sample(logits: torch.Tensor, settings: GenerationSettings, generator: torch.Generator) -> torch.Tensor:
    """Draw one token by nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751)."""
    import torch

    probabilities = torch.softmax(logits.float() / settings.temperature, dim=-1)  # (vocabulary,)
    ordered, tokens = probabilities.sort(descending=True)
    # The smallest set whose mass reaches top-p: a token stays while the mass before it is still below.
    ordered[(ordered.cumsum(-1) - ordered) >= settings.top_p] = 0
    return tokens[torch.multinomial(ordered, 1, generator=generator)[0]]


def _advance(row: _Row, token: int, stop_ids: frozenset[int], to_text: Callable[[list[int]], str]) -> bool:
    """Take a token in; True when the row has ended with it."""
    if token in stop_ids:
        row.stop_reason = "stop"
        return True
    row.tokens.append(token)
    if row.settings.stop and any(stop in to_text(row.tokens) for stop in row.settings.stop):
        row.stop_reason = "stop"
    elif len(row.tokens) >= row.settings.max_new_tokens:
        row.stop_reason = "length"
    return bool(row.stop_reason)


def behind_cached(attention_mask: torch.Tensor, cached: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a forward is told of left-padded rows that stand behind tokens of a cache.

    Returns:
        The attention mask, (rows, cached + tokens), and each token's position, (rows, tokens).
    """
    import torch

    positions = (attention_mask.cumsum(-1) - 1).clamp(min=0) + cached
    before = attention_mask.new_ones(len(attention_mask), cached)
    return torch.cat([before, attention_mask], dim=-1), positions


def own_stream(request: GenerationRequest) -> GenerationSettings:
    """The settings with a seed of the request's own, so that its sample doesn't depend on its batch."""
    digest = hashlib.sha256(f"{request.settings.seed}:{request.key}".encode()).digest()
    return replace(request.settings, seed=int.from_bytes(digest[:6]))


def pad_id(tokenizer: Any) -> int:
    """What fills a row up. It is masked out, so any valid id serves a tokenizer that names none."""
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0)


def stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer: the model's generation config and the tokenizer may name different ones."""
    named = model.generation_config.eos_token_id
    ids = set(named if isinstance(named, list) else [named]) | {tokenizer.eos_token_id}
    return frozenset(token for token in ids if token is not None)


def before_stop(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of its stop strings."""
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text
