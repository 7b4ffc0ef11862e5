"""What a plug-in may not change in the process that loads it: its folder, locale, signals, and how it ends.

Paths in settings are relative to the working directory, Ctrl-C and SIGTERM end a gate in an orderly way, and
an exit handler that fails would print a traceback after the verdict.
"""

import atexit
import locale
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.errors import first_line

# Those that end a gate, that tell of a closed pipe, and without which a program's exit status is lost.
_SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGCHLD", "SIGALRM")
    if hasattr(signal, name)
]


@contextmanager
def guarded_process(source: str, warn: Callable[[str], None]) -> Iterator[list[str]]:
    """Restore what a plug-in's code changes in the process; its exit handlers can't fail.

    Args:
        source: The plug-in's name in warnings.
        warn: Called when the process ends with the warning of an exit handler that failed.

    Yields:
        The list of what was changed, filled at the end.
    """
    changed: list[str] = []
    folder, language = _folder(), locale.setlocale(locale.LC_ALL)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    register = atexit.register

    def register_guarded(function: Callable[..., Any], *arguments: Any, **named: Any) -> Callable[..., Any]:
        register(_ExitHandler(function, source, warn), *arguments, **named)
        return function

    atexit.register = register_guarded  # type: ignore[assignment] # the same call
    try:
        yield changed
    finally:
        atexit.register = register
        if _folder() != folder and folder is not None:
            with suppress(OSError):
                os.chdir(folder)
            changed.append("working directory")
        if locale.setlocale(locale.LC_ALL) != language:
            locale.setlocale(locale.LC_ALL, language)
            changed.append("locale")
        restored = [_restore_signal(number, handler) for number, handler in handlers.items()]
        if any(restored):
            changed.append("signal handlers")


class _ExitHandler:
    """A function that runs when the process ends, whose failure is one line."""

    def __init__(self, function: Callable[..., Any], source: str, warn: Callable[[str], None]) -> None:
        self._function, self._source, self._warn = function, source, warn

    def __call__(self, *arguments: Any, **named: Any) -> None:
        try:
            self._function(*arguments, **named)
        except BaseException as error:  # also SystemExit: the exit status is the gate's
            with suppress(OSError, ValueError):  # the output is closed
                self._warn(f"plug-in {self._source}: its exit handler failed: {first_line(error)}")

    def __eq__(self, other: object) -> bool:
        """``atexit.unregister`` gets the function itself."""
        return self is other or self._function == other

    def __hash__(self) -> int:
        return hash(self._function)


def _folder() -> Path | None:
    """The working directory; None if it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def _restore_signal(number: int, handler: Any) -> bool:
    """Whether a handler was another one; it is restored where Python can: not outside the main thread."""
    # None: it was set below Python.
    if handler is None or signal.getsignal(number) == handler:
        return False
    with suppress(ValueError):
        signal.signal(number, handler)
    return True
