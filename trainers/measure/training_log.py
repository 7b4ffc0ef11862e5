"""What a trainer logged, one log a line in ``training_log.jsonl``: for the page of the training."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness.types.storage import parse_json, write_whole
from harness.types.training import LOG_FILE

_GIGABYTE = 1e9


class TrainingLog(TrainerCallback):
    """Writes each log with its step, the seconds since the beginning, and the memory so far."""

    def __init__(self, directory: Path, after: int = 0, noted: Mapping[str, float] = {}) -> None:
        """Write to ``training_log.jsonl`` in a directory.

        Args:
            directory: The work directory.
            after: Steps of earlier trainings whose log this one goes on with, such as rft's rounds.
            noted: Figures of the beginning, such as the reward of the answers that are learnt.
        """
        self._path = directory / LOG_FILE
        self._after, self._noted = after, noted
        self._started = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep what a resumed training had logged up to its checkpoint; its clock goes on from there."""
        if not state.is_world_process_zero:
            return
        start = self._after + state.global_step
        kept = [entry for entry in read_log(self._path) if entry["step"] <= start]
        if self._noted:
            # A beginning that is repeated after --resume was noted before.
            kept = [
                entry for entry in kept if not (entry["step"] == start and self._noted.keys() <= entry.keys())
            ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, "".join(map(_line, kept)))
        self._started = time.monotonic() - (kept[-1].get("time_s") or 0.0 if kept else 0.0)
        self._write(self._noted, start)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Append a log."""
        if logs and state.is_world_process_zero:
            self._write(logs, self._after + state.global_step)

    def _write(self, logs: Mapping[str, Any], step: int) -> None:
        numbers = {key: value for key, value in logs.items() if isinstance(value, int | float)}
        if not numbers:
            return
        time_s = round(time.monotonic() - self._started, 3)
        entry = {**numbers, "step": step, "time_s": time_s, "memory_gb": _memory_gb()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))


def read_log(path: Path) -> list[dict[str, Any]]:
    """The logs in a file; a last line that was cut off by a crash is left out.

    Args:
        path: The file; none if it is missing.
    """
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = parse_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            found.append(entry)
    return found


def _line(entry: Mapping[str, Any]) -> str:
    # Not a number is no JSON.
    plain = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in entry.items()
    }
    return json.dumps(plain) + "\n"


def _memory_gb() -> float | None:
    """The most memory so far: the GPU's, or this process's; None where that can't be known."""
    import torch

    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / _GIGABYTE, 3)
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / _GIGABYTE, 3)
