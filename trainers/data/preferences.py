"""Rows of people's judgements: pairs of a better and a worse answer, and single answers with a thumb."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from harness.errors import DataError
from trainers.data.conversations import WHOLE, Question, answer_of, made_row, question_of
from trainers.data.rows import Examples, Row, read_rows
from trainers.data.turns import Turn, turns_of
from tunegate.printable import shown_value

_PAIR = "prompt, chosen and rejected"
_THUMB = "prompt, completion and label (true | false)"
_LABELS = {"true": True, "false": False}


def load_pairs(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read preference pairs: a question in any form, ``chosen`` and ``rejected``.

    The question is ``prompt`` (a text or turns), ``messages``, ``conversations`` or ``instruction`` with
    ``input``. The answers are texts or turns; they may also be two whole conversations that begin alike.

    Args:
        paths: Files, or data sets of the hub.
        max_rows: Largest number of rows; None reads all.

    Returns:
        Rows with three lists of turns, and ``tools`` if there are any.

    Raises:
        DataError: With file and line; also for a pair whose answers are equal.
    """
    return read_rows(paths, pair_row, _PAIR, max_rows)


def load_thumbs(paths: Sequence[Path], max_rows: int | None = None) -> Examples:
    """Read thumbs: a question in any form, ``completion`` and ``label`` (true for thumbs up).

    ``messages`` and ``conversations`` may end with the answer, in place of ``completion``.

    Args:
        paths: Files, or data sets of the hub.
        max_rows: Largest number of rows; None reads all.

    Returns:
        Rows with two lists of turns and a bool, and ``tools`` if there are any.

    Raises:
        DataError: With file and line; also if all labels are equal.
    """
    examples = read_rows(paths, thumb_row, _THUMB, max_rows)
    if len({row["label"] for row in examples.rows}) == 1:
        only = str(examples.rows[0]["label"]).lower()
        raise DataError(paths[0], None, f"all labels are {only} (allowed: thumbs up and thumbs down)")
    return examples


def pair_row(path: Path, line: int, row: Row) -> Row:
    """A pair in one form.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row.

    Returns:
        ``prompt``, ``chosen`` and ``rejected``, lists of turns, and ``tools`` if there are any.

    Raises:
        DataError: With what was found, and what is allowed.
    """
    _need(path, line, row, _PAIR, ("chosen", "rejected"))
    if all(isinstance(row[key], list) and len(row[key]) > 1 for key in ("chosen", "rejected")):
        row = _split(path, line, row)
    # The hub's pairs have the whole conversation beside the prompt, with the better answer.
    asking = {key: value for key, value in row.items() if "prompt" not in row or key not in WHOLE}
    asked = question_of(path, line, asking, ("chosen", "rejected"), _PAIR)
    _ends_with_question(path, line, asked)
    chosen, rejected = (answer_of(path, line, key, row[key]) for key in ("chosen", "rejected"))
    _refuse_weights(path, line, chosen, rejected)
    if _stripped(chosen) == _stripped(rejected):
        raise DataError(path, line, "chosen and rejected are equal; a pair must differ")
    found = {"prompt": asked.turns, "chosen": [chosen], "rejected": [rejected]}
    return made_row(path, line, row, asked, found)


def _split(path: Path, line: int, row: Row) -> Row:
    """A pair of two whole conversations as their common beginning and two answers."""
    whole = [turns_of(path, line, key, row[key]) for key in ("chosen", "rejected")]
    same = [one for one, _ in takewhile(lambda two: two[0] == two[1], zip(*whole, strict=False))]
    if any(len(turns) != len(same) + 1 for turns in whole):
        problem = "chosen and rejected: two conversations must be the same up to their last turns"
        raise DataError(path, line, problem)
    given = row.get("prompt")
    if isinstance(given, str) and same[-1]["content"].strip() != given.strip():
        raise DataError(path, line, "prompt: not the last question in chosen and rejected")
    if isinstance(given, list) and turns_of(path, line, "prompt", given) != same:
        raise DataError(path, line, "prompt: not the conversation in chosen and rejected")
    return {**row, "prompt": row["chosen"][:-1], "chosen": row["chosen"][-1], "rejected": row["rejected"][-1]}


def thumb_row(path: Path, line: int, row: Row) -> Row:
    """A thumb in one form.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row.

    Returns:
        ``prompt`` and ``completion``, lists of turns, ``label``, and ``tools`` if there are any.

    Raises:
        DataError: With what was found, and what is allowed.
    """
    whole = any(name in row for name in ("messages", "conversations")) and "completion" not in row
    _need(path, line, row, _THUMB, ("label",) if whole else ("completion", "label"))
    asked = question_of(path, line, row, ("label",) if whole else ("completion", "label"), _THUMB)
    label = _LABELS.get(str(row["label"]).lower()) if isinstance(row["label"], bool | str) else None
    if label is None:
        raise DataError(path, line, f"label: found {shown_value(row['label'])} (allowed: true or false)")
    turns = asked.turns
    if whole:
        if len(turns) < 2 or turns[-1]["role"] != "assistant":
            problem = f"{asked.form}: the last must be the assistant's answer, after a question"
            raise DataError(path, line, problem)
        answer, turns = turns[-1], turns[:-1]
    else:
        _ends_with_question(path, line, asked)
        answer = answer_of(path, line, "completion", row["completion"])
    _refuse_weights(path, line, answer)
    return made_row(path, line, row, asked, {"prompt": turns, "completion": [answer], "label": label})


def _refuse_weights(path: Path, line: int, *answers: Turn) -> None:
    """Refuse an answer of weight 0: it would be learnt anyway."""
    if any(answer.get("weight") == 0 for answer in answers):
        raise DataError(path, line, "weight: the answer has weight 0; remove the row")


def _need(path: Path, line: int, row: Row, formats: str, keys: Sequence[str]) -> None:
    """Refuse a row without a question, or without one of the fields of its form."""
    missing = [key for key in keys if key not in row]
    whole = all(isinstance(row.get(key), list) for key in ("chosen", "rejected"))
    if not whole and not {"prompt", "messages", "conversations", "instruction"} & set(row):
        missing = ["prompt", *missing]
    if missing:
        raise DataError(path, line, f"{missing[0]} is missing (allowed: {formats})")


def _ends_with_question(path: Path, line: int, asked: Question) -> None:
    if not asked.turns or asked.turns[-1]["role"] not in {"user", "tool"}:
        raise DataError(path, line, f"{asked.form}: the last turn must be the user's, or a tool's result")


def _stripped(turn: Turn) -> Turn:
    return {**turn, "content": turn["content"].strip()}
