"""Kahneman-Tversky optimisation: learn from single answers with a thumb up or down.

    python -m trainers.kto CONFIG.yaml [--output DIR] [--resume]

Ethayarajh et al. (2024), KTO: Model Alignment as Prospect Theoretic Optimization, arXiv:2402.01306.
"""

import sys
from typing import Annotated, Any

from pydantic import Field

from trainers.config import PreferenceConfig
from trainers.entry import run_module
from trainers.leakage import without_leaks
from trainers.lengths import check_lengths
from trainers.preferences import load_pairs, load_thumbs
from trainers.run import INTERRUPTED, finish, fit, load_tokenizer, make_ready, training_run


class KtoConfig(PreferenceConfig):
    """Kahneman-Tversky optimisation."""

    beta: Annotated[float, Field(gt=0, description="Strength of the pull towards the reference.")] = 0.1
    desirable_weight: Annotated[float, Field(gt=0, description="Weight of answers with a thumb up.")] = 1.0
    undesirable_weight: Annotated[float, Field(gt=0, description="Weight of answers with a thumb down.")] = (
        1.0
    )


def train(config: KtoConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Go on from the last checkpoint.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    thumbs = without_leaks(load_thumbs(config.data, config.max_rows), config)
    held_out = load_pairs(config.eval_data).rows if config.eval_data else []
    with training_run("kto", config, thumbs.sha256, resume=resume) as run:
        from datasets import Dataset
        from trl import KTOConfig as TrlConfig
        from trl import KTOTrainer

        from trainers.adapters import load_trainable
        from trainers.arguments import trl_arguments
        from trainers.held_out import compared, prefers_chosen, report

        tokenizer = load_tokenizer(run)
        check_lengths(thumbs, tokenizer, config.max_length, ("completion",))
        model, adapter = load_trainable(config, run.base_dir, run.dtype)
        trainer = KTOTrainer(
            model=model,
            args=trl_arguments(
                TrlConfig,
                config,
                run.work,
                run.dtype,
                max_length=config.max_length,
                beta=config.beta,
                desirable_weight=config.desirable_weight,
                undesirable_weight=config.undesirable_weight,
            ),
            # TRL estimates the KL term from neighbours in file order and so never shuffles by itself.
            train_dataset=Dataset.from_list(thumbs.rows).shuffle(seed=config.seed),
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=[run.watch],
        )
        make_ready(run, trainer, thumbs.title)
        before = prefers_chosen(trainer.model, tokenizer, held_out)
        if not fit(run, trainer):
            return INTERRUPTED
        facts: dict[str, Any] = {"data": thumbs.facts}
        if held_out:
            after = prefers_chosen(trainer.model, tokenizer, held_out)
            facts["held_out"] = report(run, compared(before, after))
        return finish(run, trainer, facts)


if __name__ == "__main__":
    sys.exit(run_module("kto", KtoConfig, train))
