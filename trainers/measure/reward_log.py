"""The terminal's output while a policy learns from rewards: the reward, and one of its answers."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainers.config import RunConfig
from trainers.measure.samples import read_samples
from trainers.run.training_run import TrainingRun
from tunegate.figures import figure_of

_SHOWN = 60


class RewardLog(TrainerCallback):
    """Prints reward and a sample every tenth of the run."""

    def __init__(self, run: TrainingRun[RunConfig]) -> None:
        """Show samples of the work directory on the run's console."""
        self._run = run

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Show the step's reward and its best answer."""
        tenth = max(state.max_steps // 10, 1)
        if not logs or "reward" not in logs or not (state.global_step == 1 or state.global_step % tenth == 0):
            return
        parts = ", ".join(
            f"{name.removeprefix('rewards/')} {figure_of(value, 3)}"
            for name, value in logs.items()
            if name.startswith("rewards/") and name.count("/") == 1
        )
        kl = f"  kl {logs['kl']:.4f}" if logs.get("kl") is not None else ""
        self._run.console.print(f"  reward  {figure_of(logs['reward'], 3)} ({parts}){kl}")
        here = [sample for sample in read_samples(self._run.work) if sample.step == state.global_step]
        if here:
            best = max(here, key=lambda sample: sample.reward)
            self._run.console.print(
                f"  sample  {_short(best.prompt)} → {_short(best.answer)}  {figure_of(best.reward, 3)}",
                markup=False,
            )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else "…" + line[1 - _SHOWN :])
