"""Rows as they are stored: JSON lines, a JSON list, CSV, Parquet, or a data set of the hub."""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.types.storage import parse_json

_HUB = "hf:"
_HUB_NAME = re.compile(
    r"hf:(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?::(?P<split>[^@/]+))?(?:@(?P<revision>.+))?"
)
# Columns whose JSON may be a text of its own.
_TEXTS = {
    "chosen",
    "completion",
    "input",
    "instruction",
    "output",
    "prompt",
    "rejected",
    "system",
    "text",
}
# What a turn says.
_SAID = {"content", "value", "tool_calls"}
# The first bytes of a file that gzip packed.
_GZIP = b"\x1f\x8b"
_TABLES = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class Source:
    """One file or data set.

    Attributes:
        content: Its bytes as stored; of a data set of the hub its rows as JSON lines.
        rows: Line (or number, from 1) and value of each row, read one by one.
    """

    content: bytes
    rows: Iterator[tuple[int, Any]]


def is_hub_name(path: Path) -> bool:
    """Whether a path is the name of a data set of the hub, such as ``hf:org/name``."""
    return path.parts[:1] != () and path.parts[0].startswith(_HUB)


def read_source(path: Path) -> Source:
    """Open a file by its ending, or a data set of the hub; any other ending is read as JSON lines.

    Args:
        path: A file, or ``hf:ORG/NAME``, then ``/CONFIG``, ``:SPLIT`` (default train) and ``@REVISION``.

    Raises:
        DataError: It can't be read; while the rows are read, with line and reason.
    """
    if is_hub_name(path):
        found = _hub_rows(path)
        lines = "\n".join(json.dumps(row, sort_keys=True, default=str) for row in found)
        return Source(lines.encode(), iter(enumerate(found, start=1)))
    content = read_bytes(path)
    return Source(content, _rows_of(path, _unpacked(path, content)))


def _rows_of(path: Path, content: bytes) -> Iterator[tuple[int, Any]]:
    """A file's rows by its ending, without ``.gz``."""
    ending = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if ending in _TABLES:
        return _table_rows(path, content, _TABLES[ending])
    if ending == ".parquet":
        return iter(enumerate(_parquet_rows(path, content), start=1))
    if ending == ".json" and content.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"[":
        return _list_rows(path, content)
    return _line_rows(path, content)


def _unpacked(path: Path, content: bytes) -> bytes:
    """The content, unpacked if gzip packed it."""
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(path, None, f"can't be unpacked: {error}") from error


def read_bytes(path: Path) -> bytes:
    """A data file's content.

    Raises:
        DataError: It can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(path, None, f"can't be read: {error.strerror}") from error


def _line_rows(path: Path, content: bytes) -> Iterator[tuple[int, Any]]:
    for number, raw in enumerate(content.split(b"\n"), start=1):
        if raw.strip():
            try:
                row = parse_json(raw, once=True)
            except UnicodeDecodeError as error:
                raise DataError(path, number, "not UTF-8") from error
            except ValueError as error:
                raise DataError(path, number, f"not JSON: {error}") from error
            if b"\\ud" in raw.lower():
                _refuse_half_characters(path, number, row)
            yield number, row


def _refuse_half_characters(path: Path, line: int, row: Any) -> None:
    """Refuse a row with half of a pair of Unicode escapes: no tokenizer takes such a text."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise DataError(path, line, f"not a text: {half} is half of a character; remove it") from error


def _list_rows(path: Path, content: bytes) -> Iterator[tuple[int, Any]]:
    """The entries of a JSON list, each with the line where it begins."""
    text = _decoded(path, content)
    try:
        entries = parse_json(text, once=True)
    except ValueError as error:
        raise DataError(path, getattr(error, "lineno", None), f"not JSON: {error}") from error
    decoder, counted, line, place = json.JSONDecoder(), 0, 1, text.index("[") + 1
    for entry in entries:
        place = next(at for at in range(place, len(text)) if text[at] not in " \t\r\n,")
        line, counted = line + text.count("\n", counted, place), place
        place = decoder.raw_decode(text, place)[1]
        if "\\ud" in text[counted:place].lower():
            _refuse_half_characters(path, line, entry)
        yield line, entry


def _table_rows(path: Path, content: bytes, delimiter: str) -> Iterator[tuple[int, Any]]:
    """The rows of a table with a header; cells are texts, or what _cell parses."""
    text = _decoded(path, content)
    # By default longer cells are refused.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] = []
    before = 0
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not cells:
                continue
            if not names:
                names = [name.strip() for name in cells]
                if twice := next((name for name in names if names.count(name) > 1), None):
                    raise DataError(path, line, f"the column {twice!r} occurs twice")
            elif len(cells) != len(names):
                problem = (
                    f"found {len(cells)} cells (allowed: {len(names)}, one for each column of the header)"
                )
                raise DataError(path, line, problem)
            else:
                yield line, {name: _cell(name, cell) for name, cell in zip(names, cells, strict=True)}
    except csv.Error as error:
        raise DataError(path, reader.line_num, f"not a table: {error}") from error


def _cell(name: str, text: str) -> Any:
    """A cell's text, parsed if it is a JSON list or object; a question or answer only if it has turns.

    What is asked and answered may itself be JSON.
    """
    if text.strip()[:2] not in {"[{", "[[", '["', '{"'}:
        return text
    try:
        found = parse_json(text)
    except ValueError:
        return text
    turns = found if isinstance(found, list) else [found]
    return found if name not in _TEXTS or all(map(_is_turn, turns)) else text


def _is_turn(value: Any) -> bool:
    return isinstance(value, dict) and bool(value.keys() & {"role", "from"} and value.keys() & _SAID)


def _parquet_rows(path: Path, content: bytes) -> list[Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(path, None, "Parquet needs pyarrow: pip install 'tunegate[train]'") from error
    try:
        rows = parquet.read_table(pa.BufferReader(content)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        line = str(error).strip().partition("\n")[0]
        raise DataError(path, None, f"not Parquet: {line}") from error
    return [_without_nulls(row) for row in rows]


def _hub_rows(path: Path) -> list[Any]:
    found = _HUB_NAME.fullmatch(str(path))
    if found is None:
        allowed = "hf:ORG/NAME, then /CONFIG, :SPLIT and @REVISION where needed"
        raise DataError(path, None, f"no name of a data set (allowed: {allowed})")
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise DataError(
            path, None, "data sets of the hub need datasets: pip install 'tunegate[train]'"
        ) from error
    try:
        loaded = load_dataset(
            found["name"],
            found["config"],
            split=found["split"] or "train",
            revision=found["revision"],
        )
        return [_without_nulls(row) for row in loaded]
    except Exception as error:  # the library raises exceptions of many kinds: network, names, formats
        line = str(error).strip().partition("\n")[0] or type(error).__name__
        problem = f"can't be loaded from the hub: {line}; check name, split and network, or give a file"
        raise DataError(path, None, problem) from error


def _without_nulls(value: Any) -> Any:
    """A row of Arrow without the nulls in its nested values.

    There all turns and arguments have the keys of all the others, filled up with nulls.
    """

    def inner(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: inner(entry) for key, entry in part.items() if entry is not None}
        return [inner(entry) for entry in part] if isinstance(part, list) else part

    return {key: inner(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(path, content[: error.start].count(b"\n") + 1, "not UTF-8") from error
