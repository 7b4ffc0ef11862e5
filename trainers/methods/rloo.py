"""Reinforcement learning against a reward model: REINFORCE with a leave-one-out baseline and a KL term.

    python -m trainers.methods.rloo CONFIG.yaml [--output DIR] [--resume]

The loss over the k answers y_i to a prompt, each compared with the mean of the others (Ahmadian et al.
2024, Back to Basics, arXiv:2402.14740, their RLOO estimator; Kool et al. 2019):

    L = - mean_i (R_i - Σ_{j≠i} R_j / (k - 1)) log π(y_i|x),   R_i = r(x, y_i) - β log π(y_i|x) / π_ref(y_i|x)

TRL: ``RLOOTrainer``, which takes the whole answer's probability by its old one, clipped, in place of the
logarithm: at the first step on an answer the gradient is the same.

It is the third stage of RLHF. Start from an SFT adapter (``adapter:``) and give the adapter that
``trainers.methods.reward`` wrote as ``reward_model:``; further rewards may be added to it.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from trainers.data.leakage import without_leaks
from trainers.data.prompts import load_prompts
from trainers.data.rows import Examples
from trainers.rewards.build import build_rewards
from trainers.rewards.catalogue import RewardSettings
from trainers.rewards.definition import Reward
from trainers.rewards.settings import RewardModel
from trainers.run.entry import run_module
from trainers.run.training_run import TrainingRun
from trainers.shared.policy import train_policy
from trainers.shared.policy_config import PolicyConfig
from trainers.shared.rollouts import require_generation, with_our_decoder


class RlooConfig(PolicyConfig):
    """Reinforcement learning against a reward model."""

    reward_model: Annotated[Path, Field(description="Adapter directory that reward wrote.")]
    rewards: Annotated[tuple[RewardSettings, ...], Field(description="Further rewards, added to it.")] = ()
    beta: Annotated[float, Field(ge=0, description="Weight of the KL divergence from the reference.")] = 0.05


def read_data(config: RlooConfig) -> tuple[Examples, Examples | None, list[Reward]]:
    """The prompts, those of ``eval_data``, and the rewards beside the reward model's.

    Raises:
        InputError: A file is damaged, a golden case is in the data, or a reward can't be built.
    """
    prompts = without_leaks(load_prompts(config.data, config.max_rows), config)
    held_out = load_prompts(config.eval_data) if config.eval_data else None
    everything = [prompts] if held_out is None else [prompts, held_out]
    return prompts, held_out, build_rewards(config.rewards, *everything)


def train(config: RlooConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model, reward model, settings or a reward can't be used.
    """
    require_generation(config)
    prompts, held_out, rewards = read_data(config)
    judge = RewardModel(type="reward-model", path=config.reward_model)
    rewards = [*build_rewards([judge], key="reward_model"), *rewards]
    return train_policy("rloo", config, prompts, held_out, rewards, _trainer, resume=resume)


def _trainer(run: TrainingRun[RlooConfig], reward: Any, **parts: Any) -> Any:
    from trl import RLOOConfig as TrlConfig
    from trl import RLOOTrainer

    from trainers.shared.policy_arguments import policy_arguments

    kind = with_our_decoder(RLOOTrainer, run, logprobs=False)
    return kind(reward_funcs=[reward], args=policy_arguments(TrlConfig, run), **parts)


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.rloo", RlooConfig, train))
