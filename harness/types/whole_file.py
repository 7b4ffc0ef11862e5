"""Files that are written whole or not at all, and one writer at a time."""

import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def write_whole(path: Path, content: str | bytes) -> Path:
    """Put a content into a file so that no reader, crash or full disk ever leaves half of it.

    It is written to a neighbour, forced to the disk and renamed. A link stays a link, and a file keeps its
    permissions.

    Args:
        path: Its directory is made when it is missing.
        content: The content; a text is written as UTF-8, with unchanged line ends.

    Raises:
        OSError: It can't be written; what the file held before is unchanged.
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    neighbour = target.with_name(f".tunegate-{secrets.token_hex(8)}.part")
    try:
        with neighbour.open("xb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, neighbour)
        neighbour.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            neighbour.unlink(missing_ok=True)
        raise
    _force_directory(target.parent)
    return path


@contextlib.contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Wait until no other process is between reading and writing a file in the same directory.

    Args:
        path: The file; its directory is made when it is missing.

    Raises:
        OSError: The directory can't be made or read.
    """
    directory = path.resolve().parent
    directory.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        # Files are still written whole there; two writers don't wait for each other.
        yield
        return
    # The directory itself is locked: the file is replaced while it is waited for, and nothing is left behind.
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _force_directory(directory: Path) -> None:
    """Make the renaming last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
