"""Rows of people's judgements: pairs of a better and a worse answer, and single answers with a thumb."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from trainers.data.rows import Examples, Row, Turn, read_rows, text_of, turns_of
from trainers.data.unread_fields import refuse_fields

_PAIR = "prompt, chosen and rejected"
_THUMB = "prompt, completion and label (true | false)"


def load_pairs(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read preference pairs: ``prompt`` (a text or turns), ``chosen`` and ``rejected`` (texts).

    Args:
        paths: JSONL files.
        max_rows: Largest number of rows; None reads all.

    Returns:
        Rows with three lists of role/content turns.

    Raises:
        DataError: With file and line; also for a pair whose answers are equal.
    """
    return read_rows(paths, _pair, _PAIR, max_rows)


def load_thumbs(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read thumbs: ``prompt`` (a text or turns), ``completion`` (a text) and ``label`` (true for thumbs up).

    Args:
        paths: JSONL files.
        max_rows: Largest number of rows; None reads all.

    Returns:
        Rows with two lists of turns and a bool.

    Raises:
        DataError: With file and line; also if all labels are equal.
    """
    examples = read_rows(paths, _thumb, _THUMB, max_rows)
    if len({row["label"] for row in examples.rows}) == 1:
        only = str(examples.rows[0]["label"]).lower()
        raise DataError(paths[0], None, f"all labels are {only} (allowed: thumbs up and thumbs down)")
    return examples


def _pair(path: Path, line: int, row: Row) -> Row:
    _need(path, line, row, _PAIR, ("prompt", "chosen", "rejected"))
    chosen, rejected = text_of(path, line, row, "chosen"), text_of(path, line, row, "rejected")
    if chosen.strip() == rejected.strip():
        raise DataError(path, line, "chosen and rejected are equal; a pair must differ")
    return {"prompt": prompt_of(path, line, row), "chosen": _answer(chosen), "rejected": _answer(rejected)}


def _thumb(path: Path, line: int, row: Row) -> Row:
    _need(path, line, row, _THUMB, ("prompt", "completion", "label"))
    if not isinstance(row["label"], bool):
        raise DataError(path, line, f"label: found {row['label']!r} (allowed: true or false)")
    answer = _answer(text_of(path, line, row, "completion"))
    return {"prompt": prompt_of(path, line, row), "completion": answer, "label": row["label"]}


def _need(path: Path, line: int, row: Row, formats: str, keys: Sequence[str]) -> None:
    """Refuse a row without one of the fields of its form, or with one that would be dropped."""
    if missing := [key for key in keys if key not in row]:
        raise DataError(path, line, f"{missing[0]} is missing (allowed: {formats})")
    refuse_fields(path, line, row, keys)


def prompt_of(path: Path, line: int, row: Row) -> list[Turn]:
    """The row's prompt as turns that end with the user's.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row, which has the key ``prompt``.

    Raises:
        DataError: It is neither a text nor such turns.
    """
    value: Any = row["prompt"]
    if not isinstance(value, list):
        return [{"role": "user", "content": text_of(path, line, row, "prompt")}]
    turns = turns_of(path, line, "prompt", value)
    if not turns or turns[-1]["role"] != "user":
        raise DataError(path, line, "prompt: the last turn must be the user's")
    return turns


def _answer(text: str) -> list[Turn]:
    return [{"role": "assistant", "content": text}]
