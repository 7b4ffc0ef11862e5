"""Rewards before and after a training, compared pair by pair."""

from collections.abc import Sequence
from typing import Any

from harness.statistics.clusters import Units, mean_interval
from harness.statistics.paired_graded import sign_flip_p
from trainers.config import RunConfig
from trainers.run.training_run import TrainingRun


def reward_comparison(
    run: TrainingRun[RunConfig], before: Sequence[float], after: Sequence[float]
) -> dict[str, Any]:
    """Both means with intervals, and the test of "no better", paired by prompt; also printed.

    Args:
        run: The run, on whose console it is printed.
        before: Rewards before training, one per prompt.
        after: The same after training, prompt by prompt.

    Returns:
        ``figure`` and ``n``; ``before`` and ``after``, each with estimate, low, high and confidence;
        ``p_no_better``, the one-sided p-value.
    """
    gains = [now - was for was, now in zip(before, after, strict=True)]
    means = _mean(before), _mean(after)
    # The test is about a large sum of drops; a gain is a negative drop.
    p_value = sign_flip_p(Units(sums=tuple(gains), sizes=(1.0,) * len(gains)))
    run.console.print(
        f"held out  reward of the likeliest answer to {len(after)} prompts {_told(means[0])} before, "
        f"{_told(means[1])} after (p={p_value:.2g} of no better)"
    )
    return {
        "figure": "mean reward",
        "n": len(after),
        "before": means[0],
        "after": means[1],
        "p_no_better": p_value,
    }


def _mean(values: Sequence[float]) -> dict[str, float]:
    interval = mean_interval(values, range(len(values)))
    return {
        "estimate": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "confidence": interval.confidence,
    }


def _told(mean: dict[str, float]) -> str:
    return f"{mean['estimate']:.3f} [{mean['low']:.3f}, {mean['high']:.3f}]"
