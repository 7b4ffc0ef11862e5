"""Supervised fine-tuning of a LoRA adapter, by default on a base model in 4 bits (QLoRA).

    python -m trainers.methods.sft examples/orders/sft.yaml [--output DIR] [--resume]

The loss, over the tokens y_t of the answers; tokens of the prompt x have none:

    L = - mean_t log π(y_t | x, y_<t)

π is the base with its weights W₀ changed to W₀ + (α/r) B A, and only A and B are trained (Hu et al. 2021,
LoRA, arXiv:2106.09685, equations 2 and 3); in 4 bits W₀ is dequantised for each product (Dettmers et al.
2023, QLoRA, arXiv:2305.14314, equation 5). TRL: ``SFTTrainer``, on rows that have
labels for the answers alone.

The adapter directory is replaced as a whole when training has finished; checkpoints and the log are stored
next to it in DIR.work.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from harness.types.training import TrainingManifest
from trainers.config import TrainingConfig, listed
from trainers.data.conversations import load_examples
from trainers.data.leakage import without_leaks
from trainers.data.learnt_tokens import learnt_rows
from trainers.data.rendered_rows import rendered_tokenizer
from trainers.data.rows import Examples
from trainers.measure.sampling import end_tokens
from trainers.run.entry import run_module
from trainers.run.manifest import merged
from trainers.run.training_run import INTERRUPTED
from trainers.shared.lifecycle import fit, method_run
from trainers.shared.preparation import make_ready
from trainers.shared.result import finish


class SftConfig(TrainingConfig):
    """Supervised fine-tuning."""

    eval_data: Annotated[
        tuple[Path, ...],
        BeforeValidator(listed),
        Field(description="Held-out answers: their loss at each checkpoint decides which one is kept."),
    ] = ()
    learn: Annotated[
        Literal["last", "all"], Field(description="Answers of a conversation that are learnt: last, or all.")
    ] = "last"
    packing: Annotated[
        bool, Field(description="Pack rows into sequences of max_length; packed rows don't see each other.")
    ] = False


def read_data(config: SftConfig) -> tuple[Examples, Examples | None]:
    """The rows to learn from, and those of ``eval_data``.

    Raises:
        InputError: A file is damaged, or a golden case is in the data.
    """
    examples = without_leaks(load_examples(config.data, config.max_rows, config.learn), config)
    return examples, load_examples(config.eval_data, learn=config.learn) if config.eval_data else None


def train(config: SftConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    examples, held_out = read_data(config)
    with method_run("sft", config, examples.sha256, resume=resume) as run:
        from datasets import Dataset
        from trl import SFTConfig as TrlConfig
        from trl import SFTTrainer

        from trainers.measure.held_out_loss import HeldOutLoss, evaluation_arguments
        from trainers.run.adapters import load_trainable
        from trainers.run.arguments import trl_arguments
        from trainers.run.chat_template import load_tokenizer, report_template
        from trainers.run.packing import refuse_mixed_rows

        tokenizer = load_tokenizer(run.base_dir, config)
        examples, rows = learnt_rows(examples, tokenizer, config, config.learn)
        measured = learnt_rows(held_out, tokenizer, config, config.learn)[1] if held_out else []
        model, adapter = load_trainable(config, run.base_dir, run.dtype)
        trainer = SFTTrainer(
            model=model,
            args=trl_arguments(
                TrlConfig,
                run,
                max_length=config.max_length,
                packing=config.packing,
                packing_strategy="bfd",
                **evaluation_arguments(config, measured=bool(measured)),
            ),
            train_dataset=Dataset.from_list(rows),
            eval_dataset=Dataset.from_list(measured) if measured else None,
            processing_class=rendered_tokenizer(tokenizer),
            peft_config=adapter,
            callbacks=[run.watch],
        )
        make_ready(run, trainer, tokenizer, examples.title)
        report_template(run, tokenizer, end_tokens(trainer.model, tokenizer))
        if config.packing:
            refuse_mixed_rows(trainer)
        if held_out is not None:
            trainer.add_callback(watched := HeldOutLoss(run, tokenizer, examples, held_out))
        if not fit(run, trainer):
            return INTERRUPTED
        noted = TrainingManifest(data=examples.notes)
        if held_out is not None:
            noted = merged(noted, TrainingManifest(held_out=watched.notes(trainer)))
        return finish(run, trainer, noted)


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.sft", SftConfig, train))
