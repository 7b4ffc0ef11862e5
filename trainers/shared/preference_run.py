"""Common parts of trainers on people's judgements: train, and measure on held-out pairs."""

from collections.abc import Callable, Sequence
from typing import Any, Concatenate, TypeVar

from harness.types.training import TrainingManifest
from trainers.config import PreferenceConfig
from trainers.data.preferences import load_pairs
from trainers.data.rendered_rows import rendered_rows, rendered_tokenizer
from trainers.data.rows import Examples, Row
from trainers.measure.answer_logps import mean_logps
from trainers.measure.held_out import compared, prefers_chosen, report
from trainers.measure.sampling import end_tokens
from trainers.run.manifest import merged
from trainers.run.training_run import INTERRUPTED, TrainingRun
from trainers.shared.lifecycle import fit, method_run
from trainers.shared.preparation import make_ready
from trainers.shared.result import finish

PreferenceConfigT = TypeVar("PreferenceConfigT", bound=PreferenceConfig)


def language_model(run: TrainingRun[PreferenceConfig]) -> tuple[Any, Any]:
    """The model that answers, and the PEFT configuration of a new adapter for it."""
    from trainers.run.adapters import load_trainable

    return load_trainable(run.config, run.base_dir, run.dtype)


def train_preferences(
    method: str,
    config: PreferenceConfigT,
    examples: Examples,
    answers: Sequence[str],
    make_trainer: Callable[Concatenate[TrainingRun[PreferenceConfigT], ...], Any],
    *,
    load: Callable[[TrainingRun[PreferenceConfigT]], tuple[Any, Any]] = language_model,
    scores: Callable[[Any, Any, Sequence[Row], str], list[float]] = mean_logps,
    resume: bool,
) -> int:
    """Run a TRL trainer on judgements.

    Args:
        method: The trainer's name.
        config: The run's configuration.
        examples: The data.
        answers: The keys of a row's answers, whose lengths are checked.
        make_trainer: Makes TRL's trainer; called with the run and, by name, model, train_dataset,
            processing_class, peft_config and callbacks.
        load: Gives the model and its PEFT configuration; the causal language model by default.
        scores: How a model scores the held-out pairs' answers; called with model, tokenizer, rendered rows
            and the answers' key. By default how likely they are.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    held_out = load_pairs(config.eval_data) if config.eval_data else None
    with method_run(method, config, examples.sha256, resume=resume) as run:
        from datasets import Dataset

        from trainers.run.chat_template import load_tokenizer, report_template

        tokenizer = load_tokenizer(run.base_dir, config)
        examples = rendered_rows(examples, tokenizer, config, answers)
        measured = rendered_rows(held_out, tokenizer, config, ("chosen", "rejected")).rows if held_out else []
        model, adapter = load(run)
        trainer = make_trainer(
            run,
            model=model,
            train_dataset=Dataset.from_list(examples.rows),
            processing_class=rendered_tokenizer(tokenizer),
            peft_config=adapter,
            callbacks=[run.watch],
        )
        make_ready(run, trainer, tokenizer, examples.title)
        if load is language_model:
            report_template(run, tokenizer, end_tokens(trainer.model, tokenizer))
        before = _preferred(run, trainer.model, tokenizer, measured, scores)
        if not fit(run, trainer):
            return INTERRUPTED
        noted = TrainingManifest(data=examples.notes)
        if measured:
            found = compared(before, _preferred(run, trainer.model, tokenizer, measured, scores))
            noted = merged(noted, TrainingManifest(held_out=report(run, found)))
        return finish(run, trainer, noted)


def _preferred(
    run: TrainingRun[PreferenceConfig],
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    scores: Callable[[Any, Any, Sequence[Row], str], list[float]],
) -> list[bool]:
    """For each pair whether the chosen answer scores higher, in the type of numbers that is trained in.

    ORPO's trainer has norms in 32 bits and a head in 16: outside of autocast these can't be multiplied.
    """
    import torch

    with torch.autocast(model.device.type, dtype=run.dtype, enabled=run.dtype != torch.float32):
        return prefers_chosen(model, tokenizer, rows, scores)
