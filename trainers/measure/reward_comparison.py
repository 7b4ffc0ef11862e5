"""Rewards before and after a training, compared pair by pair."""

from collections.abc import Sequence
from typing import Any

from harness.statistics.clusters import CONFIDENCE, Units, mean_interval
from harness.statistics.paired_graded import mean_drop
from harness.types import Interval
from trainers.config import RunConfig
from trainers.run.training_run import TrainingRun
from tunegate.figures import figures_of


def reward_comparison(
    run: TrainingRun[RunConfig], before: Sequence[float], after: Sequence[float]
) -> dict[str, Any]:
    """Both means and the gain with intervals, and the test of "no better", paired by prompt; also printed.

    Args:
        run: The run, on whose console it is printed.
        before: Rewards before training, one per prompt.
        after: The same after training, prompt by prompt.

    Returns:
        ``figure`` and ``n``; ``before``, ``after`` and ``gain``, each with estimate, low, high and
        confidence; ``p_no_better``, the one-sided p-value of the gain's interval.
    """
    gains = [now - was for was, now in zip(before, after, strict=True)]
    rewards = [*before, *after]
    # In units of the rewards' size, of which a billionth is rounding. The rule is about drops; a gain is a
    # negative drop. A reward's scale is as long as what was seen of it.
    size = max(map(abs, rewards)) or 1.0
    units = Units(sums=tuple(gain / size for gain in gains), sizes=(1.0,) * len(gains))
    found = mean_drop(units, CONFIDENCE, reach=(max(rewards) - min(rewards)) / size)
    means = _mean(before), _mean(after)
    gain = _as_facts(found.interval, size)
    run.console.print(
        f"held out  reward of the likeliest answer to {len(after)} prompts {_told(means[0])} before, "
        f"{_told(means[1])} after: {_told(gain, '+')} (p={found.p_value:.2g} of no better)"
    )
    return {
        "figure": "mean reward",
        "n": len(after),
        "before": means[0],
        "after": means[1],
        "gain": gain,
        "p_no_better": found.p_value,
    }


def _mean(values: Sequence[float]) -> dict[str, float]:
    return _as_facts(mean_interval(values, range(len(values))))


def _as_facts(interval: Interval, unit: float = 1.0) -> dict[str, float]:
    return {
        "estimate": interval.estimate * unit,
        "low": interval.low * unit,
        "high": interval.high * unit,
        "confidence": interval.confidence,
    }


def _told(mean: dict[str, float], sign: str = "") -> str:
    return "{} [{}, {}]".format(*figures_of((mean["estimate"], mean["low"], mean["high"]), 3, sign=sign))
