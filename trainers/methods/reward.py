"""A reward model: one number for a conversation, higher for the answer that people would prefer.

    python -m trainers.methods.reward CONFIG.yaml [--output DIR] [--resume]

The loss of a pair, chosen y⁺ and rejected y⁻ (Bradley and Terry 1952; Ouyang et al. 2022, InstructGPT,
arXiv:2203.02155, equation 1), and with ``center_rewards`` c a pull of the mean towards 0:

    L = - log σ(r(x, y⁺) - r(x, y⁻)) + c (r(x, y⁺) + r(x, y⁻))²

TRL: ``RewardTrainer``. The adapter contains LoRA weights and a scoring head on the base.
``trainers.methods.rloo`` and ``trainers.methods.ppo`` optimise against it, and it can be a judge of the
gate.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from trainers.config import PreferenceConfig, refuse
from trainers.data.leakage import without_leaks
from trainers.data.preferences import load_pairs
from trainers.data.rendered_prompts import conversation_text
from trainers.data.rows import Examples, Row
from trainers.rewards.model import conversation_rewards
from trainers.run.entry import run_module
from trainers.run.training_run import TrainingRun
from trainers.shared.preference_run import train_preferences


class RewardConfig(PreferenceConfig):
    """Reward model."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Peak rate.")] = 1e-4
    center_rewards: Annotated[
        float | None,
        Field(ge=0, description="Weight of a pull of the rewards' mean towards 0 (0.01 is usual), or none."),
    ] = None
    unread: ClassVar[Mapping[str, str]] = {
        "adapter": "a reward model is trained as a new adapter; leave it out",
        "early_stop": "a reward model gives no answers to check; leave it out",
    }

    @model_validator(mode="after")
    def _trains_lora(self) -> Self:
        if self.peft.method != "lora":
            refuse(f"peft.method: a reward model is trained as lora, not {self.peft.method}")
        return self


def read_data(config: RewardConfig) -> Examples:
    """The pairs.

    Raises:
        InputError: A file is damaged, or a golden case is in the data.
    """
    return without_leaks(load_pairs(config.data, config.max_rows), config)


def train(config: RewardConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    pairs = read_data(config)
    return train_preferences(
        "reward",
        config,
        pairs,
        ("chosen", "rejected"),
        _trainer,
        load=_load,
        scores=answer_rewards,
        resume=resume,
    )


def _load(run: TrainingRun[RewardConfig]) -> tuple[Any, Any]:
    from trainers.run.adapter_check import fitting_adapter
    from trainers.run.adapters import adapter_config
    from trainers.run.base_model import load_base

    adapter = fitting_adapter(adapter_config(run.config.peft, "SEQ_CLS"), run.base_dir)
    return load_base(run.base_dir, run.config.quantization, run.dtype, head="reward"), adapter


def _trainer(run: TrainingRun[RewardConfig], **parts: Any) -> Any:
    from trl import RewardConfig as TrlConfig
    from trl import RewardTrainer

    from trainers.run.arguments import trl_arguments

    config = run.config
    return RewardTrainer(
        args=trl_arguments(
            TrlConfig,
            run,
            max_length=config.max_length,
            center_rewards_coefficient=config.center_rewards,
        ),
        **parts,
    )


def answer_rewards(model: Any, tokenizer: Any, rows: Sequence[Row], key: str) -> list[float]:
    """The reward of each row's answer under ``key``.

    Args:
        model: The reward model.
        tokenizer: Its tokenizer.
        rows: Rendered rows, with ``prompt`` and the answer under ``key``.
        key: ``chosen`` or ``rejected``.

    Returns:
        One number per row, in order.
    """
    return conversation_rewards(model, tokenizer, [conversation_text(row, key) for row in rows])


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.reward", RewardConfig, train))
