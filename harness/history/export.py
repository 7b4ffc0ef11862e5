"""Tables of a history as files for other programs: CSV, JSON Lines, Parquet."""

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Any

from harness.errors import HistoryError
from harness.history.migrations import plain_text, score_rows
from harness.history.schemas import Database
from harness.types.storage import DamagedFactsError, parse_json, unpack

# Those of one run have its id in the named column.
TABLES = {
    "runs": "id",
    "results": "run_id",
    "scores": "run_id",
    "gates": "run_id",
    "comparisons": "comparisons.run_id",
    "retentions": "run_id",
    "accepted": "run_id",
}
_CHUNK = 10_000
_WHOLE = {
    *("collected", "no", "dirty", "place", "passed", "n", "lost", "gained", "number", "missing"),
    *("passed_by_baseline", "retained", "missing_unlimited", "nothing_to_lose"),
}
_REAL = {
    *("duration_s", "value", "threshold", "candidate_mean", "baseline_mean", "drop_estimate", "drop_low"),
    *("drop_high", "p_value", "p_adjusted", "margin", "minimum_detectable_drop", "rate_low", "rate_high"),
    *("confidence", "high_unseen", "high_at_best"),
}
# What is read in place of a table or view: its columns and what only the stored JSON has.
_SOURCES = {
    "scores": "SELECT run_id, set_name, case_id, packed FROM results {}",
    "comparisons": (
        "SELECT comparisons.*, gates.verdict AS run_verdict, gates.facts AS gate_facts "
        "FROM comparisons JOIN gates ON gates.run_id = comparisons.run_id {} ORDER BY gates.no, place"
    ),
}
_SCORE = ("metric", "value", "threshold", "passed", "error")
# What the verdict of a comparison rests on beside the columns of its table.
_EVIDENCE = ("high_unseen", "high_at_best", "missing", "missing_unlimited", "nothing_to_lose", "population")
# Of a graded metric a comparison names no more cases that fell, or rose.
_MOST_NAMED = 20
_Row = Sequence[Any]
_Rows = Iterator[_Row]


