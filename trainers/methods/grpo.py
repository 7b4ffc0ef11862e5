"""Group-relative policy optimisation: of several sampled answers to a prompt, raise those with more reward.

    python -m trainers.methods.grpo CONFIG.yaml [--output DIR] [--resume]

Sampled answers with their rewards are stored in DIR.work/samples.jsonl; the manifest has each step's mean
reward and canaries of reward hacking.

Shao et al. (2024), DeepSeekMath, arXiv:2402.03300; the loss is TRL's default, the token-level one of DAPO
(Yu et al. 2025, arXiv:2503.14476).
"""

import sys
from typing import Any

from trainers.data.leakage import without_leaks
from trainers.data.prompts import load_prompts
from trainers.rewards.build import build_rewards
from trainers.run.entry import run_module
from trainers.run.training_run import TrainingRun
from trainers.shared.policy import train_policy
from trainers.shared.policy_config import PolicyConfig


class GrpoConfig(PolicyConfig):
    """Group-relative policy optimisation on rewards."""


def train(config: GrpoConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model, settings or a reward can't be used.
    """
    prompts = without_leaks(load_prompts(config.data, config.max_rows), config)
    held_out = load_prompts(config.eval_data) if config.eval_data else None
    everything = [prompts] if held_out is None else [prompts, held_out]
    rewards = build_rewards(config.rewards, *everything)
    return train_policy("grpo", config, prompts, held_out, rewards, _trainer, resume=resume)


def _trainer(run: TrainingRun[GrpoConfig], reward: Any, **parts: Any) -> Any:
    from trl import GRPOConfig as TrlConfig
    from trl import GRPOTrainer

    from trainers.shared.policy_arguments import policy_arguments

    return GRPOTrainer(reward_funcs=[reward], args=policy_arguments(TrlConfig, run), **parts)


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.grpo", GrpoConfig, train))
