"""Continual pretraining: the next token of raw text, several documents packed into one row, each for itself.

    python -m trainers.methods.continual CONFIG.yaml [--output DIR] [--resume]

The loss, over all tokens u_t of the text (Radford et al. 2018, Improving Language Understanding by
Generative Pre-Training, equation 1); there is no chat format:

    L = - mean_t log π(u_t | u_<t)

A document u ends with the tokenizer's end token; one that is longer than ``max_length`` is cut into windows.
No window sees another one of its row: where a model can't keep them apart, each is a row of its own.

TRL: ``SFTTrainer``, with ``packing``. The loss on held-out text is recorded before and after. The base's
other knowledge is easily lost: gate the result, and mix general text into the data.

Gururangan et al. (2020), Don't Stop Pretraining, arXiv:2004.10964.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from harness.prompts.tokenizers import from_files
from harness.types.training import TrainingManifest
from trainers.config import TrainingConfig, listed
from trainers.data.leakage import without_leaks
from trainers.data.rows import Row
from trainers.data.texts import load_texts
from trainers.run.entry import run_module
from trainers.run.manifest import merged
from trainers.run.training_run import INTERRUPTED, TrainingRun
from trainers.shared.lifecycle import fit, method_run
from trainers.shared.preparation import make_ready
from trainers.shared.result import finish


class ContinualConfig(TrainingConfig):
    """Continual pretraining."""

    eval_data: Annotated[
        tuple[Path, ...],
        BeforeValidator(listed),
        Field(description="Held-out texts: the loss of their windows is recorded before and after."),
    ] = ()
    max_length: Annotated[int, Field(ge=8, description="Tokens of a packed row.")] = 512
    unread: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("chat_template", "chat_template_kwargs", "date"),
        "raw text is learnt without a chat template; leave it out",
    ) | {"overlong": "raw text is packed into rows of max_length; leave it out"}


def train(config: ContinualConfig, *, resume: bool = False) -> int:
    """Train as configured.

    Args:
        config: The run's configuration.
        resume: Continue from the last checkpoint.

    Returns:
        0, or 2 after Ctrl-C.

    Raises:
        InputError: Data, base model or settings can't be used.
    """
    texts = without_leaks(load_texts(config.data, config.max_rows), config)
    held_out = load_texts(config.eval_data).rows if config.eval_data else []
    with method_run("continual", config, texts.sha256, resume=resume) as run:
        from datasets import Dataset
        from trl import SFTConfig as TrlConfig
        from trl import SFTTrainer

        from trainers.run.adapters import load_trainable
        from trainers.run.arguments import trl_arguments

        tokenizer = from_files(run.base_dir)
        model, adapter = load_trainable(config, run.base_dir, run.dtype)
        apart = _why_not_packed(model, adapter)
        if apart is not None:
            run.console.print(f"packing   none: {apart}, so each document is a row of its own")
        trainer = SFTTrainer(
            model=model,
            args=trl_arguments(
                TrlConfig,
                run,
                max_length=config.max_length,
                packing=apart is None,
                packing_strategy="bfd",
            ),
            train_dataset=Dataset.from_list(windows(texts.rows, tokenizer, config.max_length)),
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=[run.watch],
        )
        make_ready(run, trainer, tokenizer, texts.title)
        before = window_losses(trainer.model, tokenizer, held_out, config.max_length)
        if not fit(run, trainer):
            return INTERRUPTED
        noted = TrainingManifest(data=texts.notes)
        if held_out:
            after = window_losses(trainer.model, tokenizer, held_out, config.max_length)
            noted = merged(noted, TrainingManifest(held_out=_compared(run, before, after)))
        return finish(run, trainer, noted)


def windows(rows: Sequence[Row], tokenizer: Any, size: int) -> list[Row]:
    """The tokens of documents, cut where they are longer than a row; no text is left out.

    Args:
        rows: Rows with ``text``.
        tokenizer: The base's; a document ends with its end token, if it has one.
        size: Most tokens of a window. A last one of a single token is left out: nothing comes before it.

    Returns:
        Rows with ``input_ids``, in the documents' order.
    """
    found: list[Row] = []
    for row in rows:
        ids = list(tokenizer(row["text"])["input_ids"])
        if tokenizer.eos_token_id is not None and ids[-1:] != [tokenizer.eos_token_id]:
            ids.append(tokenizer.eos_token_id)
        starts = range(0, len(ids), size)
        found += [{"input_ids": part} for start in starts if len(part := ids[start : start + size]) > 1]
    return found


def _why_not_packed(model: Any, adapter: Any) -> str | None:
    """Why documents can't share a row; None if the model keeps them apart.

    Args:
        model: The model, or PEFT's around it.
        adapter: PEFT's configuration of a new adapter, or None.
    """
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from trainers.run.packing import VIRTUAL, why_not_packed

    learnt = adapter if adapter is not None else getattr(model, "active_peft_config", None)
    if learnt is not None and learnt.is_prompt_learning:
        return VIRTUAL
    return why_not_packed(model, DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True))


def window_losses(model: Any, tokenizer: Any, rows: Sequence[Row], size: int) -> list[float]:
    """Mean cross-entropy of each window of the texts, in nats per token.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        rows: Rows with ``text``.
        size: Tokens of a window; a text's last one may be shorter, and one of a single token is left out.

    Returns:
        One number per window, in the texts' order.
    """
    import torch

    was_training = model.training
    model.eval()
    found: list[float] = []
    for row in rows:
        ids = tokenizer(row["text"], return_tensors="pt")["input_ids"].to(model.device)
        for window in ids.split(size, dim=1):
            if window.shape[1] > 1:
                with torch.inference_mode():
                    found.append(float(model(input_ids=window, labels=window).loss))
    model.train(was_training)
    return found


def _compared(
    run: TrainingRun[ContinualConfig], before: Sequence[float], after: Sequence[float]
) -> dict[str, Any]:
    """Mean change of the loss with Student's interval over windows."""
    from harness.statistics.clusters import mean_interval

    changes = [now - was for was, now in zip(before, after, strict=True)]
    change = mean_interval(changes, range(len(changes)), unit=1.0)
    found = {
        "n": len(changes),
        "before_nats_per_token": math.fsum(before) / len(before),
        "after_nats_per_token": math.fsum(after) / len(after),
        "change": {
            "estimate": change.estimate,
            "low": change.low,
            "high": change.high,
            "confidence": change.confidence,
        },
    }
    run.console.print(
        f"held out  loss of {len(changes)} windows {found['before_nats_per_token']:.3f} before, "
        f"{found['after_nats_per_token']:.3f} after, change {change.estimate:+.3f} "
        f"[{change.low:+.3f}, {change.high:+.3f}] nats/token"
    )
    return found


if __name__ == "__main__":
    sys.exit(run_module("trainers.methods.continual", ContinualConfig, train))
