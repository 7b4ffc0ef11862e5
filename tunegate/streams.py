"""Output that outlives its reader: ``tunegate runs list | head`` ends with the command's own exit status."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Windows reports a closed pipe as an invalid argument.
_CLOSED = {errno.EPIPE, errno.EINVAL} if sys.platform == "win32" else {errno.EPIPE}


class _LastingFile(io.FileIO):
    """A file whose reader may go away, or whose disk may be full: what is written then is dropped."""

    # Why something was lost that has a reader.
    problem = ""

    def write(self, data: "Buffer") -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _CLOSED:
                self.problem = error.strerror or str(error)
            return memoryview(data).nbytes


def lost_output() -> str:
    """Why output of this process could not be written; empty if all was, or nobody reads it."""
    found = ""
    for stream in (sys.stdout, sys.stderr):
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if isinstance(raw, _LastingFile):
            stream.flush()
            found = found or raw.problem
    return found


def outlive_readers() -> None:
    """Let the process's output streams ignore a closed pipe, and escape characters that they can't encode.

    Streams that somebody replaced, such as those of a test, stay as they are.
    """
    # None where the stream is closed (``>&-``); opened at once, so that no other file gets its number.
    stdout, stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    sys.stdout = _lasting(stdout, sys.__stdout__)
    sys.stderr = _lasting(stderr, sys.__stderr__)


@contextmanager
def output_to_errors() -> Iterator[None]:
    """Let what others' code prints, and what programs that it starts print, go to the error output."""
    with redirect_stdout(sys.stderr):
        _flush_outputs()
        try:
            kept = os.dup(1)
        except OSError:  # it is closed
            yield
            return
        try:
            with suppress(OSError):
                os.dup2(2, 1)
            yield
        finally:
            _flush_outputs()
            os.dup2(kept, 1)
            os.close(kept)


def _flush_outputs() -> None:
    for stream in (sys.__stdout__, sys.stdout):
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _lasting(stream: TextIO, own: TextIO | None) -> TextIO:
    if own is not stream:
        return stream
    try:
        stream.flush()
        number = stream.fileno()
    except (OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_LastingFile(number, "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.isatty() or stream is sys.__stderr__,
    )
