"""What a policy's likeliest answers to prompts that it never saw are worth, before and after training."""

from collections.abc import Sequence
from typing import Any

from harness.statistics.clusters import Units
from harness.statistics.paired_graded import sign_flip_p
from harness.statistics.rates import mean_interval
from trainers.config import RunConfig
from trainers.data.rows import Examples
from trainers.measure.sampling import sample_answers
from trainers.rewards.definition import Reward
from trainers.rewards.score import RewardBatch, score_answers
from trainers.run.training_run import TrainingRun


def held_out_rewards(
    run: TrainingRun[RunConfig],
    model: Any,
    tokenizer: Any,
    prompts: Examples,
    rewards: Sequence[Reward],
    max_new_tokens: int,
) -> list[float]:
    """The reward of the greedy answer to each prompt.

    Args:
        run: The run, on whose console progress is shown.
        model: A causal language model.
        tokenizer: Its tokenizer, with a chat template.
        prompts: The held-out prompts, with the columns that the rewards read.
        rewards: The rewards, built.
        max_new_tokens: Most tokens of an answer.

    Returns:
        The weighted sum of the rewards for each prompt, in their order.

    Raises:
        RewardError: A reward is unavailable for an answer.
    """
    answers = sample_answers(
        model,
        tokenizer,
        [row["prompt"] for row in prompts.rows],
        each=1,
        max_new_tokens=max_new_tokens,
        console=run.console,
    )
    asked = RewardBatch(
        prompts=[row["prompt"] for row in prompts.rows],
        completions=[[{"role": "assistant", "content": text}] for (text,) in answers],
        columns=[row["columns"] for row in prompts.rows],
        places=[f"{path.name}:{line}" for path, line in prompts.places],
    )
    return score_answers(rewards, asked).totals


def reward_comparison(
    run: TrainingRun[RunConfig], before: Sequence[float], after: Sequence[float]
) -> dict[str, Any]:
    """Both means with intervals, and the test of "no better", paired by prompt; also printed.

    Args:
        run: The run, on whose console it is printed.
        before: Rewards before training, one a prompt.
        after: The same after training, prompt by prompt.

    Returns:
        ``figure`` and ``n``; ``before`` and ``after``, each with estimate, low, high and confidence;
        ``p_no_better``, the one-sided p-value.
    """
    gains = [now - was for was, now in zip(before, after, strict=True)]
    means = _mean(before), _mean(after)
    # The test asks whether the sum of drops is large; a gain is a drop turned round.
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
