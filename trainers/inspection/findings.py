"""What there is to say about training data: invalid rows, lengths, copies, golden cases."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.types import GoldenSet
from trainers.config import LeakageSettings
from trainers.data.conversations import answer_row
from trainers.data.leakage import Leak, check_leakage, embedding_skipped
from trainers.data.learnt_tokens import Learn
from trainers.data.overlap import Words, answers_in, asked_in, words_of
from trainers.data.preferences import pair_row, thumb_row
from trainers.data.prompts import prompt_row
from trainers.data.rows import REPEATED, Examples, Row
from trainers.data.sources import read_source
from trainers.data.texts import PLAIN, load_texts, text_row
from trainers.data.unread_fields import fields_beside

Place = tuple[Path, int]

# By what its trainers read: the methods, and how a row is made ready for them.
KINDS: Mapping[str, Callable[[Path, int, Row], Row]] = {
    "answers": answer_row,
    "pairs": pair_row,
    "thumbs": thumb_row,
    "prompts": prompt_row,
    "texts": text_row,
}
KIND_OF_METHOD = {
    "sft": "answers",
    "dpo": "pairs",
    "orpo": "pairs",
    "reward": "pairs",
    "kto": "thumbs",
    "continual": "texts",
    **dict.fromkeys(("grpo", "rft", "rloo", "ppo"), "prompts"),
}
# The fields that name a form, in the order in which they decide.
_FORMS = ("messages", "conversations", "chosen", "instruction", "completion", "text", "prompt")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadData:
    """The rows of some files.

    Attributes:
        kind: One of KINDS.
        examples: The rows that can be trained on.
        forms: How many rows have each form.
        invalid: Why the others can't be, with their places.
        unread: Of texts, how many rows have each field of questions and answers that says something else.
    """

    kind: str
    examples: Examples
    forms: Mapping[str, int]
    invalid: Sequence[DataError]
    unread: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long rows are.

    Attributes:
        unit: ``tokens`` or ``words``.
        median: Of all rows.
        most: The longest, and where it is.
        high: 95 of 100 rows are no longer.
        over: Rows that are longer than the limit.
    """

    unit: str
    median: int
    high: int
    most: tuple[int, Place]
    over: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Rows that repeat others.

    Attributes:
        same: Rows with the question and answers of an earlier one, each with that one.
        asked: Rows with the question of an earlier one and another answer.
    """

    same: Sequence[tuple[Place, Place]]
    asked: Sequence[tuple[Place, Place]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """The search for golden cases.

    Attributes:
        cases: Cases that were looked for.
        found: Those in the data.
        skipped: Why embeddings were not compared; None if they were.
    """

    cases: int
    found: Sequence[Leak]
    skipped: str | None


def read_data(paths: Sequence[Path], kind: str | None = None, learn: Learn = "last") -> ReadData:
    """Read all rows, also those after an invalid one.

    Args:
        paths: Files, or data sets of the hub.
        kind: One of KINDS; None takes that of the first row's fields.
        learn: Of answers, which are learnt.

    Raises:
        DataError: A file can't be read, or there is no row at all.
    """
    rows: list[Row] = []
    places: list[Place] = []
    forms: Counter[str] = Counter()
    invalid: list[DataError] = []
    repeated: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    for place, found in _raw_rows(paths):
        try:
            row = _an_object(place, found)
            kind = kind or kind_of(row)
            convert = partial(answer_row, learn=learn) if kind == "answers" else KINDS[kind]
            made = convert(*place, row)
        except DataError as error:
            invalid.append(error)
            continue
        repeated.update(made.pop(REPEATED, ()))
        rows.append(made)
        places.append(place)
        if kind == "texts":
            forms["text"] += 1
            unread.update(
                name for name in fields_beside(row, made) if str(row[name]).strip() not in made["text"]
            )
        else:
            forms[next((form for form in _FORMS if form in row), "other")] += 1
    if not rows and not invalid:
        raise DataError(paths[0], None, "contains no row")
    examples = Examples(rows=rows, places=places, sha256="", repeated=dict(repeated))
    return ReadData(kind=kind or "answers", examples=examples, forms=forms, invalid=invalid, unread=unread)


def _raw_rows(paths: Sequence[Path]) -> Iterator[tuple[Place, Any]]:
    """The rows of all files as they are stored; an exception where the rest of a file can't be read."""
    for path in paths:
        if path.suffix in PLAIN:
            yield (path, 1), load_texts([path]).rows[0]
            continue
        found = read_source(path).rows
        try:
            for line, row in found:
                yield (path, line), row
        except DataError as error:
            yield (path, error.line or 1), error


def _an_object(place: Place, found: Any) -> Row:
    if isinstance(found, DataError):
        raise found
    if not isinstance(found, dict):
        raise DataError(*place, f"found a {type(found).__name__} (allowed: an object)")
    return found


def kind_of(row: Row) -> str:
    """The kind of data that a row's fields are for; answers if nothing else fits."""
    if "chosen" in row or "rejected" in row:
        return "pairs"
    answered = any(key in row for key in ("completion", "output", "messages", "conversations"))
    if answered:
        return "thumbs" if "label" in row else "answers"
    if "text" in row:
        return "texts"
    return "prompts" if "prompt" in row else "answers"


def lengths_of(sizes: Sequence[int], places: Sequence[Place], unit: str, limit: int) -> Lengths:
    """How long rows are.

    Args:
        sizes: One number for each row.
        places: Their places.
        unit: What is counted.
        limit: The most that fits.
    """
    ordered = sorted(sizes)
    most = max(range(len(sizes)), key=lambda row: sizes[row])
    return Lengths(
        unit=unit,
        median=ordered[len(ordered) // 2],
        high=ordered[min(len(ordered) - 1, (95 * len(ordered)) // 100)],
        most=(sizes[most], places[most]),
        over=sum(size > limit for size in sizes),
    )


def words_in(row: Row) -> int:
    """Words of a row's question and its longest answer."""
    answers = [len(words_of(text)) for text in answers_in(row)]
    return len(words_of(asked_in(row))) + max(answers, default=0)


def copies_in(examples: Examples) -> Copies:
    """Rows that say the same as an earlier one, ignoring case and punctuation.

    Args:
        examples: The rows.
    """
    whole: dict[Any, Place] = {}
    asked: dict[Words, Place] = {}
    same, questions = [], []
    for row, place in zip(examples.rows, examples.places, strict=True):
        question = words_of(asked_in(row))
        answers = tuple(words_of(text) for text in answers_in(row))
        # The words of a text without any are equal to those of another such text.
        key = (question, answers) if question or any(answers) else (asked_in(row), tuple(answers_in(row)))
        if key in whole:
            same.append((place, whole[key]))
        elif question and question in asked:
            questions.append((place, asked[question]))
        whole.setdefault(key, place)
        asked.setdefault(question, place)
    return Copies(same=same, asked=questions)


def leaks_in(examples: Examples, sets: Sequence[GoldenSet]) -> Leaks:
    """Golden cases in the data, looked for as every trainer does.

    Args:
        examples: The rows.
        sets: The golden sets.
    """
    settings = LeakageSettings()
    return Leaks(
        cases=sum(len(one.cases) for one in sets),
        found=check_leakage(examples, sets, settings),
        skipped=embedding_skipped(examples, settings),
    )
