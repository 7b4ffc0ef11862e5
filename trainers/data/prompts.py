"""Prompts to answer and reward: each row may have further columns for rewards."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import DataError
from trainers.data.conversations import prompt_of
from trainers.data.rows import Examples, Row, read_rows

_FORMAT = "prompt and the columns that rewards read"
# Names of a reward function's own arguments.
_TAKEN = ("prompts", "completions")
# What other programs ask with the prompt.
_PARTS = ("system", "system_prompt", "history", "tools", "messages")


def load_prompts(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read ``prompt`` (a text, or turns that end with the user's) and any further columns.

    Args:
        paths: JSONL files.
        max_rows: Largest number of rows; None reads all.

    Returns:
        Rows with ``prompt``, a list of turns, and ``columns``: all further columns of any row, None if this
        row lacks one.

    Raises:
        DataError: With file and line.
    """
    examples = read_rows(paths, prompt_row, _FORMAT, max_rows)
    names = dict.fromkeys(name for row in examples.rows for name in row["columns"])
    rows = [{**row, "columns": {name: row["columns"].get(name) for name in names}} for row in examples.rows]
    return replace(examples, rows=rows)


def prompt_row(path: Path, line: int, row: Row) -> Row:
    """A row that asks.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row.

    Returns:
        ``prompt``, a list of turns, and ``columns``, everything else.

    Raises:
        DataError: With what was found, and what is allowed.
    """
    if "prompt" not in row:
        raise DataError(path, line, f"prompt is missing (allowed: {_FORMAT})")
    if taken := [name for name in _TAKEN if name in row]:
        raise DataError(path, line, f"{taken[0]}: the column's name is taken; rename it")
    if beside := [name for name in _PARTS if row.get(name)]:
        problem = f"{beside[0]}: not a part of the prompt that is answered: write it into prompt, as turns, "
        raise DataError(path, line, problem + "or rename the column if only rewards read it")
    columns = {name: value for name, value in row.items() if name != "prompt"}
    return {"prompt": prompt_of(path, line, row), "columns": columns}