def export_table(database: Database, table: str, path: Path, run_id: str | None = None) -> int:
    """Write a documented table or view to a file, whole or not at all.

    Of a case with several answers the views have the one that decided; the file has a row for each.

    Args:
        database: An open history.
        table: One of ``TABLES``.
        path: Ends in .csv, .jsonl or .parquet.
        run_id: Only rows of this run; None for all.

    Returns:
        Number of rows.

    Raises:
        HistoryError: Another ending, a library is missing, or the file can't be written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise HistoryError(f"{path}: {path.suffix or 'no ending'} (allowed: {', '.join(_WRITERS)})")
    where, values = (f"WHERE {TABLES[table]} = ?", [run_id]) if run_id is not None else ("", [])
    found = database.execute(_SOURCES.get(table, f"SELECT * FROM {table} {{}}").format(where), values)
    columns, rows = _told(table, [column[0] for column in found.description], found)
    counted = _CountedRows(rows)
    try:
        with _whole(path) as part:
            write(part, columns, iter(counted))
    except OSError as error:
        raise HistoryError(f"{path}: can't be written: {error.strerror or error}") from error
    return counted.count


class _CountedRows:
    """Rows, and how many there were."""

    def __init__(self, rows: Iterable[_Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> _Rows:
        for row in self._rows:
            self.count += 1
            yield row


def _told(table: str, names: list[str], found: Iterable[_Row]) -> tuple[list[str], Iterable[_Row]]:
    """The columns and rows of a file, from those that were read.

    Args:
        table: One of ``TABLES``.
        names: The columns that were read.
        found: The rows.
    """
    match table:
        case "results":
            return [*names[:-2], "case_facts", "prompt_facts", "facts", "number"], _answers(found)
        case "scores":
            return [*names[:-1], *_SCORE, "number"], _scores(found)
        case "comparisons":
            return [*names[:-1], "confidence", *_EVIDENCE, "held_back"], _comparisons(names[:-1], found)
    return names, found


def _answers(found: Iterable[_Row]) -> _Rows:
    """A row for each answer of each case."""
    for *case, outcome, answer, case_packed, packed in found:
        with _damage_named(case[0]):
            asked, (facts,) = unpack(case_packed), unpack(packed)
            for number, each in enumerate(json.loads(facts).get("repeats") or [None], start=1):
                if each is None:
                    yield *case, outcome, answer, *asked, facts, number
                else:
                    said = None if each["completion"] is None else plain_text(each["completion"]["text"])
                    yield *case, each["outcome"], said, *asked, json.dumps(each), number


def _scores(found: Iterable[_Row]) -> _Rows:
    """A row for each check of each answer."""
    for *case, packed in found:
        with _damage_named(case[0]):
            result = json.loads(unpack(packed)[0])
            for number, each in enumerate(result.get("repeats") or [result], start=1):
                for score in score_rows(each):
                    yield *case, *score, number


def _comparisons(names: Sequence[str], found: Iterable[_Row]) -> _Rows:
    """A row for each compared metric, with what its verdict rests on.

    Args:
        names: The columns before the gate's JSON.
        found: The rows, those of one gate together.
    """
    run_id, gate = None, dict[str, Any]()
    for *told, facts in found:
        row = dict(zip(names, told, strict=True))
        with _damage_named(row["run_id"]):
            if row["run_id"] != run_id:
                run_id, gate = row["run_id"], parse_json(facts)
            metric = gate["comparison"]["metrics"][row["place"]]
            for side in ("lost", "gained"):
                if row["kind"] == "graded" and row[side] == _MOST_NAMED:
                    # Perhaps there were more.
                    row[side] = None
            evidence = [_plain(metric.get(name)) for name in _EVIDENCE]
            yield *row.values(), metric["drop"]["confidence"], *evidence, _held_back(gate, row)


def _held_back(gate: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The kinds of findings of this metric, its set or the whole run, beside its own, that are no pass."""
    kinds = [
        each["data"]["kind"]
        for each in (gate["verdict"] or {"findings": ()})["findings"]
        if each.get("verdict") not in {None, "pass"}
        and all(each.get(name) in {None, row[name]} for name in ("set_name", "metric"))
    ]
    return ", ".join(kind for kind in dict.fromkeys(kinds) if kind != "metric")


def _plain(value: object) -> object:
    """A value as the tables hold it: numbers for truth."""
    return int(value) if isinstance(value, bool) else value


@contextmanager
def _damage_named(run_id: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DamagedFactsError(f"run {run_id} is damaged: {error}") from error


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    part = path.with_name(f".tunegate-{token_hex(8)}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_csv(path: Path, columns: Sequence[str], rows: _Rows) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _write_json_lines(path: Path, columns: Sequence[str], rows: _Rows) -> None:
    with path.open("x", encoding="utf-8") as file:
        for row in rows:
            values = [
                None if isinstance(value, float) and not math.isfinite(value) else value for value in row
            ]
            file.write(json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False) + "\n")


def _write_parquet(path: Path, columns: Sequence[str], rows: _Rows) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise HistoryError("Parquet needs pyarrow, which is missing: pip install 'tunegate[logs]'") from error

    def kind(name: str) -> Any:
        return pyarrow.int64() if name in _WHOLE else pyarrow.float64() if name in _REAL else pyarrow.string()

    schema = pyarrow.schema([(name, kind(name)) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:
        while chunk := list(islice(rows, _CHUNK)):
            arrays = [
                pyarrow.array(values, field.type)
                for values, field in zip(zip(*chunk, strict=True), schema, strict=True)
            ]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))


_WRITERS: dict[str, Callable[[Path, Sequence[str], _Rows], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_json_lines,
    ".parquet": _write_parquet,
}
