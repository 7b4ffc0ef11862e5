"""Measures a preference trainer on held-out pairs."""

from collections.abc import Callable, Sequence
from typing import Any

from harness.prompts.rendering import text_ids
from harness.statistics.clusters import wilson
from harness.statistics.paired_binary import mcnemar_p
from trainers.config import RunConfig
from trainers.data.batches import padded_batches
from trainers.data.rendered_rows import conversation_text
from trainers.data.rows import Row
from trainers.run.training_run import TrainingRun

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


def prefers_chosen(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    scores: Callable[[Any, Any, Sequence[Row], str], list[float]],
) -> list[bool]:
    """For each pair whether the chosen answer scores higher; ``scores`` has the arguments of mean_logps.

    Args:
        model: The model; its mode is restored afterwards.
        tokenizer: Its tokenizer, with a chat template.
        rows: Pairs: ``prompt``, ``chosen`` and ``rejected``, all lists of turns.
        scores: Gives one number for each row's answer under a key.

    Returns:
        In the rows' order; equal scores count as not preferred.
    """
    was_training = model.training
    model.eval()
    chosen = scores(model, tokenizer, rows, "chosen")
    rejected = scores(model, tokenizer, rows, "rejected")
    model.train(was_training)
    return [better > worse for better, worse in zip(chosen, rejected, strict=True)]


def compared(before: Sequence[bool], after: Sequence[bool]) -> dict[str, Any]:
    """Two accuracies on the same pairs, each with interval and n, and the exact test of "no better".

    Args:
        before: For each pair whether the chosen answer was preferred before training.
        after: The same after training, pair by pair.

    Returns:
        ``n``; ``before`` and ``after``, each with estimate, low, high and confidence; ``p_no_better``, the
        one-sided p-value.
    """
    gained = sum(now and not was for was, now in zip(before, after, strict=True))
    lost = sum(was and not now for was, now in zip(before, after, strict=True))
    return {
        "n": len(after),
        "before": accuracy(before),
        "after": accuracy(after),
        # The test asks whether the first exceeds the second: a loss of the untrained model is a gain here.
        "p_no_better": mcnemar_p(gained, lost, mid=False),
    }


def accuracy(right: Sequence[bool]) -> dict[str, float]:
    """A share with its Wilson interval."""
    interval = wilson(sum(right), len(right))
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "confidence": interval.confidence,
    }


def report(run: TrainingRun[RunConfig], found: dict[str, Any]) -> dict[str, Any]:
    """Print a comparison, and return it for the manifest.

    Args:
        run: The run, on whose console it is printed.
        found: The result of ``compared``.

    Returns:
        The same.
    """
    before, after = found["before"], found["after"]
    run.console.print(
        f"held out  chosen preferred in {_rate(before)} of {found['n']} pairs before, {_rate(after)} after "
        f"(p={found['p_no_better']:.2g} of no better)"
    )
    return found


def _rate(share: dict[str, float]) -> str:
    return f"{share['estimate']:.0%} [{share['low']:.0%}, {share['high']:.0%}]"
