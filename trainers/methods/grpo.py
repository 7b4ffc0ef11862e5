"""Group-relative policy optimisation: of several sampled answers to a prompt, raise those with more reward.

    python -m trainers.methods.grpo CONFIG.yaml [--output DIR] [--resume]

The loss, with ρ_t the new probability of a token by that of the policy that sampled it, R_i an answer's
reward and the mean and deviation of its prompt's answers (Shao et al. 2024, DeepSeekMath, arXiv:2402.03300,
equations 3 and 4):

    L = - mean_t [min(ρ_t A, clip(ρ_t, 1 - ε, 1 + ε) A) - β KL_t],   A = (R_i - mean R) / std R
    KL_t = π_ref/π - log(π_ref/π) - 1

The mean is over all tokens of the batch, not answer by answer (DAPO, Yu et al. 2025, arXiv:2503.14476,
section 3.3). TRL: ``GRPOTrainer``, with its default loss ``dapo``.

Sampled answers with their rewards are stored in DIR.work/samples.jsonl; the manifest has each step's mean
reward and canaries of reward hacking.
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
from trainers.shared.rollouts import require_generation, with_our_decoder


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
    require_generation(config)
    prompts = without_leaks(load_prompts(config.data, config.max_rows), config)
    held_out = load_prompts(config.eval_data) if config.eval_data else None
    everything = [prompts] if held_out is None else [prompts, held_out]
    rewards = build_rewards(config.rewards, *everything)
    return train_policy("grpo", config, prompts, held_out, rewards, _trainer, resume=resume)


def _trainer(run: TrainingRun[GrpoConfig], reward: Any, **parts: Any) -> Any:
    from trl import GRPOConfig as TrlConfig
    from trl import GRPOTrainer

    from trainers.shared.policy_arguments import policy_arguments

    kind = with_our_decoder(GRPOTrainer, run, logprobs=True)
    return kind(reward_funcs=[reward], args=policy_arguments(TrlConfig, run), **parts)


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.grpo", GrpoConfig, train))
