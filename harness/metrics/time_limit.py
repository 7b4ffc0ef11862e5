"""A limit on the processor time of one regular expression.

A golden set's pattern, or a pattern inside its JSON Schema, can backtrack for longer than anyone waits
(``(a+)+$`` on sixty letters). Python's ``re`` offers no limit and keeps the interpreter lock, so a
helper thread could not stop it; it does look for signals while matching, so a timer signal can. The
timer counts processor time: a busy machine does not shorten it.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import TunegateError

SECONDS = 1.0


class TooSlowError(TunegateError):
    """A pattern was stopped because it took too long."""


@contextmanager
def processor_time_limit(what: str, seconds: float = SECONDS) -> Iterator[None]:
    """Stop the block when it has used the given processor time.

    Signals reach the main thread of a Unix process only; anywhere else the block runs without a limit.

    Args:
        what: Names the pattern in the message.
        seconds: Processor time of the process, in seconds.

    Raises:
        TooSlowError: The time was up.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlowError(
            f"{what} took more than {seconds:g} s of processor time on this answer: it backtracks. "
            "Rewrite nested repetitions such as (a+)+ or (.*)*"
        )

    previous = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
