"""A reward model: one number for a conversation, higher for the answer that people would prefer.

    python -m trainers.reward CONFIG.yaml [--output DIR] [--resume]

The adapter holds LoRA weights and a scoring head on the base. It is what ``trainers.rloo`` optimises against,
and a judge for the gate.

Bradley and Terry (1952); Ouyang et al. (2022), InstructGPT, arXiv:2203.02155, section 3.5.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from harness.errors import SettingsError
from trainers.config import PreferenceConfig
from trainers.data import Row, Turn
from trainers.entry import run_module
from trainers.leakage import without_leaks
from trainers.lengths import check_lengths
from trainers.preferences import load_pairs
from trainers.run import INTERRUPTED, finish, fit, load_tokenizer, make_ready, training_run

_BATCH = 8


class RewardConfig(PreferenceConfig):
    """Reward model."""

    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Peak rate.")] = 1e-4
    center_rewards: Annotated[
        float | None,
        Field(ge=0, description="Weight of a pull of the rewards' mean towards 0 (0.01 is usual), or none."),
    ] = None


def train(config: RewardConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Go on from the last checkpoint.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    if config.peft.method != "lora" or config.adapter is not None:
        raise SettingsError("peft.method, adapter: a reward model is trained as a new LoRA adapter")
    pairs = without_leaks(load_pairs(config.data, config.max_rows), config)
    held_out = load_pairs(config.eval_data).rows if config.eval_data else []
    with training_run("reward", config, pairs.sha256, resume=resume) as run:
        from datasets import Dataset
        from trl import RewardConfig as TrlConfig
        from trl import RewardTrainer

        from trainers.adapters import adapter_config
        from trainers.arguments import trl_arguments
        from trainers.held_out import compared, report
        from trainers.quantised import load_base

        tokenizer = load_tokenizer(run)
        check_lengths(pairs, tokenizer, config.max_length, ("chosen", "rejected"))
        trainer = RewardTrainer(
            model=load_base(run.base_dir, config.quantization, run.dtype, head="reward"),
            args=trl_arguments(
                TrlConfig,
                config,
                run.work,
                run.dtype,
                max_length=config.max_length,
                center_rewards_coefficient=config.center_rewards,
            ),
            train_dataset=Dataset.from_list(pairs.rows),
            processing_class=tokenizer,
            peft_config=adapter_config(config.peft, "SEQ_CLS"),
            callbacks=[run.watch],
        )
        make_ready(run, trainer, pairs.title)
        before = rewards_chosen(trainer.model, tokenizer, held_out)
        if not fit(run, trainer):
            return INTERRUPTED
        facts: dict[str, Any] = {"data": pairs.facts}
        if held_out:
            facts["held_out"] = report(
                run, compared(before, rewards_chosen(trainer.model, tokenizer, held_out))
            )
        return finish(run, trainer, facts)


def rewards_chosen(model: Any, tokenizer: Any, rows: Sequence[Row]) -> list[bool]:
    """For each pair whether the chosen answer gets the higher reward."""
    was_training = model.training
    model.eval()
    chosen = rewards(model, tokenizer, [row["prompt"] + row["chosen"] for row in rows])
    rejected = rewards(model, tokenizer, [row["prompt"] + row["rejected"] for row in rows])
    model.train(was_training)
    return [better > worse for better, worse in zip(chosen, rejected, strict=True)]


def rewards(model: Any, tokenizer: Any, conversations: Sequence[list[Turn]]) -> list[float]:
    """The reward of each conversation, which ends with the assistant's answer."""
    import torch

    texts = [tokenizer.apply_chat_template(turns, tokenize=False) for turns in conversations]
    found: list[float] = []
    for start in range(0, len(texts), _BATCH):
        batch = tokenizer(
            texts[start : start + _BATCH],
            add_special_tokens=False,
            padding=True,
            padding_side="right",
            return_tensors="pt",
        ).to(model.device)
        with torch.inference_mode():
            found += model(**batch).logits[:, 0].float().tolist()
    return found


if __name__ == "__main__":
    sys.exit(run_module("reward", RewardConfig, train))
