"""Mean log-probability of an answer's tokens."""

from collections.abc import Sequence
from typing import Any

from harness.prompts.rendering import text_ids
from trainers.data.batches import padded_batches
from trainers.data.rendered_prompts import conversation_text
from trainers.data.rows import Row

_BATCH = 8


def mean_logps(model: Any, tokenizer: Any, rows: Sequence[Row], key: str) -> list[float]:
    """Mean log-probability of each answer's tokens given its prompt, in nats per token.

    The mean, and not the sum, so that a shorter answer isn't preferred for its length; ORPO compares the same
    (Hong et al. 2024, arXiv:2403.07691, equation 3).

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        rows: Rendered rows, with ``prompt`` and the answer under ``key``.
        key: ``chosen`` or ``rejected``.

    Returns:
        One number per row, in order.
    """
    import torch

    whole = [conversation_text(row, key) for row in rows]
    lengths = [len(text_ids(tokenizer, row["prompt"][0]["content"])) for row in rows]
    found: list[float] = []
    for start, batch in padded_batches(tokenizer, whole, model.device, _BATCH, side="right"):
        with torch.inference_mode():
            logits = model(**batch).logits
        targets = batch["input_ids"][:, 1:]
        # Virtual tokens come before the rows, with logits of their own.
        logits = logits[:, -targets.shape[1] - 1 : -1].float()  # (rows, tokens - 1, vocabulary)
        logps = torch.log_softmax(logits, dim=-1).gather(-1, targets[..., None])[..., 0]  # (rows, tokens - 1)
        for place, row in enumerate(logps):
            begin = lengths[start + place] - 1
            end = int(batch["attention_mask"][place].sum()) - 1
            found.append(float(row[begin:end].mean()))
    return found
