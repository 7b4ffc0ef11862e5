"""Records of sampled answers and their rewards: samples, the manifest's sections, lines for the terminal."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from harness.types.training import RewardNotes, StepReward, TrainingManifest
from trainers.config import RunConfig
from trainers.measure.canaries import canary_notes
from trainers.measure.change import mean_change
from trainers.measure.samples import Sample, by_group, first_and_last
from trainers.rewards.definition import Reward
from trainers.rewards.score import RewardBatch
from trainers.run.training_run import TrainingRun
from tunegate.figures import both_of, figures_of


def samples_of(
    step: int, asked: RewardBatch, totals: Sequence[float], parts: Mapping[str, Sequence[float | None]]
) -> list[Sample]:
    """Scored answers in their stored form.

    Args:
        step: Optimizer step or round that they were sampled for, from 1.
        asked: The answers.
        totals: One weighted sum per answer.
        parts: Its parts by reward.
    """
    return [
        Sample(
            step=step,
            place=asked.places[number],
            prompt=asked.prompts[number][-1]["content"],
            answer=asked.completions[number][-1]["content"],
            reward=total,
            rewards={name: values[number] for name, values in parts.items()},
        )
        for number, total in enumerate(totals)
    ]


def reward_notes(
    samples: Sequence[Sample], rewards: Sequence[Reward], kl: Mapping[int, float] = {}
) -> TrainingManifest:
    """The manifest's notes on the rewards: each step's mean, its change, and canaries.

    Args:
        samples: All answers that were sampled, in the steps' order.
        rewards: The rewards, built.
        kl: Divergence from the reference, in nats per token, by step.

    Returns:
        The manifest's sections ``rewards`` and ``canaries``.
    """
    first, last = first_and_last(samples)
    groups = [by_group(part, [sample.reward for sample in part]) for part in (first, last)]
    steps = []
    for step, here in itertools.groupby(samples, key=lambda sample: sample.step):
        values = [sample.reward for sample in here]
        found = StepReward(step=step, reward=sum(values) / len(values), n=len(values))
        steps.append(found.model_copy(update={"kl": kl[step]}) if step in kl else found)
    return TrainingManifest(
        rewards=RewardNotes(
            steps=tuple(steps),
            change=mean_change(groups[0], groups[1]),
            files={reward.name: dict(reward.facts) for reward in rewards if reward.facts},
        ),
        canaries=canary_notes(samples),
    )


def report_rewards(run: TrainingRun[RunConfig], noted: TrainingManifest) -> None:
    """Print the change of the reward, and the canaries.

    Args:
        run: The run, on whose console it is printed.
        noted: Its rewards and canaries.
    """
    change: Any = None if noted.rewards is None else noted.rewards.change
    if change is not None:
        before, after, by = change["before"], change["after"], change["change"]
        then, now = both_of(before["estimate"], after["estimate"], 3)
        size = max(abs(before["estimate"]), abs(after["estimate"]))
        ends = figures_of((by["estimate"], by["low"], by["high"]), 3, sign="+", size=size)
        run.console.print(
            f"reward    {then} in the first fifth of the steps (n={change['n_before']}), "
            f"{now} in the last (n={change['n_after']}): {ends[0]} [{ends[1]}, {ends[2]}]"
        )
    for line in () if noted.canaries is None else noted.canaries.summary:
        run.console.print(f"canary    {line}")
