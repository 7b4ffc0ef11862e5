"""Progress for logs: a line every half a minute, where no terminal shows bars."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

EVERY_S = 30.0


class StageLines:
    """Says how far a long stage is: ``answering 60/270, about 4 min left, 3 lost so far``.

    Short stages say nothing. The lines come from a thread of their own: one batch may take minutes.

    Attributes:
        lost: How many cases are lost so far.
    """

    def __init__(self, write: Callable[[str], None], every_s: float | None = None) -> None:
        """Nothing is written before the first interval is over.

        Args:
            write: Writes a line.
            every_s: Seconds between two lines; half a minute by default.
        """
        self.lost = 0
        self._write = write
        self._every_s = EVERY_S if every_s is None else every_s
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        # The stage's name, finished and all parts, and the finished ones and time at its start.
        self._stage, self._done, self._total = "", 0, 0
        self._first, self._started = 0, time.monotonic()

    def show(self, stage: str, done: int, total: int) -> None:
        """Note the progress of a stage.

        Args:
            stage: Its name.
            done: Finished parts.
            total: All parts.
        """
        with self._lock:
            if stage != self._stage:
                self._stage, self._first, self._started = stage, done, time.monotonic()
            self._done, self._total = done, total

    def line(self) -> str:
        """The current line; empty before the first stage."""
        with self._lock:
            if not self._stage:
                return ""
            parts = [f"{self._stage} {self._done}/{self._total}"]
            computed = self._done - self._first
            if computed > 0 and self._done < self._total:
                each_s = (time.monotonic() - self._started) / computed
                parts.append(f"about {_duration(each_s * (self._total - self._done))} left")
            if self.lost:
                parts.append(f"{self.lost} lost so far")
        return ", ".join(parts)

    def __enter__(self) -> Self:
        """Begin to write lines."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write no more lines."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            if line := self.line():
                self._write(line)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"
