"""Cross-entropy of texts after their prompts, and the divergence of one side from another on them.

Several texts after one prompt read the prompt once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.engines.base import LossRequest
from harness.engines.decode import NOT_A_NUMBER, OUT_OF_RANGE, behind_cached, pad_rows
from harness.engines.option_tokens import shared_tokens
from harness.engines.side import Side, accepts, adapted, can_lose_rows, empty_cache, whole_model
from harness.errors import EngineError
from harness.prompts.rendering import RenderedPrompt, text_ids

if TYPE_CHECKING:
    import torch


def option_ids(
    tokenizer: Any, rendered: RenderedPrompt, prompt: Sequence[int], request: LossRequest
) -> tuple[list[int], list[int]]:
    """The tokens of an option and those before it, split together.

    Args:
        tokenizer: The model's.
        rendered: The prompt.
        prompt: Its tokens.
        request: The option, and all with which it is compared.

    Returns:
        The tokens before the option, and its own.
    """
    own = text_ids(tokenizer, rendered.text)
    begin = list(prompt[: len(prompt) - len(own)])
    wholes = {text: text_ids(tokenizer, rendered.text + text) for text in {*request.options, request.text}}
    shared = shared_tokens(own, wholes.values())
    if list(prompt) != begin + own or shared is None:
        return list(prompt), text_ids(tokenizer, request.text)
    return begin + own[:shared], wholes[request.text][shared:]


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
    # On the processor, where the layers of a split model find it, whatever device they are on.
    rows = torch.tensor(owners)
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


# A side, and the tokens of a prompt and of the text after it.
_Row: TypeAlias = tuple[Side, Sequence[int], Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredText:
    """A text to score, as tokens.

    Attributes:
        key: Its name in messages.
        side: The side that scores it.
        against: Another side, to compute the divergence from it instead of a loss; the same in a batch.
        against_prompt: What that side reads before the text: its texts may begin with another token.
    """

    key: str
    side: Side
    prompt: Sequence[int]
    text: Sequence[int]
    against: Side | None = None
    against_prompt: Sequence[int] = ()


def scored_text(
    request: LossRequest,
    sides: Mapping[str, Side],
    prompt: Sequence[int],
    text: Sequence[int],
    prompt_of: Callable[[LossRequest], Sequence[int]],
) -> ScoredText:
    """A request as tokens.

    Args:
        request: The request.
        sides: All sides.
        prompt: What its side reads before the text.
        text: The text's tokens.
        prompt_of: What any side reads before a text of its own.

    Raises:
        EngineError: The divergence of two sides is asked for that split the text differently.
    """
    side = sides[request.side]
    if request.against is None:
        return ScoredText(key=request.key, side=side, prompt=prompt, text=text)
    against = sides[request.against]
    if text_ids(against.tokenizer, request.text) != [*text]:
        raise EngineError(f"{request.key}: {request.side} and {request.against} split it into other tokens")
    return ScoredText(
        key=request.key,
        side=side,
        prompt=prompt,
        text=text,
        against=against,
        against_prompt=prompt_of(replace(request, side=request.against)),
    )


def nats_of(batch: Sequence[ScoredText]) -> list[torch.Tensor]:
    """Each scored token's loss (or divergence) in nats, for texts whose sides share batches.

    Returns:
        One tensor per text, (tokens,): all of its tokens, without a first one that has nothing before it.

    Raises:
        EngineError: A text has no token to predict, or one that the model gives no probability at all.
        ArithmeticError: A loss is NaN: it would be the least of several, or no rise.
    """
    import torch

    with torch.inference_mode():
        found = _nats_behind_shared(batch)
        if not found:
            logits = _text_logits([(one.side, one.prompt, one.text) for one in batch])
            others: Sequence[torch.Tensor | None] = [None] * len(batch)
            if (other := batch[0].against) is not None:
                others = _text_logits([(other, one.against_prompt, one.text) for one in batch])
            found = [
                _nats(said, one.text, before) for one, said, before in zip(batch, logits, others, strict=True)
            ]
    for one, nats in zip(batch, found, strict=True):
        if nats.numel() == 0:
            raise EngineError(f"{one.key}: one token with nothing before it can't be scored")
        if bool(nats.isnan().any()):
            raise ArithmeticError(f"{NOT_A_NUMBER}, so that no text can be scored; {OUT_OF_RANGE}")
        if bool(nats.isinf().any()):
            raise EngineError(f"{one.key}: the model gives one of its tokens no probability at all")
    return found


def _text_logits(rows: Sequence[_Row]) -> list[torch.Tensor]:
    """The logits that predict each row's text, (tokens, vocabulary) each.

    Args:
        rows: Of sides that share batches, or of one side.
    """
    if rows[0][0].decoder == "library":
        return [_logits_alone(*row) for row in rows]
    return _logits_side_by_side(rows)


def _logits_alone(side: Side, prompt: Sequence[int], text: Sequence[int]) -> torch.Tensor:
    """By the forward pass of a bare script."""
    import torch

    ids = torch.tensor([[*prompt, *text]], device=side.model.device)
    with whole_model(side) as model:
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].float()
    # Virtual tokens come before all others: the text's own are counted from the end.
    start = len(logits) - ids.shape[1] + max(len(prompt), 1)
    return logits[start - 1 : -1]  # type: ignore[no-any-return] # untyped


def _logits_side_by_side(rows: Sequence[_Row]) -> list[torch.Tensor]:
    """By one forward pass over all rows."""
    first = rows[0][0]
    joined = [[*prompt, *text] for _, prompt, text in rows]
    ids, mask = pad_rows(joined, first.pad_id, first.model.device, left=False)
    # The token at place p is predicted from p - 1; a text's very first token has nothing before it.
    # Logits of the common prompts are not needed: they would take much time, and for long prompts more memory
    # than the model.
    starts = [max(len(prompt) - 1, 0) for _, prompt, _ in rows]
    skipped = min(starts)
    logits = text_logits([side for side, _, _ in rows], ids, mask, skipped)  # (rows, places, vocabulary)
    return [
        logits[row, start - skipped : len(tokens) - 1 - skipped]
        for row, (start, tokens) in enumerate(zip(starts, joined, strict=True))
    ]


def _nats_behind_shared(batch: Sequence[ScoredText]) -> list[torch.Tensor]:
    """Losses of several texts after one prompt, which is read once; empty if there are none."""
    if batch[0].side.decoder == "library":
        return []
    asked = [(id(one.side), tuple(one.prompt)) for one in batch]
    places = {question: place for place, question in enumerate(dict.fromkeys(asked))}
    if len(places) == len(asked) or batch[0].against is not None or not all(one.prompt for one in batch):
        return []
    first = batch[0].side
    firsts = [batch[asked.index(question)] for question in places]
    cache, cached = empty_cache(first, len(places))
    if not can_lose_rows(cache):
        return []
    device = first.model.device
    text_ids, text_mask = pad_rows([one.text for one in batch], first.pad_id, device, left=False)
    readers = [one.side.adapter for one in firsts]

    def read_prompts(**inputs: Any) -> Any:
        with adapted(first.model, readers) as forward:
            return forward(**inputs)

    def read_texts(**inputs: Any) -> Any:
        with adapted(first.model, [one.side.adapter for one in batch]) as forward:
            return forward(**inputs)

    logits = logits_behind(
        read_prompts,
        read_texts,
        cache,
        pad_rows([one.prompt for one in firsts], first.pad_id, device),
        (text_ids, text_mask),
        [places[question] for question in asked],
        cached=cached,
    ).float()
    return [_nats(logits[row, : len(one.text)], one.text, None) for row, one in enumerate(batch)]


def text_logits(sides: Sequence[Side], ids: torch.Tensor, mask: torch.Tensor, skipped: int) -> torch.Tensor:
    """Logits of the next token at each position, except the skipped first ones and the last.

    Args:
        sides: The side of each row.
        ids: Tokens, (rows, tokens), padded at the end.
        mask: 1 where they are not padding.
        skipped: Number of first positions that are left out.

    Returns:
        (rows, tokens - 1 - skipped, vocabulary).
    """
    import torch

    model = sides[0].model
    cache, cached = empty_cache(sides[0], len(ids))
    mask = torch.cat([mask.new_ones(len(ids), cached), mask], dim=-1)
    inputs = {"input_ids": ids, "attention_mask": mask, "past_key_values": cache}
    with adapted(model, [side.adapter for side in sides]) as forward:
        if accepts(model, "logits_to_keep"):
            kept = torch.arange(skipped, ids.shape[1] - 1)  # for a layer on any device
            return forward(**inputs, logits_to_keep=kept).logits.float()  # type: ignore[no-any-return] # untyped
        return forward(**inputs).logits[:, skipped:-1].float()  # type: ignore[no-any-return] # as above


def _nats(logits: torch.Tensor, text: Sequence[int], others: torch.Tensor | None) -> torch.Tensor:
    """Cross-entropy of the text's tokens, or KL(others ‖ logits) at their places, (tokens,).

    The last tokens of an adapter's vocabulary may be its own, or those of its base missing: the divergence is
    that of the next token given that it is one that this side has. All of this side's probability counts, so
    what it gives to tokens of its own is told too.
    """
    import torch

    if others is None:
        # Without a prompt, the first token has nothing before it.
        tokens = torch.tensor(text[len(text) - len(logits) :], dtype=torch.long, device=logits.device)
        return torch.nn.functional.cross_entropy(logits, tokens, reduction="none")
    places, common = min(len(logits), len(others)), min(logits.shape[-1], others.shape[-1])
    theirs = others[len(others) - places :, :common].to(logits.device).log_softmax(-1)
    ours = logits[len(logits) - places :].log_softmax(-1)[:, :common]
    return (theirs.exp() * (theirs - ours)).sum(-1)
