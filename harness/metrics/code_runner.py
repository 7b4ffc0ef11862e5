"""The child process of ``code`` checks: runs a model's code and its tests under limits. A script of its own.

It imports nothing of tunegate, and what the code prints goes nowhere. The limits stop accidents (a loop, a
filled disk, a deleted directory, a request to a server); they are no defence against an attack.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
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
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _limit(seconds: float, memory: int, file_size: int) -> None:
    """Limits of the operating system; Windows has none of them."""
    try:
        import resource
    except ImportError:
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    wanted = {
        "RLIMIT_CPU": int(seconds) + 1,
        "RLIMIT_AS": memory,
        "RLIMIT_FSIZE": file_size,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_CORE": 0,
    }
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            # macOS refuses some of them.
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(kind, (value, value))


def _cut_network() -> None:
    """A network of its own, without any connection, where Linux permits it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).unshare(_NEW_USER | _NEW_NETWORK)


def _watch(directory: str) -> None:
    """Refuse processes, connections, and changes of files outside of the directory."""

    def inside(path: Any, descriptor: Any = None) -> bool:
        if isinstance(path, int):
            # It was opened, which was watched.
            return True
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
            if not inside(arguments[path], relative_to):
                raise PermissionError("this code may change only its own directory")
        if event in {"ctypes.dlopen", "os.kill", "os.killpg", "os.chdir"}:
            raise PermissionError(f"this code may not use {event}")

    sys.addaudithook(hook)


def _run(code: str, tests: str) -> tuple[bool, str]:
    """Whether the code passes its tests, and why not."""
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    for source, file in ((code, "answer.py"), (tests, "tests.py")):
        try:
            exec(compile(source, file, "exec"), names)
        except BaseException as error:  # SystemExit is an end before the tests, too
            return False, _described(error, file)
    return True, "all tests pass"


def _described(error: BaseException, file: str) -> str:
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    text = str(error).partition("\n")[0][:200]
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{file}:{line}: {what}" if line else f"{file}: {what}"


def main() -> None:
    """Read the job from standard input, do it, and write the result to the descriptor in the arguments."""
    job = json.load(sys.stdin)
    result = int(sys.argv[1])
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    directory = os.path.realpath(".")
    _cut_network()
    _limit(job["seconds"], job["memory"], job["file_size"])
    _watch(directory)
    passed, reason = _run(job["code"], job["tests"])
    # Only a program that came to this line knows the word.
    line = json.dumps({"word": job["word"], "passed": passed, "reason": reason})
    os.write(result, line.encode("utf-8", "replace"))
    os._exit(0)


if __name__ == "__main__":
    main()
