"""The boundary of every command: whatever is raised becomes one line and an exit status."""

import traceback
from collections.abc import Callable

import typer

from harness.errors import InputError, TunegateError
from tunegate.exit_status import ExitStatus
from tunegate.interrupts import interrupt_by_sigterm
from tunegate.printable import printable_line, say
from tunegate.streams import lost_output, outlive_readers
from tunegate.thread_waits import sleep_while_waiting

# The base of all faults that typer finds in a command line; it has no public name in all of typer's versions.
_USAGE_FAULT: type[Exception] = typer.BadParameter.__mro__[2]
# What typer makes of Ctrl-C.
_SHELL_INTERRUPTED = 130


def run_process(work: Callable[[], object]) -> int:
    """Run a command as a process of its own; a closed pipe ends nothing, SIGTERM is Ctrl-C.

    Args:
        work: The command; it may return an exit status.

    Returns:
        The process's exit status: an error that isn't known is an internal one, never a regression.
    """
    outlive_readers()
    sleep_while_waiting()
    undo = interrupt_by_sigterm()
    try:
        status = work()
    except BaseException as error:  # others' code may also raise SystemExit, which would be a success
        return _told(error)
    finally:
        undo()
    if status == _SHELL_INTERRUPTED:
        return _told(KeyboardInterrupt())
    if problem := lost_output():
        say(f"tunegate: the output could not be written: {problem}", err=True)
    return (status if isinstance(status, int) else 0) or (ExitStatus.BAD_INPUT if problem else ExitStatus.OK)


def _told(error: BaseException) -> int:
    """Print an error, and decide the exit status."""
    match error:
        case InputError():
            line, status = str(error), ExitStatus.BAD_INPUT
        case TunegateError():
            line, status = str(error), ExitStatus.INTERNAL_ERROR
        case KeyboardInterrupt() | typer.Abort():
            line, status = "interrupted", ExitStatus.INTERRUPTED
        case OSError():
            # A full disk, a missing permission: whatever no other place has explained.
            place = f"{error.filename}: " if error.filename else ""
            line, status = printable_line(f"{place}{error.strerror or error}"), ExitStatus.BAD_INPUT
        case _ if isinstance(error, _USAGE_FAULT):
            line, status = _usage(error), ExitStatus.BAD_INPUT
        case SystemExit():
            line, status = f"code that it called ended it by {error!r}", ExitStatus.INTERNAL_ERROR
        case _:
            say("".join(traceback.format_exception(error)), err=True, end="")
            line, status = f"internal error: {printable_line(str(error))}", ExitStatus.INTERNAL_ERROR
    for each in line.splitlines():
        # What is indented continues a line.
        say(each if each.startswith(" ") else f"tunegate: {each}", err=True)
    return status


def _usage(error: BaseException) -> str:
    """A wrong command line in one line; a command group without a command shows its help."""
    context = getattr(error, "ctx", None)
    command = "tunegate" if context is None else context.command_path
    if type(error).__name__ == "NoArgsIsHelpError":
        if context is not None:
            say(context.get_help(), err=True)
        message = "give a command"
    else:
        message = error.format_message()  # type: ignore[attr-defined] # all of them have it
    line = " ".join(message.split()).replace(": Value error, ", ": ").rstrip(".")
    return f"{printable_line(line)}; see {command} --help"
