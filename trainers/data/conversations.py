"""Conversations in the forms in which people store them: messages, prompts, ShareGPT's, Alpaca's."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from harness.errors import DataError
from trainers.data.rows import REPEATED, Examples, Row, read_rows, text_of
from trainers.data.turns import EMPTY, Turn, parsed, refuse, tools_of, turns_of
from trainers.data.unread_fields import refuse_fields, repeated_fields
from tunegate.printable import shown_value

FORMATS = "prompt and completion | instruction, input and output | messages | conversations"
# Fields with turns before the question, each read beside any form.
_BEFORE = ("system", "history")
# The forms that are one list of turns.
WHOLE = ("messages", "conversations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The conversation before an answer.

    Attributes:
        turns: All turns of the row's fields; of ``messages`` and ``conversations`` with the answer.
        form: The field that names the row's form.
        tools: Tools that the model may call.
        read: The fields that were read.
    """

    turns: list[Turn]
    form: str
    tools: list[dict[str, Any]]
    read: frozenset[str]


def load_examples(
    paths: Sequence[Path], max_rows: int | None = None, learn: Literal["last", "all"] = "last"
) -> Examples:
    """Read answers to learn, in any of four forms, which may be mixed row by row.

    - ``prompt`` (a text or turns) and ``completion`` (a text or a turn);
    - ``instruction``, ``input`` (may be empty or missing) and ``output``, as Alpaca's;
    - ``messages``: role/content turns that end with the assistant's;
    - ``conversations``: the same, or ShareGPT's from/value turns.

    Beside each form ``system``, ``history`` (pairs of question and answer) and ``tools`` are read.

    Args:
        paths: Files, or data sets of the hub.
        max_rows: Largest number of rows; None reads all.
        learn: Whether the last answer is learnt, or all of them: then turns may have a weight.

    Returns:
        Rows with ``prompt`` and ``completion``, both lists of turns, and ``tools`` if there are any.

    Raises:
        DataError: With file, line, what was found and what is allowed.
    """
    return read_rows(paths, partial(answer_row, learn=learn), FORMATS, max_rows)


def question_of(path: Path, line: int, row: Row, answers: Collection[str], forms: str) -> Question:
    """The conversation before the answers, in any of the forms.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row.
        answers: The fields with the answers, which the caller reads.
        forms: The allowed fields, for messages.

    Raises:
        DataError: There is no question, or a field that would be dropped.
    """
    form = next((name for name in (*WHOLE, "prompt", "instruction") if name in row), None)
    if form is None:
        raise DataError(path, line, f"found the keys {', '.join(row) or 'none'} (allowed: {forms})")
    read = {form, *_BEFORE, "tools", *answers, *({"input"} if form == "instruction" else ())}
    refuse_fields(path, line, row, read)
    turns = _asked(path, line, row, form)
    before = _turns_before(path, line, row)
    if before and before[0]["role"] == "system" and turns and turns[0]["role"] == "system":
        refuse(path, line, "system", f"there is a system turn in {form} too; leave one of them out")
    tools = [] if row.get("tools") in EMPTY else tools_of(path, line, row["tools"])
    return Question(turns=[*before, *turns], form=form, tools=tools, read=frozenset(read))


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
    if not turns or turns[-1]["role"] not in {"user", "tool"}:
        raise DataError(path, line, "prompt: the last turn must be the user's, or a tool's result")
    return turns


def answer_of(path: Path, line: int, key: str, value: Any) -> Turn:
    """An answer: a text, a turn, or a list of one turn.

    Args:
        path: The row's file.
        line: Its line, from 1.
        key: The answer's field, for messages.
        value: The answer.

    Raises:
        DataError: It is empty, or not an assistant's.
    """
    if isinstance(value, dict | list):
        turns = turns_of(path, line, key, [value] if isinstance(value, dict) else value)
        if len(turns) != 1 or turns[0]["role"] != "assistant" or not _says_something(turns[0]):
            refuse(path, line, key, "must be one turn, the assistant's answer")
        return turns[0]
    return {"role": "assistant", "content": text_of(path, line, {key: value}, key)}


