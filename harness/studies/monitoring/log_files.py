"""Files of logs that grow and are rotated: what is new in them since they were read last."""

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from harness.errors import DataError
from harness.history.logs.rows import table_rows
from harness.history.logs.values import json_object, plain_suffix

_PIECE = 4096
_MOST_FILES = 2_000
# With the number or date that a rotation adds, and compressed.
_LOG = re.compile(r"[^.].*\.(?:jsonl|ndjson|log|json|csv|parquet)(?:[.-]\d+)*(?:\.gz)?")
_TABLES = {".csv", ".parquet"}

Row = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """A file that was read, known by its beginning: it may be renamed, and go on growing.

    Attributes:
        name: Its last name, for people.
        read_bytes: How far it was read; of a compressed file, of its content.
        rows: How many rows that is.
        head_sha256: A hash of its beginning.
        tail_sha256: A hash of what is before the place to which it was read.
    """

    name: str
    read_bytes: int
    rows: int
    head_sha256: str
    tail_sha256: str


def log_files(paths: Sequence[Path], leave_out: Collection[Path] = ()) -> list[Path]:
    """The files, with those of directories: names that end in .jsonl, .ndjson, .log, .json, .csv, .parquet.

    Args:
        paths: Files and directories.
        leave_out: Files of directories that are no logs, such as the state.

    Raises:
        DataError: A directory has none.
    """
    found: list[Path] = []
    others = {path.absolute() for path in leave_out}
    for path in paths:
        inside = (
            sorted(
                each
                for each in path.rglob("*")
                if _LOG.fullmatch(each.name) and each.is_file() and each.absolute() not in others
            )
            if path.is_dir()
            else [path]
        )
        if not inside:
            raise DataError(path, None, "no log is in it: .jsonl, .ndjson, .log, .json, .csv or .parquet")
        found += inside
    return list(dict.fromkeys(found))


def new_rows(path: Path, known: Sequence[ReadFile]) -> tuple[list[Row], ReadFile | None, ReadFile | None]:
    """The rows that a file has since it was read, under this name or another.

    The last line of a file that is being written may be incomplete: it is left for the next time.

    Args:
        path: The file.
        known: What was read before.

    Returns:
        The new rows with their lines; what the file is known as from now on; and what it was before. Either
        is None for nothing.

    Raises:
        DataError: The file can't be read, is damaged, or a line is not JSON.
    """
    try:
        with _opened(path) as file:
            before = next((each for each in reversed(known) if _is_same(file, each)), None)
            if plain_suffix(path) in _TABLES:
                return _new_in_table(path, file, before)
            return _new_lines(path, file, before)
    except (OSError, EOFError, zlib.error) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise DataError(path, None, f"can't be read, or cut off: {problem}") from error


def renewed(known: Sequence[ReadFile], now: ReadFile, before: ReadFile | None) -> tuple[ReadFile, ...]:
    """What was read, with a file that was read further.

    Args:
        known: Of all files.
        now: The file as it is now.
        before: As it was before; None if it is new.
    """
    return (*(each for each in known if each != before), now)[-_MOST_FILES:]


def _opened(path: Path) -> IO[bytes]:
    # gzip's file has the same methods, but isn't one for type checkers.
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _is_same(file: IO[bytes], known: ReadFile) -> bool:
    """Whether a file has the content that was read, at its beginning."""
    file.seek(0)
    if _hash(file.read(min(_PIECE, known.read_bytes))) != known.head_sha256:
        return False
    start = max(known.read_bytes - _PIECE, 0)
    file.seek(start)
    tail = file.read(known.read_bytes - start)
    return len(tail) == known.read_bytes - start and _hash(tail) == known.tail_sha256


def _new_lines(
    path: Path, file: IO[bytes], before: ReadFile | None
) -> tuple[list[Row], ReadFile | None, ReadFile | None]:
    place, number = (0, 0) if before is None else (before.read_bytes, before.rows)
    file.seek(place)
    rows: list[Row] = []
    for line in file:
        if not line.endswith(b"\n"):
            break
        place, number = place + len(line), number + 1
        if line.strip():
            rows.append((number, json_object(path, number, _decoded(path, number, line))))
    return rows, _known_as(path, file, place, number), before


def _new_in_table(
    path: Path, file: IO[bytes], before: ReadFile | None
) -> tuple[list[Row], ReadFile | None, ReadFile | None]:
    size = file.seek(0, io.SEEK_END)
    if before is not None and before.read_bytes == size:
        return [], before, before
    rows = list(table_rows(path))
    new = rows if before is None else rows[before.rows :]
    return new, _known_as(path, file, size, len(rows)), before


def _known_as(path: Path, file: IO[bytes], place: int, rows: int) -> ReadFile | None:
    if not place:
        return None
    file.seek(0)
    head = file.read(min(_PIECE, place))
    start = max(place - _PIECE, 0)
    file.seek(start)
    return ReadFile(
        name=path.name,
        read_bytes=place,
        rows=rows,
        head_sha256=_hash(head),
        tail_sha256=_hash(file.read(place - start)),
    )


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(path, number, f"not UTF-8 text: {error.reason}") from error


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
