"""Direct preference optimisation: raise the chosen answer above the rejected one, near a reference model.

    python -m trainers.dpo CONFIG.yaml [--output DIR] [--resume]

The reference needs no second model: it is the base with the adapter switched off, or, when training starts
from an adapter, a frozen copy of that adapter.

Rafailov et al. (2023), Direct Preference Optimization, arXiv:2305.18290; label smoothing:
Mitchell (2023), A note on DPO with noisy preferences.
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


class DpoConfig(PreferenceConfig):
    """Direct preference optimisation."""

    beta: Annotated[float, Field(gt=0, description="Strength of the pull towards the reference.")] = 0.1
    label_smoothing: Annotated[
        float,
        Field(ge=0, lt=0.5, description="Share of pairs that are assumed to be labelled the wrong way."),
    ] = 0.0


def train(config: DpoConfig, *, resume: bool = False) -> int:
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
    with training_run("dpo", config, pairs.sha256, resume=resume) as run:
        from datasets import Dataset
        from trl import DPOConfig as TrlConfig
        from trl import DPOTrainer

        from trainers.adapters import load_trainable
        from trainers.arguments import trl_arguments
        from trainers.held_out import compared, prefers_chosen, report

        tokenizer = load_tokenizer(run)
        check_lengths(pairs, tokenizer, config.max_length, ("chosen", "rejected"))
        model, adapter = load_trainable(config, run.base_dir, run.dtype)
        trainer = DPOTrainer(
            model=model,
            args=trl_arguments(
                TrlConfig,
                config,
                run.work,
                run.dtype,
                max_length=config.max_length,
                beta=config.beta,
                label_smoothing=config.label_smoothing,
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
    sys.exit(run_module("dpo", DpoConfig, train))
