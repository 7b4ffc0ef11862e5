"""A project's own function that does not end is interrupted, and the session ends with its name."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from harness.errors import OverdueError
from tunegate.exit_status import ExitStatus
from tunegate.printable import say

# What a function may take for one answer where its check does not say.
LIMIT_S = 600.0
# A function that goes on after that is known by its name.
_SLOW_S = 60.0
# How long a function may ignore that it is interrupted; then the process is ended.
_GRACE_S = 10.0
_STEP_S = 0.5


@dataclass(slots=True, eq=False)
class _Call:
    """One call of a function.

    Attributes:
        place: The case and the check.
        limit_s: What it may take, in seconds.
    """

    place: str
    limit_s: float
    thread: threading.Thread = field(default_factory=threading.current_thread)
    started_s: float = field(default_factory=time.monotonic)
    is_slow: bool = False
    is_overdue: bool = False

    @property
    def problem(self) -> str:
        return f"{self.place} did not end within {self.limit_s:g} s for one answer"

    def look(self) -> None:
        """Name a slow function, interrupt an overdue one, and end the process where that has no effect."""
        taken_s = time.monotonic() - self.started_s
        if taken_s > _SLOW_S and not self.is_slow:
            self.is_slow = True
            _tell(f"{self.place} has been running for {_SLOW_S:g} s")
        if taken_s <= self.limit_s:
            return
        self.is_overdue = True
        if taken_s > self.limit_s + _GRACE_S:
            _tell(f"ERROR: {self.problem}, nor when it was interrupted")
            os._exit(ExitStatus.BAD_INPUT)
        # Of a process in the background, SIGINT is ignored.
        numbers = [each for each in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(each))]
        if self.thread is not threading.main_thread() or not numbers:
            return
        if sys.platform == "win32":
            signal.raise_signal(numbers[0])
        else:
            # Not to the process: another thread would get it, and a function that sleeps would sleep on.
            signal.pthread_kill(self.thread.ident or 0, numbers[0])


_calls: list[_Call] = []
_watchers: list[threading.Thread] = []


@contextmanager
def limited_call(place: str, limit_s: float = LIMIT_S) -> Iterator[None]:
    """Interrupt a function that takes too long, and refuse its result.

    Args:
        place: The case and the check, for the message.
        limit_s: What it may take, in seconds.

    Raises:
        OverdueError: It took longer. What else it raised then is of the interrupt.
    """
    if not any(each.is_alive() for each in _watchers):
        _watchers[:] = [threading.Thread(target=_watch, name="call-limit", daemon=True)]
        _watchers[0].start()
    call = _Call(place, limit_s)
    _calls.append(call)
    try:
        try:
            yield
        finally:
            _calls.remove(call)
    except BaseException:
        # The interrupt may have come while the call was taken from the list.
        with suppress(ValueError):
            _calls.remove(call)
        if not call.is_overdue:
            raise
    if call.is_overdue:
        raise OverdueError(call.problem)


def _watch() -> None:
    while True:
        time.sleep(_STEP_S)
        for call in tuple(_calls):
            call.look()


def _tell(line: str) -> None:
    """Write a line at once: whoever waits has to see it, also where pytest captures the output."""
    with suppress(OSError, ValueError, AttributeError):
        say(f"tunegate: {line}", err=True, to=sys.__stderr__)
