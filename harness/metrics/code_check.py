"""``code``: the answer is Python code that passes its tests. It runs only if the project allows it."""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.golden.code_tests import read_code_tests
from harness.metrics.definition import ScoringRequest, binary, one_by_one, text_of
from harness.types import Score

CODE_NOT_ALLOWED = (
    "it runs code that a model wrote: allow that with --gate-allow-code, or allow-code-checks = true under "
    "[tool.tunegate]"
)
SECONDS, MEGABYTES = 10.0, 1024
_MEGABYTE = 2**20
_FILE_SIZE = 16 * _MEGABYTE
# Of all files together, looked at this often while the code runs.
_MOST_BYTES, _MOST_FILES, _LOOK_S = 256 * _MEGABYTE, 10_000, 0.1
# Of the time to start Python; the code's own time is limited separately.
_STARTING = 5.0
_RUNNER = Path(__file__).with_name("code_runner.py")
_ROOT = Path(__file__).resolve().parents[2]


def _code(request: ScoringRequest) -> Score:
    if not request.allowed.code:
        raise PermissionError(f"{request.check.type}: {CODE_NOT_ALLOWED}")
    options = request.check.options
    if not request.text.strip():
        return binary(request, False, "the answer is empty")
    passed, reason = run_code(
        request.text,
        text_of(request.check.value),
        seconds=float(str(options.get("timeout", SECONDS))),
        megabytes=int(str(options.get("memory", MEGABYTES))),
    )
    return binary(request, passed, reason)


def run_code(
    code: str, tests: str, *, seconds: float = SECONDS, megabytes: int = MEGABYTES
) -> tuple[bool, str]:
    """Run code and its tests in another process, in an empty directory, with limits.

    Args:
        code: Python code.
        tests: Python code that runs after it, with its names, and fails by any exception.
        seconds: Limit of the time.
        megabytes: Limit of the memory.

    Returns:
        Whether all of it ran to its end, and why not.

    Raises:
        CodeTestsError: The tests can't run in a process of their own.
        OSError: The process can't be started.
    """
    job = {
        "code": code,
        "classes": bool(read_code_tests(tests).own_classes),
        "seconds": seconds,
        "memory": megabytes * _MEGABYTE,
        "file_size": _FILE_SIZE,
    }
    reading, writing = os.pipe()
    # What the code leaves behind may be hard to delete.
    with tempfile.TemporaryDirectory(prefix="tunegate-code-", ignore_cleanup_errors=True) as directory:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", str(_RUNNER), str(writing), str(_ROOT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=directory,
                env=_environment(directory),
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        with os.fdopen(reading, "rb") as results:
            work = b"".join(_framed(part) for part in (job, tests))
            stopped = _finished(process, work, seconds + _STARTING, directory)
            told = _told(results.read(2 * 65536))
    if stopped == _FILES:
        return False, f"stopped by the limit of {_MOST_BYTES // _MEGABYTE} MiB, or {_MOST_FILES} files"
    if told is not None:
        return bool(told["passed"]), str(told["reason"])
    if stopped or -process.returncode in {signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL}:
        return False, f"stopped by the limit of {seconds:g} s, or of memory"
    return False, "the program ended before its tests did"


def _framed(part: object) -> bytes:
    body = json.dumps(part).encode()
    return struct.pack("!I", len(body)) + body


def _environment(directory: str) -> dict[str, str]:
    """Nothing of ours: keys and tokens are often in the environment."""
    kept = {
        name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ
    }
    return {
        **kept,
        "HOME": directory,
        "TMPDIR": directory,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


_TIME, _FILES = "time", "files"


def _finished(process: "subprocess.Popen[bytes]", job: bytes, seconds: float, directory: str) -> str:
    """Wait for the process, and end it with all that it started.

    Args:
        process: The process.
        job: Its standard input.
        seconds: The longest time.
        directory: Where it may write.

    Returns:
        What it had too much of; empty if it ended by itself.
    """
    until, stopped, given = time.monotonic() + seconds, "", job or None
    while not stopped:
        try:
            process.communicate(given, timeout=_LOOK_S)
            break
        except subprocess.TimeoutExpired:
            given = None  # what is left of it is sent on
        if time.monotonic() >= until:
            stopped = _TIME
        elif _has_written_too_much(directory):
            stopped = _FILES
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return stopped


def _has_written_too_much(directory: str) -> bool:
    """Whether the files in a directory are too large together, or too many."""
    taken = files = 0
    for folder, names, inside in os.walk(directory):
        files += len(names) + len(inside)
        for name in inside if files <= _MOST_FILES else ():
            # Code that is still running may delete it meanwhile.
            with contextlib.suppress(OSError):
                taken += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118
        if files > _MOST_FILES or taken > _MOST_BYTES:
            return True
    return False


def _told(written: bytes) -> dict[str, Any] | None:
    """The result, if the tests came to their end; the answer's process has no way to write here."""
    try:
        told = json.loads(written)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


code = one_by_one(_code)
