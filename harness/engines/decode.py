"""The decoding loop: greedy or sampled, batched, with finished rows leaving the batch.

Prompts of similar length are packed into batches within a token budget. ``generate`` of transformers keeps a
finished row in the batch until the longest row ends, and draws all rows' samples from one random stream, so
that a row's text depends on its neighbours. Here a finished row is removed from the cache, each row has its
own limit, stops, tokenizer and random stream, and greedy text is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import torch

    from harness.engines.base import GenerationRequest
    from harness.types import GenerationSettings


def pack_batches(prompt_tokens: Sequence[int], answer_tokens: Sequence[int], budget: int) -> list[list[int]]:
    """Group rows so that a padded batch holds at most ``budget`` tokens.

    Rows are sorted by the length of their answer's limit and then of their prompt, longest first: padding
    is small, a batch that doesn't fit into memory fails at the start, and progress quickens towards the end.

    Args:
        prompt_tokens: Prompt length of each row.
        answer_tokens: Most tokens that each row may generate.
        budget: Most tokens in a batch, counted as rows x (longest prompt + longest answer). A row that is
            longer on its own gets a batch of its own.

    Returns:
        Batches of row indices; every row is in exactly one.
    """
    order = sorted(
        range(len(prompt_tokens)), key=lambda row: (answer_tokens[row], prompt_tokens[row], row), reverse=True
    )
    batches: list[list[int]] = []
    longest_prompt = longest_answer = 0
    for row in order:
        prompt = max(longest_prompt, prompt_tokens[row])
        answer = max(longest_answer, answer_tokens[row])
        if batches and batches[-1] and (len(batches[-1]) + 1) * (prompt + answer) <= budget:
            batches[-1].append(row)
        else:
            batches.append([row])
            prompt, answer = prompt_tokens[row], answer_tokens[row]
        longest_prompt, longest_answer = prompt, answer
    return batches


def pad_rows(
    rows: Sequence[Sequence[int]], pad: int, device: Any, *, left: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both (rows, longest).

    Args:
        rows: Tokens of each row.
        pad: The id that fills shorter rows.
        device: The tensors' device.
        left: Whether rows are padded before their first token, or after their last.

    Returns:
        The token ids, then the mask: 1 for a row's own tokens.
    """
    import torch

    longest = max(len(row) for row in rows)
    ids, mask = [], []
    for row in rows:
        fill, zeros, ones = [pad] * (longest - len(row)), [0] * (longest - len(row)), [1] * len(row)
        ids.append([*fill, *row] if left else [*row, *fill])
        mask.append([*zeros, *ones] if left else [*ones, *zeros])
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


# Their angles change once a text is longer than those of the training, for all rows of its batch; generate
# then also reads a text again from its start. Test prompts are too short to show it.
_BY_LENGTH = ("longrope", "dynamic")


# Attention that reads only the most fitting tokens of a long text: padding takes places among them.
_INDEXED = ("index_topk", "index_topk_blocks", "indexer_compress_ratio")


def varies_with_length(config: Any) -> bool:
    """Whether long texts are read differently in a batch, so that the library must answer each alone.

    Args:
        config: The model's configuration.
    """
    text = config.get_text_config(decoder=True)
    indexed = any(getattr(text, name, None) for name in _INDEXED)
    return indexed or any(kind in name for name in rope_types(config) for kind in _BY_LENGTH)


def rope_types(config: Any) -> list[str]:
    """The kinds of a model's rotary angles, of all layers or of each kind of layer.

    Args:
        config: The model's configuration.
    """
    text = config.get_text_config(decoder=True)
    given = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None)
    return [str(name) for name in _rope_types(given)]


def _rope_types(given: Any) -> Iterator[Any]:
    if isinstance(given, Mapping):
        yield given.get("rope_type", given.get("type"))
        for value in given.values():
            yield from _rope_types(value)


# Removing rows from the cache copies it: done when this fraction of the batch has ended.
_COMPACT_AT = 0.25


# Its end token or a stop text, its number of tokens, its time.
Ending: TypeAlias = Literal["stop", "length", "late"]


# The next token, given its logits, (vocabulary,), and the answer's tokens so far.
Choose: TypeAlias = "Callable[[torch.Tensor, list[int]], int]"


