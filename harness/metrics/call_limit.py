"""A project's or plug-in's function that does not end is interrupted, and the session ends with its name."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from harness.errors import OverdueError
from tunegate.exit_status import ExitStatus
from tunegate.printable import say

# What a function may take for one answer where its check does not say; for each further one that it is given
# with it; and at most. As many times the first as there are answers would be days for a set.
LIMIT_S, FURTHER_S, MOST_S = 600.0, 5.0, 3600.0
# A function that goes on after that is known by its name.
_SLOW_S = 60.0
_STEP_S = 0.5
# How many interrupts, one a step, a function may ignore; then the process is ended. Counted and not timed: in
# a process that was stopped for long, it has ignored none.
_MOST_INTERRUPTS = 20
# An interrupt that was sent reaches its thread in less.
_SETTLE_S = 0.01
_T = TypeVar("_T")

_spared: ContextVar[bool] = ContextVar("spared", default=False)
# Held to send an interrupt and to close a call: none is sent to a call that was closed.
_lock = threading.Lock()


@dataclass(slots=True, eq=False)
class _Call:
    """One call of a function.

    Attributes:
        place: The case and the check.
        limit_s: What it may take, in seconds.
        work: What it may take that for.
        is_spared: The process goes on, whatever the function does.
        interrupts: How often it was interrupted, or would have been in the main thread.
    """

    place: str
    limit_s: float
    work: str = "one answer"
    thread: threading.Thread = field(default_factory=threading.current_thread)
    started_s: float = field(default_factory=time.monotonic)
    is_spared: bool = field(default_factory=_spared.get)
    is_slow: bool = False
    interrupts: int = 0

    @property
    def problem(self) -> str:
        return f"{self.place} did not end within {self.limit_s:g} s for {self.work}"

    def look(self) -> None:
        """Name a slow function, interrupt an overdue one, and end the process where that has no effect."""
        taken_s = time.monotonic() - self.started_s
        if taken_s > _SLOW_S and not self.is_slow:
            self.is_slow = True
            _tell(f"{self.place} has been running for {_SLOW_S:g} s")
        if taken_s <= self.limit_s:
            return
        with _lock:
            if self in _calls:
                self._interrupt()

    def _interrupt(self) -> None:
        if self.interrupts == _MOST_INTERRUPTS and self.is_spared:
            _tell(f"{self.problem}, nor when it was interrupted; this process waits for it")
        elif self.interrupts == _MOST_INTERRUPTS:
            _tell(f"ERROR: {self.problem}, nor when it was interrupted")
            os._exit(ExitStatus.BAD_INPUT)
        self.interrupts += 1
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
def spared_process() -> Iterator[None]:
    """Never end the process for a function that can't be interrupted: it holds more than these answers."""
    token = _spared.set(True)
    try:
        yield
    finally:
        _spared.reset(token)


def limited_call(
    function: Callable[[], _T], place: str, limit_s: float = LIMIT_S, work: str = "one answer"
) -> _T:
    """Call a function, interrupt it if it takes too long, and refuse its result then.

    No context manager: an interrupt would be lost between the end of the block and the manager's own lines.

    Args:
        function: The function.
        place: The case and the check, for the message.
        limit_s: What it may take, in seconds.
        work: What it may take that for, for the message.

    Raises:
        OverdueError: It took longer. What else it raised then is of the interrupt.
    """
    if not any(each.is_alive() for each in _watchers):
        _watchers[:] = [threading.Thread(target=_watch, name="call-limit", daemon=True)]
        _watchers[0].start()
    call = _Call(place, limit_s, work)
    _calls.append(call)
    try:
        try:
            value = function()
        finally:
            _close(call)
    except BaseException:
        # The interrupt may have come while the call was closed.
        while call in _calls:
            with suppress(BaseException):
                _close(call)
        if not call.interrupts:
            raise
    else:
        if not call.interrupts:
            return value
    raise OverdueError(call.problem)


def limited_batch(function: Callable[[], _T], place: str, answers: int) -> _T:
    """As ``limited_call``, of a function that is given one answer or several at once.

    Args:
        function: The function.
        place: The check or the reward, for the message.
        answers: How many it is given.

    Raises:
        OverdueError: It took longer than the limit for so many.
    """
    limit_s = min(LIMIT_S + FURTHER_S * (answers - 1), MOST_S)
    return limited_call(function, place, limit_s, "one answer" if answers == 1 else f"{answers} answers")


def _close(call: _Call) -> None:
    """No interrupt is sent after it; one that was sent before comes within it."""
    with _lock:
        _calls.remove(call)
    if call.interrupts:
        time.sleep(_SETTLE_S)


def _watch() -> None:
    while True:
        time.sleep(_STEP_S)
        for call in tuple(_calls):
            call.look()


def _tell(line: str) -> None:
    """Write a line at once: whoever waits has to see it, also where pytest captures the output."""
    with suppress(OSError, ValueError, AttributeError):
        say(f"tunegate: {line}", err=True, to=sys.__stderr__)
