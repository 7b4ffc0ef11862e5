"""Prompts to answer and reward: each row may have further columns for rewards."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import DataError
from trainers.data.conversations import question_of
from trainers.data.rows import Examples, Row, read_rows

_FORMAT = "prompt, messages, conversations or instruction, and the columns that rewards read"
# Names of a reward function's own arguments.
_TAKEN = ("prompts", "completions")
# The field with the question; the first that a row has.
_FORMS = ("prompt", "messages", "conversations", "instruction")
# What other programs ask with the prompt.
_UNREAD = {
    "system_prompt": "write it into system",
    **dict.fromkeys(
        ("image", "images", "audio", "video", "videos"), "no model here sees it; leave such rows out"
    ),
    "chat_template_kwargs": "give it once for all rows, in the configuration",
    "tools": "answers that call tools can't be sampled here; write them into a system turn",
}


def load_prompts(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read questions in any form, with ``system`` and ``history``, and further columns.

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
    form = next((name for name in _FORMS if name in row), None)
    if form is None:
        raise DataError(path, line, f"prompt is missing (allowed: {_FORMAT})")
    if taken := [name for name in _TAKEN if name in row]:
        raise DataError(path, line, f"{taken[0]}: the column's name is taken; rename it")
    for name, remedy in {**_UNREAD, **dict.fromkeys(_FORMS[1:3], "leave one of them out")}.items():
        if name != form and row.get(name):
            problem = f"{name}: not a part of the prompt that is answered: {remedy}, "
            raise DataError(path, line, problem + "or rename the column if only rewards read it")
    parts = {form, "system", "history", *(("input",) if form == "instruction" else ())}
    question = question_of(path, line, {key: row[key] for key in row if key in parts}, (), _FORMAT)
    if not question.turns or question.turns[-1]["role"] not in {"user", "tool"}:
        problem = (
            f"{form}: the last turn must be the user's, or a tool's result; rewards read a known answer "
        )
        raise DataError(path, line, problem + "from a column of its own")
    columns = {name: value for name, value in row.items() if name not in parts}
    return {"prompt": question.turns, "columns": columns}