class Watch(Protocol):
    """Follows one answer during generation."""

    tokens: list[int]
    end: int | None

    def take(self, token: int) -> Ending | Literal[""]:
        """Add the next token; returns why the answer ended with it, or nothing while it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The token choice and the end of one row. Rows of one batch may differ in both.

    Attributes:
        watch: Stores the tokens so far (without an end token) and decides when the answer ends.
        choose: The next token, given its logits, (vocabulary,), and the tokens so far; None for the most
            probable one.
    """

    watch: Watch
    choose: Choose | None = None


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
        chosen = _choose(logits, [rows[index] for index in here], [reasons[index] for index in here])
        for index, token in zip(here, chosen.tolist(), strict=True):
            if not reasons[index]:
                reasons[index] = rows[index].watch.take(token)
                on_tokens(index, rows[index].watch.tokens)
        alive = [place for place, index in enumerate(here) if not reasons[index]]
        if not alive:
            return [reason for reason in reasons if reason]
        if len(here) - len(alive) >= max(1, _COMPACT_AT * len(here)) and _can_lose_rows(cache):
            keep = torch.tensor(alive, device=input_ids.device)
            cache.batch_select_indices(keep)
            select_rows(alive)
            here = [here[place] for place in alive]
            attention_mask, chosen, positions = attention_mask[keep], chosen[keep], positions[keep]
        attention_mask = torch.cat([attention_mask, attention_mask.new_ones(len(here), 1)], dim=-1)
        positions = positions[:, -1:] + 1
        step_ids = chosen[:, None]


def _can_lose_rows(cache: Any) -> bool:
    """Whether every layer can remove rows; those of linear attention have no function for it."""
    return all(hasattr(layer, "batch_select_indices") for layer in getattr(cache, "layers", [None]))


def _choose(logits: torch.Tensor, rows: Sequence[Row], reasons: Sequence[str]) -> torch.Tensor:
    """Next token of each row, (rows,)."""
    chosen = logits.argmax(dim=-1)
    # NaN counts as the largest, so that only the chosen ones have to be seen.
    refuse_no_number(logits.gather(-1, chosen[:, None]))
    for place, (row, reason) in enumerate(zip(rows, reasons, strict=True)):
        if row.choose is not None and not reason:
            chosen[place] = row.choose(logits[place], row.watch.tokens)
    return chosen


def refuse_no_number(logits: torch.Tensor) -> None:
    """Refuse logits that are no numbers: any token would be as good as the one chosen from them.

    Args:
        logits: Of any shape.

    Raises:
        ArithmeticError: One of them is NaN.
    """
    if bool(logits.isnan().any()):
        raise ArithmeticError(
            "its logits are NaN, so that no token can be chosen; in float16 numbers may leave the range: "
            "--gate-dtype float32 has room"
        )


def behind_cached(attention_mask: torch.Tensor, cached: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The mask and positions of left-padded rows after the tokens of a cache.

    Args:
        attention_mask: Of the rows' own tokens, (rows, tokens).
        cached: How many tokens the cache holds.

    Returns:
        The attention mask, (rows, cached + tokens), and each token's position, (rows, tokens).
    """
    import torch

    positions = (attention_mask.cumsum(-1) - 1).clamp(min=0) + cached
    before = attention_mask.new_ones(len(attention_mask), cached)
    return torch.cat([before, attention_mask], dim=-1), positions


def sampler(request: GenerationRequest, device: Any) -> Callable[[torch.Tensor], int] | None:
    """Samples a request's tokens; None for greedy answers.

    The seed is the request's own, so a sample doesn't depend on its batch.

    Args:
        request: The request.
        device: Where the logits are.
    """
    import torch

    settings = request.settings
    if settings.temperature <= 0:
        return None
    digest = hashlib.sha256(f"{settings.seed}:{request.key}".encode()).digest()
    stream = torch.Generator(device=device).manual_seed(int.from_bytes(digest[:6]))
    return lambda logits: _sample(logits, settings, stream)


def _sample(logits: torch.Tensor, settings: GenerationSettings, stream: torch.Generator) -> int:
    """Sample one token by nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751)."""
    import torch

    probabilities = torch.softmax(logits.float() / settings.temperature, dim=-1)  # (vocabulary,)
    ordered, tokens = probabilities.sort(descending=True)
    # The smallest set whose mass reaches top-p: a token stays while the mass before it is still below.
    ordered[(ordered.cumsum(-1) - ordered) >= settings.top_p] = 0
    return int(tokens[torch.multinomial(ordered, 1, generator=stream)[0]])
