"""Answers by transformers' own ``generate``, one prompt at a time: right for every model that it can run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from harness.engines.decode import Ending, Row, refuse_no_number
from harness.engines.side import Side, whole_model


def decode_alone(
    side: Side,
    prompt: Sequence[int],
    row: Row,
    limit: int,
    on_tokens: Callable[[list[int]], None] = lambda _: None,
) -> Ending:
    """Continue one prompt.

    Args:
        side: The side that answers.
        prompt: The prompt's tokens.
        row: The row; its watch gets the tokens.
        limit: Most tokens.
        on_tokens: Called with the tokens so far, after each.

    Returns:
        Why it ended.
    """
    import torch
    from transformers import GenerationConfig

    ids = torch.tensor([list(prompt)], device=side.model.device)
    config = GenerationConfig(  # type: ignore[no-untyped-call] # transformers leaves it so
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=sorted(side.stop_ids) or None,
        pad_token_id=side.pad_id,
        # For an adapter that reads all tokens of a forward pass together, a cache makes a difference.
        use_cache=side.model_settings.use_cache is not False,
    )
    reasons: list[Ending | Literal[""]] = []

    def take(token: int) -> bool:
        reasons.append(row.watch.take(token))
        on_tokens(row.watch.tokens)
        return bool(reasons[-1])

    with torch.inference_mode(), whole_model(side) as model:
        model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=config,
            logits_processor=[_chooser(row, len(prompt))],
            stopping_criteria=[_watcher(take)],
        )
    return reasons[-1] or "length"


def _chooser(row: Row, prompt_tokens: int) -> Any:
    """Checks the logits, and makes ``generate`` use a token that we choose: all others become impossible."""
    import torch
    from transformers import LogitsProcessor

    class Chooser(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            refuse_no_number(scores)
            if row.choose is None:
                return scores
            token = row.choose(scores[0], input_ids[0, prompt_tokens:].tolist())
            only = torch.full_like(scores, float("-inf"))
            only[0, token] = 0.0
            return only

    return Chooser()


def _watcher(take: Callable[[int], bool]) -> Any:
    """Passes each token on, and ends the generation when required."""
    import torch
    from transformers import StoppingCriteria

    class Watcher(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            over = take(int(input_ids[0, -1]))
            return torch.full((len(input_ids),), over, dtype=torch.bool, device=input_ids.device)

    return Watcher()