def made_row(path: Path, line: int, given: Row, asked: Question, made: Row) -> Row:
    """The row with its tools, and the names of fields that say once more what it says, where there are any.

    Args:
        path: The row's file.
        line: Its line, from 1.
        given: The file's row.
        asked: Its question.
        made: The row that was made, whose answers are all but ``prompt``.

    Raises:
        DataError: A field of a second form says something else.
    """
    answer = next(value for key, value in made.items() if key != "prompt")
    repeated = repeated_fields(path, line, given, asked.read, [*made["prompt"], *answer])
    return {
        **made,
        **({"tools": asked.tools} if asked.tools else {}),
        **({REPEATED: repeated} if repeated else {}),
    }


def answer_row(path: Path, line: int, row: Row, learn: Literal["last", "all"] = "last") -> Row:
    """A row in one form.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row, in any form.
        learn: As for load_examples.

    Returns:
        ``prompt`` and ``completion``, both lists of turns, and ``tools`` if there are any.

    Raises:
        DataError: It has none of the forms, or a field that would be dropped.
    """
    answer = "output" if "instruction" in row and "prompt" not in row else "completion"
    whole = next((name for name in WHOLE if name in row), None)
    if whole is None and answer not in row:
        raise DataError(path, line, f"found the keys {', '.join(row) or 'none'} (allowed: {FORMATS})")
    asked = question_of(path, line, row, () if whole else (answer,), FORMATS)
    if whole:
        turns = asked.turns
        last = turns[-1] if turns else None
        if len(turns) < 2 or last is None or last["role"] != "assistant" or not _says_something(last):
            refuse(path, line, whole, "the last must be the assistant's answer, after a question")
    else:
        turns = [*asked.turns, answer_of(path, line, answer, row[answer])]
    found = made_row(path, line, row, asked, {"prompt": turns[:-1], "completion": turns[-1:]})
    _check_weights(path, line, found, learn)
    return found


def _asked(path: Path, line: int, row: Row, form: str) -> list[Turn]:
    if form in WHOLE:
        return turns_of(path, line, form, row[form])
    if form == "prompt":
        return prompt_of(path, line, row)
    text, given = text_of(path, line, row, form), row.get("input") or ""
    if not isinstance(given, str):
        refuse(path, line, "input", f"found {shown_value(given)} (allowed: a text)")
    return [{"role": "user", "content": text + (f"\n\n{given}" if given.strip() else "")}]


def _turns_before(path: Path, line: int, row: Row) -> list[Turn]:
    """The turns of ``system`` and ``history``."""
    turns: list[Turn] = []
    if row.get("system") not in EMPTY:
        turns.append({"role": "system", "content": text_of(path, line, row, "system")})
    history = row.get("history")
    if isinstance(history, str) and history.lstrip().startswith("["):
        history = parsed(path, line, "history", history)
    if history in EMPTY:
        return turns
    pairs = history if isinstance(history, list) else [history]
    for pair in pairs:
        texts: list[Any] = pair if isinstance(pair, list) and len(pair) == 2 else [None, None]
        if not all(isinstance(text, str) and text.strip() for text in texts):
            refuse(
                path, line, "history", f"found {shown_value(pair)} (allowed: pairs of question and answer)"
            )
        turns += [{"role": "user", "content": texts[0]}, {"role": "assistant", "content": texts[1]}]
    return turns


def _check_weights(path: Path, line: int, row: Row, learn: str) -> None:
    """Refuse weights that would change nothing, and rows of which nothing, or an empty answer, is learnt."""
    earlier = [turn for turn in row["prompt"] if turn.get("weight") == 1]
    if learn == "last" and earlier:
        refuse(path, line, "weight", "an earlier answer has weight 1; learn it with learn: all")
    answers = [turn for turn in [*row["prompt"], *row["completion"]] if turn["role"] == "assistant"]
    learnt = answers if learn == "all" else row["completion"]
    if any(turn.get("weight") != 0 and not _says_something(turn) for turn in learnt):
        refuse(path, line, "learn", "an earlier answer is empty; give it weight 0, or remove the row")
    if all(turn.get("weight") == 0 for turn in learnt):
        refuse(path, line, "weight", "every answer to learn has weight 0; remove the row")


def _says_something(turn: Turn) -> bool:
    return bool(turn["content"].strip() or turn.get("tool_calls"))
