"""Held-out answers while answers are learnt: their loss at each checkpoint, and what the model answers.

The library evaluates, and loads the checkpoint with the lowest loss at the end (``load_best_model_at_end``);
with ``early_stop.golden`` the one with the most passed golden cases.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.engines.base import GenerationRequest
from harness.errors import SettingsError
from harness.types.storage import write_whole
from harness.types.training import HELD_OUT_ANSWERS_FILE
from trainers.config import TrainingConfig, rendering_of
from trainers.data.rendered_prompts import messages_of
from trainers.data.rows import Examples, Row
from trainers.data.turns import said
from trainers.measure.early_stop import GOLDEN_METRIC
from trainers.measure.sampling import sample_answers
from trainers.measure.training_log import read_log
from trainers.run.training_run import TrainingRun
from tunegate.printable import shown_value

_LOSS = "eval_loss"
_ASKED, _MOST_TOKENS = 4, 256


def evaluation_arguments(config: TrainingConfig, *, measured: bool) -> dict[str, Any]:
    """TRL's keys for an evaluation at each checkpoint.

    Args:
        config: The run's configuration.
        measured: Whether there are held-out rows; without, there is nothing to evaluate.

    Returns:
        Keyword arguments for TRL's configuration class.
    """
    if not measured:
        return {}
    golden = bool(config.early_stop.golden)
    return {
        "eval_strategy": "steps",
        "eval_steps": config.save_steps,
        "per_device_eval_batch_size": config.batch_size,
        "load_best_model_at_end": True,
        "metric_for_best_model": GOLDEN_METRIC if golden else _LOSS,
        "greater_is_better": golden,
        # Which metrics there are is known from the first evaluation on: a wrong name may cost no steps.
        "eval_on_start": "metric_for_best_model" in config.trl,
    }


def rows_in_both(examples: Examples, held_out: Examples) -> int:
    """How many held-out rows are training rows too, so that their loss says nothing.

    Args:
        examples: The training data.
        held_out: The held-out data.
    """
    known = {json.dumps(row, sort_keys=True) for row in examples.rows}
    return sum(json.dumps(row, sort_keys=True) in known for row in held_out.rows)


class HeldOutLoss(TrainerCallback):
    """Evaluates at the last step too, shows each loss, and answers the first few prompts.

    Attributes:
        losses: Step and loss of each evaluation.
    """

    def __init__(
        self, run: TrainingRun[TrainingConfig], tokenizer: Any, examples: Examples, held_out: Examples
    ) -> None:
        """Say if held-out rows are learnt.

        Args:
            run: The run.
            tokenizer: The model's.
            examples: The training data.
            held_out: The held-out data; its first prompts are answered at each evaluation.
        """
        self.losses: list[tuple[int, float]] = []
        self._rows_measured = len(held_out.rows)
        if both := rows_in_both(examples, held_out):
            run.console.print(
                f"held out  {both} of {len(held_out.rows)} rows of eval_data are in data too: their loss "
                f"says nothing about other rows"
            )
        self._run, self._tokenizer = run, tokenizer
        self._rows = held_out.rows[:_ASKED]
        self._path = run.work / HELD_OUT_ANSWERS_FILE

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """After --resume the losses and answers up to the checkpoint still count."""
        self.losses = [
            (int(entry["step"]), float(entry[_LOSS])) for entry in state.log_history if _LOSS in entry
        ]
        if state.is_world_process_zero:
            kept = [entry for entry in read_log(self._path) if entry["step"] <= state.global_step]
            write_whole(self._path, "".join(map(_line, kept)))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The last step is saved, whatever ``save_steps`` is: it is measured as well."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        model: Any = None,
        **_: Any,
    ) -> None:
        """Show the loss, and store some answers.

        Raises:
            SettingsError: The evaluation has no metric of the name that ``trl`` gives.
        """
        self._require_metric(metrics or {})
        loss = (metrics or {}).get(_LOSS, math.nan)
        self.losses.append((state.global_step, loss))
        self._run.console.print(f"step {state.global_step}: held-out loss {loss:.4f}", highlight=False)
        if state.is_world_process_zero:
            self._store_answers(state.global_step, model)

    def _require_metric(self, metrics: Mapping[str, float]) -> None:
        wanted = self._run.config.trl.get("metric_for_best_model")
        known = sorted(metrics.keys() - {"epoch"})
        if wanted is not None and not {wanted, f"eval_{wanted}"} & set(known):
            raise SettingsError(
                f"trl.metric_for_best_model: found {shown_value(wanted)} (allowed: {', '.join(known)})"
            )

    def notes(self, trainer: Any) -> dict[str, Any]:
        """The manifest's section; also printed.

        Args:
            trainer: The trainer, finished; it has loaded its best checkpoint.
        """
        kept = trainer.state.best_global_step
        by = dict(self.losses)
        if kept is not None and kept in by:
            self._run.console.print(f"kept      the checkpoint of step {kept}, held-out loss {by[kept]:.4f}")
        return {
            "figure": "nats per token",
            "n": self._rows_measured,
            "best_step": kept,
            "losses": [
                {"step": step, "loss": loss if math.isfinite(loss) else None} for step, loss in self.losses
            ],
        }

    def _store_answers(self, step: int, model: Any) -> None:
        answers = sample_answers(model, self._tokenizer, [self._request(row) for row in self._rows])
        with self._path.open("a", encoding="utf-8") as file:
            for row, answer in zip(self._rows, answers, strict=True):
                entry = {
                    "step": step,
                    "prompt": said(row["prompt"][-1]),
                    "answer": answer.text,
                    "reference": said(row["completion"][0]),
                }
                file.write(_line(entry))

    def _request(self, row: Row) -> GenerationRequest:
        settings = rendering_of(self._run.config, row.get("tools", ()))
        settings = replace(settings, temperature=0.0, max_new_tokens=_MOST_TOKENS)
        return GenerationRequest(key="held-out", side="trained", messages=messages_of(row), settings=settings)


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"
