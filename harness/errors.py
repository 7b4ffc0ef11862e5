"""All errors of tunegate, as one tree.

TunegateError
├── InputError            for the user to fix: shown as one line, pytest exit status 4
│   ├── SettingsError     an option, environment variable or [tool.tunegate] key
│   ├── GoldenError       a golden set: file, line, key, what was found, what is allowed
│   │   └── GoldenFaultsError  all faults of one file
│   ├── DataError         a training file or another tool's log: file, line, what was found
│   ├── ModelError        a base model that is missing, damaged or not the requested one
│   │   └── NoneAnsweredError  a model failed on all requests that were asked together, for a reason to fix
│   ├── PromptError       a conversation that a model's chat template can't render, or that is too long
│   ├── AdapterError      a directory that is not an adapter, or is truncated, dead, or of another base
│   └── BaselineError     a baseline or run that doesn't exist or can't be compared
├── EngineError           generation failed while running
│   ├── CasesFailedError  it failed on some of the cases; the others were answered
│   ├── AllFailedError    it failed on all requests that were asked together
│   └── TextsUnmeasuredError  the engine gives no losses on some texts; its answers are still right
└── JudgeError            a judge gave no usable reply to one question; its metric is errored
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from tunegate.printable import printable, printable_line

# Columns of a list of allowed values; a longer one is wrapped.
_LONGEST_ALLOWED = 96
_MOST_FAULTS = 50


class TunegateError(Exception):
    """Base class of all errors that tunegate raises on purpose."""

    def __str__(self) -> str:
        """The message as it may be printed: names of files and keys come from others."""
        return printable(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, whatever its class is called with: a worker's error is sent to who asked."""
        return _received, (type(self), self.args), vars(self)


def _received(kind: type[TunegateError], args: tuple[Any, ...]) -> TunegateError:
    error = kind.__new__(kind)
    error.args = args
    return error


class InputError(TunegateError):
    """An input of the user is wrong; the message says what, where and how to fix it."""


class SettingsError(InputError):
    """An option, environment variable or ``[tool.tunegate]`` key is unknown or out of range."""


class OverdueError(SettingsError):
    """A function of the project does not end."""


class GoldenError(InputError):
    """A golden set is not valid."""

    def __init__(self, path: Path | str, line: int | None, key: str, problem: str, allowed: str = "") -> None:
        """Store the place and the remedy.

        Args:
            path: The YAML file.
            line: 1-based line of the offending node, or None for the whole file.
            key: Dotted path of the key inside the file, such as ``cases[3].checks[0].type``.
            problem: What was found.
            allowed: What is allowed.
        """
        self.path, self.line, self.key, self.problem, self.allowed = path, line, key, problem, allowed
        self.faults: tuple[GoldenError, ...] = (self,)
        place = f"{path}:{line}" if line is not None else str(path)
        where = f"{place}: {key}: " if key else f"{place}: "
        super().__init__(printable_line(where + problem) + _told_allowed(allowed))


class GoldenFaultsError(GoldenError):
    """Several faults of one golden set, a line each; its own place is that of the first."""

    def __init__(self, faults: Sequence[GoldenError]) -> None:
        """Store the faults, of which there is at least one."""
        first = faults[0]
        super().__init__(first.path, first.line, first.key, first.problem, first.allowed)
        self.faults = tuple(faults)
        more = len(faults) - _MOST_FAULTS
        lines = [str(fault) for fault in faults[:_MOST_FAULTS]]
        self.args = ("\n".join([*lines, *([f"{first.path}: and {more} more faults"] if more > 0 else [])]),)


def as_one(faults: Sequence[GoldenError]) -> GoldenError:
    """One or more faults of a golden set as one error."""
    return faults[0] if len(faults) == 1 else GoldenFaultsError(faults)


