"""How processes of a model's code are watched, limited and ended."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from typing import Any

from harness.metrics.code_confinement import _PARENT_DEATH

_PROCESSES = {
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
}
# Events of changes: where their paths are, and the descriptors that these are relative to.
_CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
    "shutil.rmtree": ((0, None),),
    "sqlite3.connect": ((0, None),),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def limit(seconds: float, memory: int, file_size: int) -> list[str]:
    """Set the operating system's limits.

    Args:
        seconds: Of time, and of the processor.
        memory: Of memory, in bytes.
        file_size: Of each file, in bytes.

    Returns:
        What this system does not limit: ``memory``, or nothing.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)
    wanted = {
        "RLIMIT_CPU": int(seconds) + 1,
        "RLIMIT_AS": memory,
        "RLIMIT_FSIZE": file_size,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
    }
    for name, value in wanted.items():
        # macOS refuses some of them.
        with contextlib.suppress(ValueError, OSError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, value))
    kept = resource.getrlimit(resource.RLIMIT_AS)[0]
    # macOS may take this limit, and does not keep to it.
    return [] if 0 <= kept <= memory and sys.platform != "darwin" else ["memory"]


def end_with_parent() -> None:
    """Be killed when the process that started this one ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH, int(signal.SIGKILL), 0, 0, 0)


def watch(directory: str) -> None:
    """Refuse processes, connections, and changes of files outside of the directory, as Python tells them."""

    def inside(path: Any, descriptor: Any = None) -> bool:
        if isinstance(path, int):
            return True  # it was opened, which was watched
        start = directory
        if isinstance(descriptor, int) and descriptor >= 0:
            start = os.path.realpath(f"/proc/self/fd/{descriptor}")
        name = os.fsdecode(path)
        real = os.path.realpath(name if name.startswith(os.sep) else f"{start}/{name}")
        return real == directory or real.startswith(directory + os.sep) or real == os.devnull

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _PROCESSES:
            raise PermissionError("this code may start no process")
        if event.startswith("socket.") and event not in {"socket.__new__", "socket.gethostname"}:
            raise PermissionError("this code may use no network")
        if event == "open" and arguments[2] & _WRITING and not inside(arguments[0]):
            raise PermissionError("this code may write only in its own directory")
        for path, descriptor in _CHANGES.get(event, ()):
            relative_to = (
                None if descriptor is None or descriptor >= len(arguments) else arguments[descriptor]
            )
            if arguments[path] == ":memory:":
                continue
            if not inside(arguments[path], relative_to):
                raise PermissionError("this code may change only its own directory")
        if event in {"ctypes.dlopen", "os.kill", "os.killpg", "os.chdir"}:
            raise PermissionError(f"this code may not use {event}")

    sys.addaudithook(hook)
    _refuse_unreported_processes()


def _refuse_unreported_processes() -> None:
    """What ``subprocess`` and ``multiprocessing`` start processes with reports nothing by itself."""
    try:
        import _posixsubprocess as starting
    except ImportError:
        return

    def refused(*_: object) -> int:
        raise PermissionError("this code may start no process")

    starting.fork_exec = refused
