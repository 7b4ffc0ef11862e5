"""Runs a server until it ends, or until the process that wants it has ended, however that ended.

Runs as a program of its own: ``python supervisor.py COMMAND...`` with a pipe as its standard input, which the
operating system closes when the process at the other end is gone. Handlers of that process would not do: they
do not run when it is killed. The server has a session of its own, so that all its processes can be ended.
What supervises it is no child of the process that wants it: some systems, Ray among them, kill a process's
children together with it, and the server would be left.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

_POLL_S = 0.1
# A server that is asked to end may have requests under way and memory of a device to free.
_GRACE_S = 20.0


def supervise(command: list[str], grace_s: float = _GRACE_S) -> int:
    """Run the command; end it and what it started when standard input ends, or a signal asks for it.

    Args:
        command: The server's words.
        grace_s: How long it may take to end by itself, in seconds.

    Returns:
        Its exit status; 128 and the signal's number where a signal ended it, as a shell says it.
    """
    gone = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: gone.set())
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_wait_for_end, args=(gone,), daemon=True).start()
    while process.poll() is None and not gone.wait(_POLL_S):
        pass
    if process.poll() is None:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    # Its workers may outlive it, and hold the device's memory.
    _signal(process.pid, signal.SIGKILL)
    status = process.wait()
    return status if status >= 0 else 128 - status


def supervise_from_a_child(command: list[str]) -> int:
    """As ``supervise``, in a child of this process, which goes on when this one is killed.

    Args:
        command: The server's words.

    Returns:
        The server's exit status.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        sys.exit(supervise(command))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda asked, _: os.kill(child, asked))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _wait_for_end(gone: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    gone.set()


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(supervise_from_a_child(sys.argv[1:]))
