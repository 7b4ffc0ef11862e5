"""Writes a report completely or not at all, over earlier reports only; checks early that that works."""

from collections.abc import Iterable
from pathlib import Path

from harness.errors import SettingsError
from harness.types.storage import why_unwritable, write_whole


def write_report(path: Path, text: str, source: str) -> Path:
    """Write a report whole, or leave the file as it is.

    Args:
        path: Its directory is created if it is missing.
        text: The content, written as UTF-8.
        source: The option or variable that named the path, for messages.

    Raises:
        SettingsError: The file can't be written, or holds something else than a report.
    """
    try:
        _refuse_foreign(path, source)
        return write_whole(path, text)
    except OSError as error:
        raise SettingsError(f"{source}: {path} can't be written: {error.strerror or error}") from error


def check_writable(path: Path, source: str) -> None:
    """Refuse a path that can't become a file, before any work is done.

    Args:
        path: Path of a report.
        source: The option or variable that named it, for messages.

    Raises:
        SettingsError: It is a directory or device, is below a file, holds something else than a report, or
            its directory is not writable.
    """
    try:
        problem = why_unwritable(path)
        if problem is None:
            _refuse_foreign(path, source)
    except OSError as error:
        problem = f"can't be written: {error.strerror or error}"
    if problem is not None:
        raise SettingsError(f"{source}: {path} {problem} (allowed: the path of a file to write)")


# How each kind of report begins: each line has all of its marks near the start.
_BEGINNINGS = (
    (b"<!doctype html>", b"Content-Security-Policy"),
    (b'{\n "schema_version": ', b'"summary": '),
    (b"<!-- tunegate: ",),
)
_START_BYTES = 1000


def _refuse_foreign(path: Path, source: str) -> None:
    """Refuse to write over golden sets, models, sources: over anything but an empty file or a report."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(_START_BYTES).lstrip()
    known = (
        start.startswith(first) and all(mark in start for mark in marks) for first, *marks in _BEGINNINGS
    )
    if start and not any(known):
        raise SettingsError(
            f"{source}: {path} exists and is no report: name another file, or delete it first"
        )


def refuse_shared(paths: Iterable[tuple[Path, str]]) -> None:
    """Refuse two reports in one file.

    Args:
        paths: Each path of a report, with the option or variable that named it.

    Raises:
        SettingsError: Two of them are the same file.
    """
    seen: dict[Path, str] = {}
    for path, source in paths:
        other = seen.setdefault(path.resolve(), source)
        if other != source:
            raise SettingsError(f"{source}: {path} is also the file of {other}: give each a file of its own")
