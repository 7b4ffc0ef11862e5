"""Rewards of a policy's likeliest answers to held-out prompts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from harness.engines.base import GenerationRequest
from harness.types import GenerationSettings
from trainers.config import RunConfig
from trainers.data.rendered_prompts import messages_of
from trainers.data.rows import Examples
from trainers.measure.sampling import SampledAnswer, as_completion, sample_answers
from trainers.rewards.definition import Reward
from trainers.rewards.score import RewardBatch, score_answers
from trainers.run.training_run import TrainingRun


def held_out_rewards(
    run: TrainingRun[RunConfig],
    model: Any,
    tokenizer: Any,
    prompts: Examples,
    rewards: Sequence[Reward],
    settings: GenerationSettings,
) -> list[float]:
    """The reward of the greedy answer to each prompt.

    Args:
        run: The run, on whose console progress is shown.
        model: A causal language model.
        tokenizer: Its tokenizer, with its own chat template.
        prompts: The held-out prompts, with the columns that the rewards read.
        rewards: The rewards, built.
        settings: How prompts are rendered and answers sampled; here greedily.

    Returns:
        The weighted sum of the rewards for each prompt, in order.

    Raises:
        RewardError: A reward is unavailable for an answer.
    """
    requests = sampling_requests(prompts, replace(settings, temperature=0.0))
    asked = reward_batch(prompts, sample_answers(model, tokenizer, requests, run.console))
    return score_answers(rewards, asked).totals


def sampling_requests(
    prompts: Examples, settings: GenerationSettings, each: int = 1
) -> list[GenerationRequest]:
    """Requests for several answers to each prompt, prompt by prompt; each has its own random stream.

    Args:
        prompts: The prompts.
        settings: How answers are sampled.
        each: Answers to each prompt.
    """
    return [
        GenerationRequest(
            key=f"{place}#{number}",
            side="trained",
            messages=messages_of(row),
            settings=settings,
        )
        for place, row in enumerate(prompts.rows)
        for number in range(each)
    ]


def reward_batch(prompts: Examples, answers: Sequence[SampledAnswer]) -> RewardBatch:
    """Answers to be scored, the same number to each prompt, prompt by prompt.

    Args:
        prompts: The prompts, with the columns that the rewards read.
        answers: The answers.
    """
    each = len(answers) // len(prompts.rows)
    rows = [row for row in prompts.rows for _ in range(each)]
    places = [place for place in prompts.places for _ in range(each)]
    return RewardBatch(
        prompts=[row["prompt"] for row in rows],
        completions=[as_completion(answer) for answer in answers],
        columns=[row["columns"] for row in rows],
        places=[f"{path.name}:{line}" for path, line in places],
    )
