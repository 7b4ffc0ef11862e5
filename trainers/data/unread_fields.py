"""Fields of training rows that say something about what is learnt, and that no method here reads.

Other programs read them. Were they dropped, a model would learn something else than its data says: they are
refused. So is a second form beside a row's first, unless it says what the row says: then it is left out, and
counted. Fields without such a meaning (a source, a topic) are left alone, and so are empty ones.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from trainers.data.turns import EMPTY, Turn, turns_of

_TURNS = "write it into messages, or into a list of turns under prompt"
_REMOVE = "not read here; remove it"
# Parts of a conversation that are not in its prompt or answer.
CONVERSATION = {
    "system": _TURNS,
    "system_prompt": _TURNS,
    "history": _TURNS,
    "context": "write it into the prompt",
    "tools": _REMOVE,
    "functions": _REMOVE,
    "tool_calls": _REMOVE,
    "function_call": _REMOVE,
    "images": _REMOVE,
    "image": _REMOVE,
    "audio": _REMOVE,
    "video": _REMOVE,
    "videos": _REMOVE,
    "reasoning": _REMOVE,
    "reasoning_content": _REMOVE,
    "thinking": _REMOVE,
    "chat_template_kwargs": "give it once for all rows, in the configuration",
}
# What other programs weigh or mask the loss by.
_LOSS = dict.fromkeys(
    ("weight", "weights", "sample_weight", "loss_weight", "loss_mask", "train_mask", "margin"), _REMOVE
)
# Fields of the forms of rows that hold questions, answers, and both.
_QUESTIONS = frozenset({"prompt", "instruction", "input", "question", "query"})
_ANSWERS = frozenset({"completion", "output", "response", "answer", "solution", "chosen", "rejected"})
_BOTH = frozenset({"messages", "conversations", "text"})
# They may be the last words of an answer: the result of its steps.
_RESULTS = frozenset({"answer", "solution"})


def refuse_fields(path: Path, line: int, row: dict[str, Any], read: Collection[str]) -> None:
    """Refuse a row with a field that would be dropped although it says what to learn.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row.
        read: The fields of the row's form.

    Raises:
        DataError: With the first such field.
    """
    for field, value in row.items():
        if field in read or value in EMPTY:
            continue
        if field in CONVERSATION or (field in _LOSS and value != 1):
            raise DataError(path, line, f"{field}: {(CONVERSATION | _LOSS)[field]}")
        if field == "label" and isinstance(value, bool):
            raise DataError(path, line, _of_another_form(field, read))


def fields_beside(row: dict[str, Any], read: Collection[str]) -> tuple[str, ...]:
    """The fields of a row that hold a question or an answer in other forms of rows, and are not empty.

    Args:
        row: The row.
        read: The fields of the row's own form.
    """
    return tuple(
        field
        for field, value in row.items()
        if field in _QUESTIONS | _ANSWERS | _BOTH and field not in read and not _is_empty(value)
    )


def repeated_fields(
    path: Path, line: int, row: dict[str, Any], read: Collection[str], turns: Sequence[Turn]
) -> tuple[str, ...]:
    """The fields of a second form that say once more what the row says, such as Alpaca's ``text``.

    Args:
        path: The row's file.
        line: Its line, from 1.
        row: The row.
        read: The fields of the row's form.
        turns: The conversation that was read from them.

    Raises:
        DataError: One says something else, which would be dropped.
    """
    second = fields_beside(row, read)
    for field in second:
        if not _says_the_same(path, line, field, row[field], turns):
            problem = f"{_of_another_form(field, read)}, and says something else; remove or rename it"
            raise DataError(path, line, problem)
    return second


def _is_empty(value: Any) -> bool:
    return value in EMPTY or (isinstance(value, str) and not value.strip())


def _of_another_form(field: str, read: Collection[str]) -> str:
    return f"{field}: a field of another form of rows (this one: {', '.join(sorted(read))})"


def _says_the_same(path: Path, line: int, field: str, value: Any, turns: Sequence[Turn]) -> bool:
    if isinstance(value, list | dict):
        try:
            given = _said(turns_of(path, line, field, [value] if isinstance(value, dict) else value))
        except DataError:
            return False
        known = _said(turns)
        # Without the answer it is the question; a single turn is one of those asked, or the answer.
        return given in (known, known[:-1], known[-1:]) or (len(given) == 1 and given[0] in _asked(turns))
    said, texts = str(value).strip(), [text for _, text in _said(turns)]
    if field in _BOTH:
        return _follow(said, texts)
    if field in _QUESTIONS:
        return any(_has_words(text, said) for _, text in _asked(turns))
    return said == texts[-1] or (field in _RESULTS and _has_words(texts[-1], said))


def _follow(whole: str, texts: Sequence[str]) -> bool:
    """Whether the texts' paragraphs follow each other in a whole text: the row, rendered.

    Alpaca's text has a title between instruction and input, which are one question of two paragraphs here.
    """
    place = 0
    for paragraph in (part.strip() for text in texts for part in text.split("\n\n")):
        found = whole.find(paragraph, place)
        if found < 0:
            return False
        place = found + len(paragraph)
    return True


def _said(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"].strip()) for turn in turns]


def _asked(turns: Sequence[Turn]) -> list[tuple[str, str]]:
    return [turn for turn in _said(turns) if turn[0] != "assistant"]


def _has_words(text: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None
