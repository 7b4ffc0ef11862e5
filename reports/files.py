"""Writes a report completely or not at all, and checks early that it can be written."""

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
        SettingsError: The file can't be written.
    """
    try:
        return write_whole(path, text)
    except OSError as error:
        raise SettingsError(f"{source}: {path} can't be written: {error.strerror or error}") from error


def check_writable(path: Path, source: str) -> None:
    """Refuse a path that can't become a file, before any work is done.

    Args:
        path: Path of a report.
        source: The option or variable that named it, for messages.

    Raises:
        SettingsError: It is a directory or device, is below a file, or its directory is not writable.
    """
    try:
        problem = why_unwritable(path)
    except OSError as error:
        problem = f"can't be written: {error.strerror or error}"
    if problem is not None:
        raise SettingsError(f"{source}: {path} {problem} (allowed: the path of a file to write)")
