"""Answers with the log-probability of each token, their prompts' tokens included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.engines.side import Side, whole_model
from harness.engines.text_losses import text_logits

if TYPE_CHECKING:
    import torch

    from harness.types import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedToken:
    """One token.

    Attributes:
        text: The token alone, as text.
        logprob: In nats; None for a text's first token, before which there is nothing, and where none was
            wanted.
        likeliest: The likeliest tokens at its place with their log-probabilities, best first.
    """

    id: int
    text: str
    logprob: float | None = None
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedAnswer:
    """An answer and its tokens.

    Attributes:
        prompt: The prompt's tokens.
        answer: The answer's tokens, without one that ends it.
        end: The token that ended it; None if none did.
    """

    completion: Completion
    prompt: tuple[TracedToken, ...]
    answer: tuple[TracedToken, ...]
    end: TracedToken | None = None

    @property
    def written(self) -> tuple[TracedToken, ...]:
        """All tokens that the model wrote: servers list the one that ends an answer too."""
        return self.answer if self.end is None else (*self.answer, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """The tokens of one text that a side reads."""

    side: Side
    ids: Sequence[int]


def trace_rows(rows: Sequence[TokenRow], most: int | None) -> list[list[TracedToken]]:
    """The log-probability of each token of texts whose sides share batches, in one forward pass.

    Args:
        rows: The texts.
        most: How many of the likeliest tokens are listed at each place; None for no log-probabilities.

    Returns:
        For each text one entry per token.
    """
    import torch

    if most is None:
        return [[_token(row, token) for token in row.ids] for row in rows]
    with torch.inference_mode():
        if rows[0].side.decoder == "library":
            logits = [_logits_alone(row) for row in rows]
        else:
            logits = _logits_together(rows)
        return [_traced(row, each, most) for row, each in zip(rows, logits, strict=True)]


def _logits_alone(row: TokenRow) -> torch.Tensor:
    import torch

    ids = torch.tensor([list(row.ids)], device=row.side.model.device)
    with whole_model(row.side) as model:
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].float()
    # Virtual tokens come before all others: the text's own are counted from the end.
    return logits[len(logits) - len(row.ids) : -1]  # type: ignore[no-any-return] # transformers is untyped here


def _logits_together(rows: Sequence[TokenRow]) -> list[torch.Tensor]:
    from harness.engines.decode import pad_rows

    first = rows[0].side
    ids, mask = pad_rows([list(row.ids) for row in rows], first.pad_id, first.model.device, left=False)
    logits = text_logits([row.side for row in rows], ids, mask, 0)  # (rows, places, vocabulary)
    return [logits[place, : len(row.ids) - 1] for place, row in enumerate(rows)]


def _traced(row: TokenRow, logits: torch.Tensor, most: int) -> list[TracedToken]:
    """Each token with the probabilities at its place; ``logits`` begin at the second token."""
    import torch

    tokenizer = row.side.tokenizer
    found = [_token(row, row.ids[0])]
    if len(row.ids) == 1:
        return found
    probabilities = logits.log_softmax(-1)
    wanted = torch.tensor(list(row.ids[1:]), device=logits.device)
    own = probabilities.gather(-1, wanted[:, None])[:, 0].tolist()
    best, tokens = probabilities.topk(min(most, probabilities.shape[-1]), dim=-1) if most else (None, None)
    for place, (token, logprob) in enumerate(zip(row.ids[1:], own, strict=True)):
        likeliest: tuple[tuple[str, float], ...] = ()
        if best is not None and tokens is not None:
            likeliest = tuple(
                (token_text(tokenizer, int(other)), float(value))
                for other, value in zip(tokens[place].tolist(), best[place].tolist(), strict=True)
            )
        found.append(replace(_token(row, token), logprob=float(logprob), likeliest=likeliest))
    return found


def _token(row: TokenRow, token: int) -> TracedToken:
    return TracedToken(id=token, text=token_text(row.side.tokenizer, token))


def token_text(tokenizer: Any, token: int) -> str:
    """A token alone, as text.

    Args:
        tokenizer: The model's.
        token: Its id.
    """
    return str(tokenizer.decode([token], skip_special_tokens=False))
