"""Measures a preference trainer on held-out pairs."""

from collections.abc import Callable, Sequence
from typing import Any

from harness.statistics.clusters import wilson
from harness.statistics.paired_binary import mcnemar_p
from trainers.config import RunConfig
from trainers.data.rows import Row
from trainers.run.training_run import TrainingRun


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
