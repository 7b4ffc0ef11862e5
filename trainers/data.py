"""Training examples from JSONL, as conversations; a row that can't be used is named by file and line."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError

Turn = dict[str, str]

_FORMATS = "prompt and completion | instruction, input and output | messages"


@dataclass(frozen=True, slots=True)
class Examples:
    """The training files' usable content.

    Attributes:
        rows: Each with ``prompt`` and ``completion``, both lists of role/content turns.
        places: File and line of each row.
        sha256: Hash of all files' bytes, one after the other.
    """

    rows: list[dict[str, list[Turn]]]
    places: list[tuple[Path, int]]
    sha256: str


def load_examples(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read JSONL files in any of three formats, which may be mixed row by row.

    - ``prompt`` and ``completion``: texts;
    - ``instruction``, ``input`` (may be empty or missing) and ``output``;
    - ``messages``: role/content turns ending with the assistant's, which is what is learnt.

    Raises:
        DataError: With file, line, what was found and what is allowed.
    """
    rows: list[dict[str, list[Turn]]] = []
    places: list[tuple[Path, int]] = []
    digest = hashlib.sha256()
    for path in paths:
        content = _content(path)
        digest.update(content)
        before = len(rows)
        for number, raw in enumerate(content.split(b"\n"), start=1):
            if raw.strip() and (max_rows is None or len(rows) < max_rows):
                rows.append(_conversation(path, number, _parsed(path, number, raw)))
                places.append((path, number))
        if len(rows) == before and (max_rows is None or len(rows) < max_rows):
            raise DataError(path, None, f"holds no row (allowed: JSON lines with {_FORMATS})")
    return Examples(rows=rows, places=places, sha256=digest.hexdigest())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(path, None, f"can't be read: {error.strerror}") from error


def _parsed(path: Path, line: int, raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except UnicodeDecodeError as error:
        raise DataError(path, line, "not UTF-8") from error
    except ValueError as error:
        raise DataError(path, line, f"not JSON: {error}") from error


def _conversation(path: Path, line: int, row: Any) -> dict[str, list[Turn]]:
    if not isinstance(row, dict):
        raise DataError(path, line, f"found a {type(row).__name__} (allowed: an object with {_FORMATS})")
    if "messages" in row:
        return _from_messages(path, line, row["messages"])
    if "prompt" in row and "completion" in row:
        prompt, answer = _text(path, line, row, "prompt"), _text(path, line, row, "completion")
    elif "instruction" in row and "output" in row:
        given = row.get("input") or ""
        if not isinstance(given, str):
            raise DataError(path, line, f"input: found {given!r} (allowed: a text)")
        prompt = _text(path, line, row, "instruction") + (f"\n\n{given}" if given else "")
        answer = _text(path, line, row, "output")
    else:
        raise DataError(path, line, f"found the keys {', '.join(row) or 'none'} (allowed: {_FORMATS})")
    return {
        "prompt": [{"role": "user", "content": prompt}],
        "completion": [{"role": "assistant", "content": answer}],
    }


def _from_messages(path: Path, line: int, turns: Any) -> dict[str, list[Turn]]:
    if not isinstance(turns, list) or not all(
        isinstance(turn, dict)
        and turn.get("role") in {"system", "user", "assistant"}
        and isinstance(turn.get("content"), str)
        for turn in turns
    ):
        raise DataError(path, line, "messages: each needs role (system | user | assistant) and content")
    if len(turns) < 2 or turns[-1]["role"] != "assistant" or not turns[-1]["content"].strip():
        raise DataError(path, line, "messages: the last must be the assistant's answer, after a question")
    clean = [{"role": turn["role"], "content": turn["content"]} for turn in turns]
    return {"prompt": clean[:-1], "completion": clean[-1:]}


def _text(path: Path, line: int, row: dict[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise DataError(path, line, f"{key}: found {value!r} (allowed: a text that isn't empty)")
    return value
