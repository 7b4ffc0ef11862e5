"""Training examples from JSONL, as conversations; a row that can't be used is named by file and line."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError

Turn = dict[str, str]

_FORMATS = "prompt and completion | instruction, input and output | messages"


@dataclass(frozen=True, slots=True)
class Examples:
    """A training file's usable content.

    Attributes:
        rows: Each with ``prompt`` and ``completion``, both lists of role/content turns.
        sha256: Hash of the file.
    """

    path: Path
    rows: list[dict[str, list[Turn]]]
    sha256: str


def load_examples(path: Path, max_rows: int | None = None) -> Examples:
    """Read a JSONL file in any of three formats, which may be mixed row by row.

    - ``prompt`` and ``completion``: texts;
    - ``instruction``, ``input`` (may be empty or missing) and ``output``;
    - ``messages``: role/content turns ending with the assistant's, which is what is learnt.

    Raises:
        DataError: With file, line, what was found and what is allowed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(path, None, f"can't be read: {error.strerror}") from error
    rows: list[dict[str, list[Turn]]] = []
    for number, raw in enumerate(content.split(b"\n"), start=1):
        if not raw.strip():
            continue
        if max_rows is not None and len(rows) == max_rows:
            break
        try:
            row = json.loads(raw)
        except UnicodeDecodeError as error:
            raise DataError(path, number, "not UTF-8") from error
        except ValueError as error:
            raise DataError(path, number, f"not JSON: {error}") from error
        rows.append(_conversation(path, number, row))
    if not rows:
        raise DataError(path, None, f"holds no row (allowed: JSON lines with {_FORMATS})")
    return Examples(path=path, rows=rows, sha256=hashlib.sha256(content).hexdigest())


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
