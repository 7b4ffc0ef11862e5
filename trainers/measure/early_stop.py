"""Stops training when a golden subset doesn't improve, and keeps the best step.

The cases that decide when to stop are part of the training: gate with others.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.engines.base import GenerationRequest
from harness.errors import PromptError, SettingsError
from harness.prompts.rendering import render_prompt
from harness.run.scoring import score_cases
from harness.types import Completion, GoldenCase, Outcome
from harness.types.storage import parse_json, write_whole
from trainers.config import EarlyStop, TrainingConfig
from trainers.measure.golden_subset import golden_subset
from trainers.measure.sampling import sample_answers
from trainers.run.checkpoint import whole_checkpoint
from trainers.run.processes import is_main_process, of_main_process
from trainers.run.training_run import TrainingRun

# The share of the subset that passes, among the library's metrics.
GOLDEN_METRIC = "eval_golden_passed"


class GoldenStop(TrainerCallback):
    """Answers the subset after each checkpoint and stops after ``patience`` of them without a new best."""

    def __init__(
        self,
        run: TrainingRun[TrainingConfig],
        settings: EarlyStop,
        tokenizer: Any,
        log: Callable[[dict[str, float]], None],
    ) -> None:
        """Load the subset.

        Args:
            run: The run.
            settings: The subset, and when to stop.
            tokenizer: The model's.
            log: The trainer's.

        Raises:
            InputError: The set can't be used, or the chat template refuses one of its cases.
        """
        self.scores: list[dict[str, int]] = []
        self._run, self._settings, self._tokenizer = run, settings, tokenizer
        self._log = log
        self._file = run.work / "golden_scores.json"
        self._cases, self._known = golden_subset(settings)
        self._requests = [self._request(case) for case in self._cases]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """After --resume the scores of earlier checkpoints still count."""
        if len(self._cases) < self._known:
            self._run.console.print(
                f"golden    {len(self._cases)} of {self._known} cases of early_stop.golden"
            )
        if self._file.is_file():
            with whole_checkpoint(self._file):
                scores = [dict(entry) for entry in parse_json(self._file.read_text(encoding="utf-8"))]
                self.scores = [entry for entry in scores if entry["step"] <= state.global_step]

    @property
    def best_step(self) -> int | None:
        """The first step with the most passed cases; None before the first checkpoint."""
        return self.scores[self._best()]["step"] if self.scores else None

    def _best(self) -> int:
        """Index of the first score with the most passed cases."""
        return max(range(len(self.scores)), key=lambda place: self.scores[place]["passed"])

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **_: Any,
    ) -> None:
        """Score the subset with the weights that were just saved, unless they were evaluated just before."""
        if not self.scores or self.scores[-1]["step"] != state.global_step:
            self._score(state, control, model)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        model: Any = None,
        **_: Any,
    ) -> None:
        """Score the subset; the share that passes joins the metrics by which the library chooses."""
        share = self._score(state, control, model)
        if metrics is not None:
            metrics[GOLDEN_METRIC] = share

    def _score(self, state: TrainerState, control: TrainerControl, model: Any) -> float:
        """The share of the subset that passes.

        Raises:
            SettingsError: No case has a verdict: any checkpoint would be as good as another.
        """
        results = score_cases(self._cases, self._answers(model))
        broken = [
            f"{result.case.key}: {fault.metric}: {fault.error}"
            for result in results
            for fault in result.errors[:1]
        ]
        if len(broken) == len(results):
            raise SettingsError(f"early_stop: step {state.global_step}: no case has a verdict: {broken[0]}")
        # On unlike devices one answer may be another; the processes keep one checkpoint, and stop together.
        passed = of_main_process(sum(result.outcome is Outcome.PASSED for result in results))
        n = len(results)
        self.scores.append({"step": state.global_step, "passed": passed, "n": n})
        if is_main_process():
            write_whole(self._file, json.dumps(self.scores))
        without = f"; {len(broken)} have no verdict, such as {broken[0]}" if broken else ""
        line = f"step {state.global_step}: {passed} of {n} golden cases pass{without}"
        self._run.console.print(line, markup=False)
        if len(self.scores) - 1 - self._best() >= self._settings.patience:
            self._run.console.print(f"no better for {self._settings.patience} checkpoints: stopping early")
            control.should_training_stop = True
        share = passed / n
        self._log({GOLDEN_METRIC: share})
        return share

    def _answers(self, model: Any) -> dict[str, Completion]:
        """Each case's most probable answer, by key, rendered and decoded as in the gate."""
        answers = sample_answers(model, self._tokenizer, self._requests)
        return {
            request.key: Completion(
                text=answer.text,
                reasoning=answer.reasoning,
                stop_reason="stop",
                prompt_tokens=0,
                completion_tokens=0,
                latency_s=0.0,
            )
            for request, answer in zip(self._requests, answers, strict=True)
        }

    def _request(self, case: GoldenCase) -> GenerationRequest:
        """The request for a greedy answer, with training's values for the chat template."""
        usual = self._run.config.chat_template_kwargs
        kwargs = {**usual, **case.generation.chat_template_kwargs}
        settings = replace(case.generation, temperature=0.0, chat_template_kwargs=kwargs)
        try:
            prompt = render_prompt(self._tokenizer, case.messages, settings)
        except PromptError as error:
            raise SettingsError(f"early_stop: {case.key}: {error}") from error
        return GenerationRequest(
            key=case.key, side="trained", messages=case.messages, settings=settings, prompt=prompt
        )


def keep_best(run: TrainingRun[TrainingConfig], stop: GoldenStop, trainer: Any) -> dict[str, Any]:
    """Put the best checkpoint's weights into the trained model.

    Args:
        run: The run.
        stop: The callback that scored the checkpoints.
        trainer: TRL's trainer, finished; its model is changed.

    Returns:
        Its notes in the manifest.

    Raises:
        SettingsError: The best checkpoint is gone.
    """
    best = stop.best_step
    if best is not None:
        # Also where it is the last step: the library may have loaded another checkpoint since.
        directory = run.work / "checkpoints" / f"checkpoint-{best}"
        if not directory.is_dir():
            raise SettingsError(f"early_stop: {directory}, the best checkpoint, was deleted; train again")
        _load(trainer.accelerator.unwrap_model(trainer.model), str(directory))
        run.console.print(f"kept      the weights of step {best}, the best on the golden subset")
    return {"best_step": best, "scores": stop.scores}


def _load(model: Any, checkpoint: str) -> None:
    """A checkpoint's weights: the adapter's, or all."""
    if hasattr(model, "peft_config"):
        from peft import load_peft_weights, set_peft_model_state_dict

        set_peft_model_state_dict(model, load_peft_weights(checkpoint, device="cpu"))
    else:
        from transformers import AutoModelForCausalLM

        model.load_state_dict(AutoModelForCausalLM.from_pretrained(checkpoint, dtype="auto").state_dict())
