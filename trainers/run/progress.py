"""The terminal's output during training: a bar with loss and ETA."""

import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.errors import SettingsError
from harness.types.training import StepLoss
from trainers.run.processes import of_any_process
from trainers.unread_keys import warmup_problem
from tunegate.interrupts import end_forked_child


class Watch(TrainerCallback):
    """Shows progress, stores the losses, and turns the first Ctrl-C into a clean stop with a checkpoint."""

    def __init__(self, console: Console) -> None:
        """Show on ``console``; on anything but a terminal a line every tenth of the run."""
        self.losses: list[StepLoss] = []
        self.interrupted = False
        self._console = console
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps  loss {task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=None, loss="–")

    def start(self, *, done: int, total: int) -> None:
        """Start the bar.

        Args:
            done: Finished steps of a resumed run.
            total: Steps of the whole run.
        """
        self._bar.start()
        self._bar.update(self._task, total=total, completed=done)

    def show(self, *, step: int, total: int, loss: float) -> None:
        """Store and show the loss of a step.

        Args:
            step: The optimizer step, from 1.
            total: Steps of the whole run.
            loss: In nats, or the method's own unit.
        """
        self.losses.append(StepLoss(step=step, loss=loss))
        self._bar.update(self._task, completed=step, loss=f"{loss:.3f}")
        if not self._console.is_terminal and (step % max(total // 10, 1) == 0 or step == 1):
            self._console.print(f"step {step}/{total}  loss {loss:.3f}", highlight=False)

    def close(self) -> None:
        """Leave the finished bar on the screen."""
        self._bar.stop()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the bar at the step that a resumed run has reached.

        Raises:
            SettingsError: The rate would never reach its peak.
        """
        # Only here the steps of epochs are known.
        if problem := warmup_problem(args.get_warmup_steps(state.max_steps), state.max_steps):
            raise SettingsError(problem)
        self.losses = [
            StepLoss(step=int(entry["step"]), loss=float(entry["loss"]))
            for entry in state.log_history
            if "loss" in entry
        ]
        self.start(done=state.global_step, total=state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Store and show the loss."""
        if not logs or "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            # Training can't continue, and a checkpoint would be useless; older ones stay.
            control.should_training_stop = True
            control.should_save = False
        self.show(step=state.global_step, total=state.max_steps, loss=loss)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop after the current step when Ctrl-C was pressed, or a signal came to any process."""
        if of_any_process(self.interrupted, args.device):
            self.interrupted = True
            control.should_save = True
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Leave the finished bar on the screen."""
        self.close()

    def _announce(self, line: str) -> None:
        """Show a line from a signal's handler.

        The signal may come while another line is written, and Python's buffered files can't be entered twice.
        """
        try:
            number = self._console.file.fileno()
        except (OSError, ValueError):
            self._console.print(line)
            return
        if not self._console.quiet:
            with suppress(OSError):
                os.write(number, f"{line}\n".encode())

    @contextmanager
    def stop_on_interrupt(self) -> Iterator[None]:
        """The first Ctrl-C or SIGTERM ends training after its step; a second one ends the process at once."""
        process = os.getpid()

        def note(signal_number: int, frame: object) -> None:
            if signal_number == signal.SIGTERM:
                end_forked_child(process, signal_number)
            if os.getpid() != process:
                return  # Ctrl-C reaches a loader's workers too; they are still needed for this step
            self.interrupted = True
            self._announce("stopping after this step; press Ctrl-C again to stop at once")
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, terminated)

        terminated = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
        before = signal.signal(signal.SIGINT, note)
        signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, terminated)