def _told_allowed(allowed: str) -> str:
    """What is allowed; many names are wrapped below the line."""
    if len(allowed) <= _LONGEST_ALLOWED:
        return printable_line(f" (allowed: {allowed})") if allowed else ""
    return "\n" + textwrap.fill(
        printable_line(f"allowed: {allowed}"),
        width=_LONGEST_ALLOWED,
        initial_indent="  ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


class DataError(InputError):
    """A row of training data, or another tool's log, can't be used."""

    def __init__(self, path: Path | str, line: int | None, problem: str) -> None:
        """Store the file, the 1-based line and the problem."""
        self.path, self.line, self.problem = path, line, problem
        place = f"{path}:{line}" if line is not None else str(path)
        super().__init__(printable_line(f"{place}: {problem}"))


class ModelError(InputError):
    """A base model is missing, damaged, or not the requested one."""


class FailedTogetherError(TunegateError):
    """All requests failed that were asked together.

    Attributes:
        failures: Why, by index.
    """

    def __init__(self, message: str, failures: Mapping[int, str]) -> None:
        """Store the message and the reasons."""
        super().__init__(message)
        self.failures = dict(failures)


class NoneAnsweredError(FailedTogetherError, ModelError):
    """A model failed on all requests that were asked together, for a reason that its user can fix."""


class PromptError(InputError):
    """A model can't answer a conversation: its chat template refuses it, or it is too long."""


class AdapterError(InputError):
    """A directory is not an adapter, or an adapter that can't be evaluated."""


class BaselineError(InputError):
    """A baseline or stored run doesn't exist or can't be compared with this one."""


class HistoryError(InputError):
    """A history file is damaged, locked, read-only or newer than this program.

    Attributes:
        recover: The command that saves later what could not be saved; empty if there is none.
    """

    recover = ""


class UnreachableHistoryError(HistoryError):
    """A history's server doesn't answer: a gate goes on, and its run waits in a file."""


class JudgeError(TunegateError):
    """A judge gave no usable reply to one question; the message says why and what was tried.

    Attributes:
        again_from_s: The time, by the monotonic clock in seconds, from which it may well reply; None: never.
    """

    again_from_s: float | None = None


class EngineError(TunegateError):
    """The model failed during generation; the message names the cases."""


class CasesFailedError(EngineError):
    """The model failed on some of the cases, and answered all others."""

    def __init__(self, failures: Mapping[int, str]) -> None:
        """Store the reasons of the failures, by the index of the request."""
        self.failures = dict(failures)
        first = next(iter(self.failures.values()))
        more = f" (and {len(self.failures) - 1} more)" if len(self.failures) > 1 else ""
        super().__init__(first + more)


class AllFailedError(FailedTogetherError, EngineError):
    """No request of those that were asked together got an answer."""


class TextsUnmeasuredError(EngineError):
    """An engine gives no losses on some texts; all others were measured, or failed on their own."""

    def __init__(self, reasons: Mapping[int, str], failures: Mapping[int, str] | None = None) -> None:
        """Store why texts are not measured, and why others failed, by the index of the request."""
        self.reasons, self.failures = dict(reasons), dict(failures or {})
        super().__init__(next(iter(self.reasons.values())))


# Long enough for the names of a few layers, short enough for a line.
_LONGEST_LINE = 300


def first_line(error: BaseException) -> str:
    """An error's message as one line: libraries write a heading and then, indented, the problem."""
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except Exception:  # its own text breaks too
        lines = []
    said = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    said = said if len(said) <= _LONGEST_LINE else said[: _LONGEST_LINE - 1] + "…"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


@contextmanager
def handled_faults(handle: Callable[[BaseException], object]) -> Iterator[None]:
    """Hand on whatever others' code raises: sys.exit, pytest's skips and cancelled tasks too.

    Args:
        handle: Called with it; it may raise another error. Ctrl-C and an overdue function stay what they are.
    """
    try:
        yield
    except (KeyboardInterrupt, OverdueError):
        raise
    except BaseException as error:
        handle(error)


@contextmanager
def faults_of(place: str, kind: Callable[[str], TunegateError]) -> Iterator[None]:
    """Make one line of whatever others' code raises.

    Args:
        place: Whose code it is.
        kind: The error to raise with the line. Our own errors stay as they are.

    Raises:
        TunegateError: Of that kind.
    """

    def refuse(error: BaseException) -> NoReturn:
        if isinstance(error, TunegateError):
            raise error
        raise kind(f"{place}: {first_line(error)}") from error

    with handled_faults(refuse):
        yield
