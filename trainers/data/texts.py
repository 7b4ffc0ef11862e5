"""Raw texts for continual pretraining."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from harness.errors import DataError
from trainers.data.rows import Examples, Row, read_rows, text_of
from trainers.data.sources import read_bytes
from trainers.data.unread_fields import refuse_fields

# Files that are one document each.
PLAIN = {".txt", ".md"}
# Fields that change what is learnt from a text.
_READ_ELSEWHERE = {"audio", "image", "images", "video", "videos", "weight"}


def load_texts(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read documents: a .txt or .md file is one; any other file has one a row under ``text``.

    Args:
        paths: Text files, or rows with ``text``.
        max_rows: Largest number of rows; None reads all.

    Returns:
        Rows with ``text``.

    Raises:
        DataError: A file can't be read, is not UTF-8, or is empty.
    """
    rows: list[Row] = []
    places: list[tuple[Path, int]] = []
    digest = hashlib.sha256()
    for path in paths:
        if path.suffix in PLAIN:
            content = read_bytes(path)
            rows.append({"text": _decoded(path, content)})
            places.append((path, 1))
            digest.update(hashlib.sha256(content).digest())
        else:
            part = read_rows([path], text_row, "text")
            rows += part.rows
            places += part.places
            digest.update(bytes.fromhex(part.sha256))
    return Examples(rows=rows[:max_rows], places=places[:max_rows], sha256=digest.hexdigest())


def _decoded(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(path, content[: error.start].count(b"\n") + 1, "not UTF-8") from error
    if not text.strip():
        raise DataError(path, None, "is empty (allowed: a text)")
    return text


def text_row(path: Path, line: int, row: Row) -> Row:
    """A row with a document.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row.

    Returns:
        The row's ``text`` alone.

    Raises:
        DataError: It has a weight, or pictures or sound; with what was found, and what is allowed.
    """
    refuse_fields(path, line, {key: row[key] for key in _READ_ELSEWHERE & row.keys()}, {"text"})
    return {"text": text_of(path, line, row, "text")}
