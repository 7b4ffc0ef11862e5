"""Odds-ratio preference optimisation: learn the chosen answer, and its odds over the rejected one, at once.

    python -m trainers.orpo CONFIG.yaml [--output DIR] [--resume]

There is no reference model, so it starts well from a bare base.

Hong, Lee and Thorne (2024), ORPO: Monolithic Preference Optimization without Reference Model,
arXiv:2403.07691.
"""

import sys
from typing import Annotated, Any

from pydantic import Field

from trainers.config import PreferenceConfig
from trainers.entry import run_module
from trainers.leakage import without_leaks
from trainers.lengths import check_lengths
from trainers.preferences import load_pairs
from trainers.run import INTERRUPTED, finish, fit, load_tokenizer, make_ready, training_run


class OrpoConfig(PreferenceConfig):
    """Odds-ratio preference optimisation."""

    beta: Annotated[float, Field(gt=0, description="Weight of the odds ratio (the paper's lambda).")] = 0.1


def train(config: OrpoConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Go on from the last checkpoint.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    pairs = without_leaks(load_pairs(config.data, config.max_rows), config)
    held_out = load_pairs(config.eval_data).rows if config.eval_data else []
    with training_run("orpo", config, pairs.sha256, resume=resume) as run:
        from datasets import Dataset
        from trl.experimental.orpo import ORPOConfig as TrlConfig
        from trl.experimental.orpo import ORPOTrainer

        from trainers.adapters import load_trainable
        from trainers.arguments import trl_arguments
        from trainers.held_out import compared, prefers_chosen, report

        tokenizer = load_tokenizer(run)
        check_lengths(pairs, tokenizer, config.max_length, ("chosen", "rejected"))
        model, adapter = load_trainable(config, run.base_dir, run.dtype)
        trainer = ORPOTrainer(
            model=model,
            args=trl_arguments(
                TrlConfig,
                config,
                run.work,
                run.dtype,
                max_length=config.max_length,
                beta=config.beta,
            ),
            train_dataset=Dataset.from_list(pairs.rows),
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=[run.watch],
        )
        make_ready(run, trainer, pairs.title)
        before = prefers_chosen(trainer.model, tokenizer, held_out)
        if not fit(run, trainer):
            return INTERRUPTED
        facts: dict[str, Any] = {"data": pairs.facts}
        if held_out:
            after = prefers_chosen(trainer.model, tokenizer, held_out)
            facts["held_out"] = report(run, compared(before, after))
        return finish(run, trainer, facts)


if __name__ == "__main__":
    sys.exit(run_module("orpo", OrpoConfig, train))
