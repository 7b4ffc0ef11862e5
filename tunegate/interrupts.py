"""SIGTERM, with which CI and schedulers stop a job, ends a command as Ctrl-C does."""

import os
import signal
import threading
from collections.abc import Callable


def interrupt_by_sigterm() -> Callable[[], None]:
    """Let SIGTERM raise ``KeyboardInterrupt`` in this process, unless something else handles it.

    Returns:
        A function that undoes it.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    process, before = os.getpid(), signal.getsignal(signal.SIGTERM)

    def undo() -> None:
        signal.signal(signal.SIGTERM, before)

    def stop(number: int, frame: object) -> None:
        end_forked_child(process, number)
        raise KeyboardInterrupt

    if before is not signal.SIG_DFL:
        return lambda: None
    signal.signal(signal.SIGTERM, stop)
    return undo


def end_forked_child(parent: int, number: int) -> None:
    """End a forked child by a signal, as it would end without the handler that it inherited.

    Args:
        parent: The process that set the handler.
        number: The signal.
    """
    if os.getpid() != parent:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
