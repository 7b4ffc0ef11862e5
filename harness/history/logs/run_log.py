"""Reads the rows of another tool's log, and gathers them by case."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.log_cases import LogCase
from harness.types import MetricFacts

# Scores between 0 and 1 of which more is better, as most tools have them.
SHARE = MetricFacts(kind="graded")
# What a reader meets where a log has another kind of value than its tool writes.
OF_ANOTHER_KIND = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One answer of a case, as rows of a log come.

    Attributes:
        case: The case with this answer only.
        repeat: Which of several answers it is; None if the log doesn't number them.
        place: The file and line, for messages.
    """

    case: LogCase
    repeat: str | None
    place: tuple[Path, int | None]


def each_row(
    items: Iterable[Any], path: Path, what: str, row_of: Callable[[Any], LogRow]
) -> Iterator[LogRow]:
    """A log's items as rows.

    Args:
        items: What the log has, in its order.
        path: The file.
        what: The tool's word for an item.
        row_of: Makes an item's row.

    Raises:
        DataError: An item is of another kind than the tool writes; the message has its number.
    """
    for number, item in enumerate(items, start=1):
        try:
            yield row_of(item)
        except OF_ANOTHER_KIND as error:
            raise misread(path, f"{what} {number} is not as its tool writes it", error) from error


def misread(path: Path, what: str, error: Exception) -> DataError:
    """The error of a log that has another kind of value somewhere than its tool writes.

    Args:
        path: The file.
        what: What is not as it should be.
        error: What its reading met.
    """
    found = f"{type(error).__name__}: {error}".partition("\n")[0]
    return DataError(path, None, f"{what}, or of a version that is not read: {found}")


def gathered(rows: Iterable[LogRow]) -> tuple[LogCase, ...]:
    """The cases of rows, several numbered answers to one case together.

    Raises:
        DataError: An id is used twice without numbers, or one answer's number is.
    """
    cases: dict[str, LogCase] = {}
    seen: dict[tuple[str, str | None], int | None] = {}
    for row in rows:
        path, line = row.place
        key, earlier = row.case.key, cases.get(row.case.key)
        if (key, row.repeat) in seen or (earlier is not None and row.repeat is None):
            before = seen.get((key, row.repeat))
            there = f" on line {before}" if before is not None else ""
            numbered = f" (answer {row.repeat})" if row.repeat is not None else ""
            raise DataError(
                path, line, f"id {row.case.id!r}{numbered} was used before{there}: give each case its own id"
            )
        seen[key, row.repeat] = line
        if earlier is None:
            cases[key] = row.case
        elif (earlier.messages, earlier.identity) != (row.case.messages, row.case.identity):
            raise DataError(path, line, f"id {row.case.id!r}: its answers are to different prompts")
        else:
            cases[key] = _with_answers(earlier, row.case)
    return tuple(cases.values())


def _with_answers(case: LogCase, further: LogCase) -> LogCase:
    return LogCase(
        set_name=case.set_name,
        id=case.id,
        answers=case.answers + further.answers,
        messages=case.messages,
        references=case.references,
        cluster=case.cluster,
        tags=case.tags,
        identity=case.identity,
    )


def set_name_of(task: str) -> str:
    """A tool's name of a task as the name of a set, which has no slash."""
    return task.strip("/").replace("/", "--") or "cases"


def named_by_content(content: object) -> str:
    """An id for a case whose log has none: the same case has it in every log, in any order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]
