"""Stop when a golden subset gets no better, and keep the step at which it was best.

The cases that decide when to stop are part of the training: gate with others.
"""

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.golden.load import load_golden_set
from harness.scoring import score_cases
from harness.types import Completion, GoldenCase, Outcome
from trainers.config import EarlyStop
from trainers.run import TrainingRun

_BATCH = 16


class GoldenStop(TrainerCallback):
    """Answers the subset after each checkpoint and stops after ``patience`` of them without a new best."""

    def __init__(self, run: TrainingRun, settings: EarlyStop, tokenizer: Any) -> None:
        """Load the subset.

        Raises:
            GoldenError: The set can't be used.
        """
        self.scores: list[dict[str, int]] = []
        self._run, self._settings, self._tokenizer = run, settings, tokenizer
        cases = [
            case for path in settings.golden for case in load_golden_set(path).cases if case.skip is None
        ]
        self._cases = cases[: settings.max_cases]

    @property
    def best_step(self) -> int | None:
        """The first step with the most passed cases."""
        best = max(self.scores, key=lambda score: (score["passed"], -score["step"]), default=None)
        return None if best is None else best["step"]

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        **_: Any,
    ) -> None:
        """Score the subset with the weights that were just saved."""
        answers = dict(zip((case.key for case in self._cases), self._answers(model), strict=True))
        outcomes = [result.outcome for result in score_cases(self._cases, answers)]
        passed = outcomes.count(Outcome.PASSED)
        self.scores.append({"step": state.global_step, "passed": passed, "n": len(outcomes)})
        self._run.console.print(f"step {state.global_step}: {passed} of {len(outcomes)} golden cases pass")
        since = [score["step"] for score in self.scores].index(self.best_step)
        if len(self.scores) - 1 - since >= self._settings.patience:
            self._run.console.print(f"no better for {self._settings.patience} checkpoints: stopping early")
            control.should_training_stop = True

    def _answers(self, model: Any) -> list[Completion]:
        import torch

        was_training = model.training
        model.eval()
        found: list[Completion] = []
        for start in range(0, len(self._cases), _BATCH):
            cases = self._cases[start : start + _BATCH]
            batch = self._tokenizer(
                [self._prompt(case) for case in cases],
                add_special_tokens=False,
                padding=True,
                padding_side="left",
                return_tensors="pt",
            ).to(model.device)
            longest = max(case.generation.max_new_tokens for case in cases)
            with torch.inference_mode():
                rows = model.generate(**batch, max_new_tokens=longest, do_sample=False, use_cache=True)
            found += self._completions(cases, rows[:, batch["input_ids"].shape[1] :])
        model.train(was_training)
        return found

    def _prompt(self, case: GoldenCase) -> str:
        turns = [{"role": message.role, "content": message.content} for message in case.messages]
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def _completions(self, cases: Sequence[GoldenCase], rows: Any) -> list[Completion]:
        texts = [
            self._tokenizer.decode(row[: case.generation.max_new_tokens], skip_special_tokens=True)
            for case, row in zip(cases, rows, strict=True)
        ]
        return [
            Completion(text=text, stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0.0)
            for text in texts
        ]


def keep_best(run: TrainingRun, stop: GoldenStop, trainer: Any) -> dict[str, Any]:
    """Put the best checkpoint's adapter into the trained model.

    Returns:
        What the manifest says of it.
    """
    from peft import load_peft_weights, set_peft_model_state_dict

    best = stop.best_step
    if best is not None and best != trainer.state.global_step:
        directory = run.work / "checkpoints" / f"checkpoint-{best}"
        model = trainer.accelerator.unwrap_model(trainer.model)
        set_peft_model_state_dict(model, load_peft_weights(str(directory), device="cpu"))
        run.console.print(f"kept      the adapter of step {best}, the best on the golden subset")
    return {"best_step": best, "scores": stop.scores}
