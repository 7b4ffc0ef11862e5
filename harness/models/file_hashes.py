"""Hashes of large files, remembered until a file changes: a base of 16 GB takes minutes to read.

A file is the same while its place, size and times are: whoever writes to a file, or puts another one in its
place, changes the time of its last change (ctime), which no program can set back as it can the time of its
last modification.
"""

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from harness.models.home import tunegate_home
from harness.types.storage import write_whole

# Two writes within a file system's smallest step of time look like one: who has just written may write again.
_SETTLED_S = 2.0
_MOST = 2000


def file_sha256(file: Path) -> str:
    """The hash of a file's content, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remembered_sha256(file: Path) -> str:
    """As file_sha256, without reading a file that is unchanged since it was last read."""
    # On Windows, st_ctime is the time of the file's creation.
    if os.name == "nt":
        return file_sha256(file)
    memory, path, state = _read_memory(), str(file.resolve()), _state(file)
    known = memory.get(path)
    if isinstance(known, list) and known[:-1] == state and isinstance(known[-1], str):
        return known[-1]
    sha256 = file_sha256(file)
    settled = time.time_ns() - max(state[-2:]) > _SETTLED_S * 1e9
    if settled and _state(file) == state:
        _write_memory({**_read_memory(), path: [*state, sha256]})
    return sha256


def _state(file: Path) -> list[int]:
    """The file's place, its size, and the times of its last modification and change in nanoseconds."""
    found = file.stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _memory_file() -> Path:
    return tunegate_home() / "file_hashes.json"


def _read_memory() -> dict[str, Any]:
    """Empty if there is none, or it is damaged: every file is then read again."""
    try:
        found = json.loads(_memory_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_memory(memory: dict[str, Any]) -> None:
    """Replace it as a whole; a directory that can't be written to costs time alone."""
    kept = dict(list(memory.items())[-_MOST:])
    with contextlib.suppress(OSError):
        write_whole(_memory_file(), json.dumps(kept))
