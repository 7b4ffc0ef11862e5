"""Training rows from JSONL; an invalid one is reported with file and line."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.types.storage import parse_json
from harness.types.training import DataNotes
from trainers.data.unread_fields import refuse_fields, refuse_turn_fields

Turn = dict[str, str]
Row = dict[str, Any]

_FORMATS = "prompt and completion | instruction, input and output | messages"


@dataclass(frozen=True, slots=True)
class Examples:
    """The training files' usable content.

    Attributes:
        rows: The rows in the form of TRL's trainer of the method.
        places: File and line of each row.
        sha256: Hash of all files' bytes, one after the other.
        leakage: The result of the search for golden cases in the rows; None before the search.
    """

    rows: list[Row]
    places: list[tuple[Path, int]]
    sha256: str
    leakage: Mapping[str, Any] | None = None

    @property
    def title(self) -> str:
        """The number of rows and the files, for the terminal."""
        rows = f"{len(self.rows)} rows of {', '.join(dict.fromkeys(str(path) for path, _ in self.places))}"
        if not self.leakage or not self.leakage["cases"]:
            return f"{rows}; no golden set to look for in them" if self.leakage else rows
        found = {leak["case"] for leak in self.leakage["found"]}
        skipped = self.leakage["embedding_skipped"]
        note = f" (embeddings skipped: {skipped})" if skipped else ""
        return f"{rows}; {len(found) or 'none'} of {self.leakage['cases']} golden cases among them{note}"

    @property
    def notes(self) -> DataNotes:
        """The manifest's notes on the data."""
        return DataNotes(
            paths=tuple(dict.fromkeys(str(path) for path, _ in self.places)),
            sha256=self.sha256,
            rows=len(self.rows),
            leakage=self.leakage,
        )


def load_examples(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read answers to learn, in any of three formats, which may be mixed row by row.

    - ``prompt`` and ``completion``: texts;
    - ``instruction``, ``input`` (may be empty or missing) and ``output``;
    - ``messages``: role/content turns that end with the assistant's, which is learnt.

    Args:
        paths: JSONL files.
        max_rows: Largest number of rows; None reads all.

    Returns:
        Rows with ``prompt`` and ``completion``, both lists of role/content turns.

    Raises:
        DataError: With file, line, what was found and what is allowed.
    """
    return read_rows(paths, _conversation, _FORMATS, max_rows)


def read_rows(
    paths: Sequence[Path],
    convert: Callable[[Path, int, Row], Row],
    formats: str,
    max_rows: int | None = None,
) -> Examples:
    """Read JSON lines, each an object.

    Args:
        paths: The files.
        convert: Makes the trainer's row from a file's row; called with path, line and object.
        formats: The allowed keys, for messages.
        max_rows: Stop after so many.

    Raises:
        DataError: A file can't be read or has no row, a line is not a JSON object, or ``convert`` refuses it.
    """
    rows: list[Row] = []
    places: list[tuple[Path, int]] = []
    digest = hashlib.sha256()
    for path in paths:
        content = read_bytes(path)
        digest.update(content)
        before = len(rows)
        for number, raw in enumerate(content.split(b"\n"), start=1):
            if raw.strip() and (max_rows is None or len(rows) < max_rows):
                rows.append(convert(path, number, _parsed(path, number, raw, formats)))
                places.append((path, number))
        if len(rows) == before and (max_rows is None or len(rows) < max_rows):
            raise DataError(path, None, f"contains no row (allowed: JSON lines with {formats})")
    return Examples(rows=rows, places=places, sha256=digest.hexdigest())


def read_bytes(path: Path) -> bytes:
    """A data file's content.

    Raises:
        DataError: It can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(path, None, f"can't be read: {error.strerror}") from error


def text_of(path: Path, line: int, row: Row, key: str) -> str:
    """A text that isn't empty.

    Args:
        path: The row's file, for messages.
        line: Its line, from 1.
        row: The row.
        key: Where the text is.

    Raises:
        DataError: It is missing, empty or not a text.
    """
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DataError(path, line, f"{key}: found {value!r} (allowed: a text that isn't empty)")
    return value


def turns_of(path: Path, line: int, key: str, value: Any) -> list[Turn]:
    """Role/content turns.

    Args:
        path: The row's file, for messages.
        line: Its line, from 1.
        key: The turns' key, for messages.
        value: The turns.

    Returns:
        Each turn with ``role`` and ``content`` only.

    Raises:
        DataError: The value is not a list of turns, or a turn has further fields.
    """
    if not isinstance(value, list) or not all(
        isinstance(turn, dict)
        and turn.get("role") in {"system", "user", "assistant"}
        and isinstance(turn.get("content"), str)
        for turn in value
    ):
        raise DataError(path, line, f"{key}: each needs role (system | user | assistant) and content")
    for turn in value:
        refuse_turn_fields(path, line, key, turn)
    return [{"role": turn["role"], "content": turn["content"]} for turn in value]


def _parsed(path: Path, line: int, raw: bytes, formats: str) -> Row:
    try:
        row = parse_json(raw)
    except UnicodeDecodeError as error:
        raise DataError(path, line, "not UTF-8") from error
    except ValueError as error:
        raise DataError(path, line, f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(path, line, f"found a {type(row).__name__} (allowed: an object with {formats})")
    return row


def _conversation(path: Path, line: int, row: Row) -> Row:
    if "messages" in row:
        refuse_fields(path, line, row, {"messages"})
        return _from_messages(path, line, row["messages"])
    if "prompt" in row and "completion" in row:
        refuse_fields(path, line, row, {"prompt", "completion"})
        prompt, answer = text_of(path, line, row, "prompt"), text_of(path, line, row, "completion")
    elif "instruction" in row and "output" in row:
        refuse_fields(path, line, row, {"instruction", "input", "output"})
        given = row.get("input") or ""
        if not isinstance(given, str):
            raise DataError(path, line, f"input: found {given!r} (allowed: a text)")
        prompt = text_of(path, line, row, "instruction") + (f"\n\n{given}" if given else "")
        answer = text_of(path, line, row, "output")
    else:
        raise DataError(path, line, f"found the keys {', '.join(row) or 'none'} (allowed: {_FORMATS})")
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def _from_messages(path: Path, line: int, value: Any) -> Row:
    turns = turns_of(path, line, "messages", value)
    if len(turns) < 2 or turns[-1]["role"] != "assistant" or not turns[-1]["content"].strip():
        raise DataError(path, line, "messages: the last must be the assistant's answer, after a question")
    return {"prompt": turns[:-1], "completion": turns[-1:]}
