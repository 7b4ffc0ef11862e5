"""Plain rows: JSON Lines, CSV or Parquet, a row an answer.

Columns: ``id``; ``score`` (0 to 1) or ``passed``; and if there are any ``set``, ``repeat`` (number of the
answer, where a case has several), ``cluster``, ``tags``, ``prompt``, ``text`` (the answer), ``reference``,
``error``, ``sha256`` (of the case), ``latency_s``, ``prompt_tokens``, ``completion_tokens``. Every other
column of numbers is a metric.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.run_log import SHARE, LogRow, gathered, set_name_of
from harness.history.logs.values import (
    changed_at,
    count_of,
    number_of,
    plain_suffix,
    read_json_lines,
    read_text,
    shown,
    truth_of,
)
from harness.types import Message

SCORE = "score"
SUFFIXES = (".jsonl", ".ndjson", ".csv", ".parquet")
UNNAMED_SET = "cases"
_FIELDS = frozenset(
    [
        *("id", "passed", "set", "repeat", "cluster", "tags", "prompt", "text", "reference", "error"),
        *("sha256", "latency_s", "prompt_tokens", "completion_tokens", "model"),
    ]
)


def recognises(path: Path) -> bool:
    """A file of rows; whether its columns fit is seen when it is read."""
    return plain_suffix(path) in SUFFIXES and path.is_file()


def read(path: Path) -> RunLog:
    """Read the rows.

    Raises:
        DataError: A row is cut, lacks an id or a score, has a doubled id or a wrong value.
    """
    rows = list(table_rows(path))
    _check_columns(path, rows)
    cases = gathered(_row(path, line, facts) for line, facts in rows)
    models = list(dict.fromkeys(str(facts["model"]) for _, facts in rows if facts.get("model")))
    return RunLog(
        path=path,
        tool="rows",
        model=models[0] if len(models) == 1 else path.stem,
        started_at=changed_at(path),
        cases=cases,
        facts={SCORE: SHARE},
        # The tool's own verdict decides where there is one.
        deciding={}
        if any("passed" in facts for _, facts in rows)
        else {case.set_name: SCORE for case in cases if any(SCORE in each.values for each in case.answers)},
    )


def table_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a file by column, each with its line (Parquet: its number); empty cells are left out.

    Raises:
        DataError: The file is cut, damaged or empty, or a library for it is missing.
    """
    suffix = plain_suffix(path)
    read_rows = {".csv": _csv_rows, ".parquet": _parquet_rows}.get(suffix, read_json_lines)
    empty = True
    for line, facts in read_rows(path):
        empty = False
        yield line, {key: value for key, value in facts.items() if value is not None and value != ""}
    if empty:
        raise DataError(path, None, "it has no rows: log again")


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(2**31 - 1)
    # Only a line break ends a row: other separators of Unicode are part of a text.
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    line = 1
    try:
        names = list(reader.fieldnames or ())
        if doubled := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise DataError(path, 1, f"the column {doubled[0]!r} occurs twice: give each its own name")
        for row in reader:
            if None in row or None in row.values():
                wrong = "more" if None in row else "fewer"
                raise DataError(path, reader.line_num, f"it has {wrong} cells than the heading has columns")
            line = reader.line_num
            yield line, row
    except csv.Error as error:
        raise DataError(path, line + 1, f"not CSV, or cut off: {error}") from error


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ImportError as error:
        raise DataError(path, None, "Parquet needs a library: pip install pyarrow") from error
    try:
        rows = read_table(path).to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        line = str(error).partition("\n")[0]
        raise DataError(path, None, f"not Parquet, or cut off: {line}") from error
    yield from enumerate(rows, start=1)


def _check_columns(path: Path, rows: list[tuple[int, Mapping[str, Any]]]) -> None:
    columns = dict.fromkeys(name for _, facts in rows for name in facts)
    if "id" not in columns:
        if len(columns) == 1 and (mark := re.search("[;\t|]", next(iter(columns)))) is not None:
            raise DataError(path, 1, f"its cells are separated by {mark[0]!r}: write it with commas")
        raise DataError(path, None, f"no column 'id' (found: {', '.join(columns) or 'none'})")
    if not {SCORE, "passed", "error"} & set(columns) and not set(columns) - _FIELDS:
        raise DataError(path, None, f"no column 'score' or 'passed' (found: {', '.join(columns)})")


def _row(path: Path, line: int, facts: Mapping[str, Any]) -> LogRow:
    place = (path, line)
    if "id" not in facts:
        raise DataError(path, line, "no id: give each case its own")
    error = str(facts.get("error", ""))
    passed = truth_of(facts["passed"], place, "passed") if "passed" in facts else None
    values = {
        name: number_of(value, place, name)
        for name, value in facts.items()
        if name not in _FIELDS and (name == SCORE or _is_number(value))
    }
    if passed is None and not values and not error:
        raise DataError(path, line, f"case {shown(facts['id'])} has no score: say why in a column 'error'")
    case = LogCase(
        set_name=set_name_of(str(facts.get("set", UNNAMED_SET))),
        id=str(facts["id"]),
        messages=(Message(role="user", content=str(facts["prompt"])),) if "prompt" in facts else (),
        references=(str(facts["reference"]),) if "reference" in facts else (),
        cluster=None if "cluster" not in facts else str(facts["cluster"]),
        tags=_tags(facts.get("tags")),
        identity=str(facts.get("sha256", "")),
        answers=(
            LogAnswer(
                values=values,
                passed=passed,
                text=None if "text" not in facts else str(facts["text"]),
                error=error,
                latency_s=count_of(facts.get("latency_s", 0), place, "latency_s"),
                prompt_tokens=int(count_of(facts.get("prompt_tokens", 0), place, "prompt_tokens")),
                completion_tokens=int(
                    count_of(facts.get("completion_tokens", 0), place, "completion_tokens")
                ),
                line=line,
            ),
        ),
    )
    repeat = facts.get("repeat")
    return LogRow(case=case, repeat=None if repeat is None else str(repeat), place=place)


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float)


def _tags(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(str(tag) for tag in value)
    return () if value is None else tuple(tag.strip() for tag in str(value).split(",") if tag.strip())
