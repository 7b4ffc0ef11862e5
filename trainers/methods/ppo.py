"""Proximal policy optimisation against a reward model: RLHF's third stage as it was first described.

    python -m trainers.methods.ppo CONFIG.yaml [--output DIR] [--resume]

The loss, with ρ_t the new probability of an answer's token by its old one (Schulman et al. 2017, PPO,
arXiv:1707.06347, equations 7 and 9, without the bonus for entropy):

    L = - mean_t min(ρ_t A_t, clip(ρ_t, 1 - ε, 1 + ε) A_t) + c₁ mean_t (V_t - R_t)² / 2

A token's reward is -β log(π_old / π_start), and at the answer's last token the reward model's score is added
(Ouyang et al. 2022, InstructGPT, arXiv:2203.02155, equation 2, without its term for pretraining text).
Advantages A_t are generalised estimates (Schulman et al. 2016, arXiv:1506.02438, equation 16), normalised
over the batch; R_t = A_t + V_t before that. V is a linear head on the policy's last hidden states: it is in
checkpoints, not in the result.

TRL has no PPO any more: the steps are in ``trainers.shared.actor_critic``.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from harness.errors import SettingsError
from trainers.config import PeftSettings, refuse
from trainers.data.leakage import without_leaks
from trainers.data.prompts import load_prompts
from trainers.data.rows import Examples
from trainers.rewards.build import build_rewards
from trainers.rewards.catalogue import RewardSettings
from trainers.rewards.definition import Reward
from trainers.rewards.settings import RewardModel
from trainers.run.entry import run_module
from trainers.run.processes import require_one_process
from trainers.run.training_run import TrainingRun
from trainers.shared.policy import train_policy
from trainers.shared.policy_config import PolicyConfig, sampling_of
from trainers.unread_keys import changed_keys


class PpoConfig(PolicyConfig):
    """Proximal policy optimisation against a reward model."""

    reward_model: Annotated[Path, Field(description="Adapter directory that reward wrote.")]
    rewards: Annotated[tuple[RewardSettings, ...], Field(description="Further rewards, added to it.")] = ()
    num_generations: Annotated[int, Field(ge=1, description="Answers sampled for each prompt.")] = 1
    beta: Annotated[
        float, Field(ge=0, description="Weight of each token's KL penalty against the reference.")
    ] = 0.05
    passes: Annotated[int, Field(ge=1, description="Optimizer steps on the same answers.")] = 4
    clip_range: Annotated[
        float, Field(gt=0, lt=1, description="Largest change of a token's probability that is rewarded.")
    ] = 0.2
    discount: Annotated[float, Field(gt=0, le=1, description="Factor of each later token's reward.")] = 1.0
    gae_lambda: Annotated[
        float, Field(ge=0, le=1, description="Advantages of one step's error (0) up to the whole return (1).")
    ] = 0.95
    value_weight: Annotated[float, Field(gt=0, description="Weight of the value head's loss.")] = 0.1
    value_learning_rate: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Peak rate of the value head.")
    ] = 1e-3

    unread: ClassVar[Mapping[str, str]] = {
        "generation": "ppo samples with the gate's own engine, in batches; leave it out",
        "vllm": "ppo samples with the gate's own engine, in batches; leave it out",
    }

    @model_validator(mode="after")
    def _compares_probabilities(self) -> Self:
        refuse(adapter_problem(self.peft))
        if self.passes == 1 and "clip_range" in changed_keys(self):
            refuse(
                "clip_range: with passes: 1 each step has new answers, and nothing is clipped; leave it out"
            )
        return self


def adapter_problem(peft: PeftSettings) -> str | None:
    """What is wrong with the trained weights for PPO, beginning with the key; None if nothing is."""
    if peft.method in {"prefix", "prompt", "full"}:
        return f"peft.method: ppo trains lora, loha, lokr, vera, oft or ia3, not {peft.method}"
    if peft.dropout:
        return "peft.dropout: ppo compares probabilities before and after a step; leave it out"
    return None


def read_data(config: PpoConfig) -> tuple[Examples, Examples | None, list[Reward]]:
    """The prompts, those of ``eval_data``, and the rewards beside the reward model's.

    Raises:
        InputError: A file is damaged, a golden case is in the data, or a reward can't be built.
    """
    prompts = without_leaks(load_prompts(config.data, config.max_rows), config)
    needed = config.batch_size * config.gradient_accumulation // config.num_generations
    if len(prompts.rows) < needed:
        problem = f"a step answers {needed} prompts, and data has {len(prompts.rows)}"
        raise SettingsError(f"batch_size: {problem}; lower it or raise num_generations")
    held_out = load_prompts(config.eval_data) if config.eval_data else None
    everything = [prompts] if held_out is None else [prompts, held_out]
    return prompts, held_out, build_rewards(config.rewards, *everything)


def train(config: PpoConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration; ``max_steps`` counts optimizer steps, ``passes`` for each batch.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model, reward model, settings or a reward can't be used.
    """
    require_one_process("ppo")
    prompts, held_out, rewards = read_data(config)
    judge = RewardModel(type="reward-model", path=config.reward_model)
    rewards = [*build_rewards([judge], key="reward_model"), *rewards]
    return train_policy("ppo", config, prompts, held_out, rewards, _trainer, resume=resume)


def _trainer(run: TrainingRun[PpoConfig], reward: Any, **parts: Any) -> Any:
    from transformers import TrainingArguments

    from trainers.run.arguments import trl_arguments
    from trainers.shared.actor_critic import ActorCritic, PpoSettings, with_adapter

    config = run.config
    settings = PpoSettings(
        sampling=replace(sampling_of(config), seed=config.seed),
        num_generations=config.num_generations,
        beta=config.beta,
        clip_range=config.clip_range,
        value_weight=config.value_weight,
        value_learning_rate=config.value_learning_rate,
        discount=config.discount,
        gae_lambda=config.gae_lambda,
        passes=config.passes,
    )
    adapter = parts.pop("peft_config")
    return ActorCritic(
        settings,
        reward,
        parts["processing_class"],
        args=trl_arguments(TrainingArguments, run, remove_unused_columns=False),
        **{**parts, "model": with_adapter(parts["model"], adapter)},
    )


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.ppo", PpoConfig, train))
