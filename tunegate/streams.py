"""Output that outlives its reader: ``tunegate runs list | head`` ends with the command's own exit status."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

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


class _LentStream:
    """A stream for others' code: they may close it, which leaves the one behind it open."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        return _LentStream(found) if name == "buffer" else found

    def __enter__(self) -> "_LentStream":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.flush()

    def detach(self) -> None:
        raise io.UnsupportedOperation("detach")


@contextmanager
def output_to_errors() -> Iterator[None]:
    """Let what others' code prints, and what programs that it starts print, go to the error output.

    Both are as before at the end, whatever that code closes or replaces.
    """
    lent = _lent(sys.stderr)
    with redirect_stdout(lent), redirect_stderr(lent), _kept_descriptors() as kept:
        if len(kept) > 1:
            os.dup2(2, 1)
        yield


@contextmanager
def own_streams() -> Iterator[None]:
    """Lend others' code the output streams: they are as before at the end, whatever it closes or replaces."""
    with redirect_stdout(_lent(sys.stdout)), redirect_stderr(_lent(sys.stderr)), _kept_descriptors():
        yield


def _lent(stream: TextIO | None) -> TextIO | None:
    return None if stream is None else cast("TextIO", _LentStream(stream))


@contextmanager
def _kept_descriptors() -> Iterator[dict[int, int]]:
    """Copies of the descriptors of both output streams, put back at the end; a closed one has none."""
    _flush_outputs()
    kept: dict[int, int] = {}
    for number in (1, 2):
        with suppress(OSError):  # it is closed
            kept[number] = os.dup(number)
    try:
        yield kept
    finally:
        _flush_outputs()
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def prints_aside(as_json: bool) -> AbstractContextManager[None]:
    """Keep what others' code prints out of the output of a command that is read as JSON."""
    return output_to_errors() if as_json else nullcontext()


def _flush_outputs() -> None:
    for stream in (sys.__stdout__, sys.stdout):
        # Others' code may have put anything there.
        with suppress(OSError, ValueError, AttributeError, TypeError):
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
