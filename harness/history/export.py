"""Tables of a history as files for other programs: CSV, JSON Lines, Parquet."""

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import Any

from harness.errors import HistoryError
from harness.history.schemas import Database
from harness.types.storage import DamagedFactsError, unpack

# Those of one run have its id in the named column.
TABLES = {
    "runs": "id",
    "results": "run_id",
    "scores": "run_id",
    "gates": "run_id",
    "comparisons": "run_id",
    "retentions": "run_id",
    "accepted": "run_id",
}
# What is in a packed column.
_UNPACKED = {"case_packed": ("case_facts", "prompt_facts"), "packed": ("facts",)}
_CHUNK = 10_000
_WHOLE = {
    *("collected", "no", "dirty", "place", "passed", "n", "lost", "gained"),
    *("passed_by_baseline", "retained"),
}
_REAL = {
    *("duration_s", "value", "threshold", "candidate_mean", "baseline_mean", "drop_estimate", "drop_low"),
    *("drop_high", "p_value", "p_adjusted", "margin", "minimum_detectable_drop", "rate_low", "rate_high"),
}
_Rows = Iterator[Sequence[Any]]


def export_table(database: Database, table: str, path: Path, run_id: str | None = None) -> int:
    """Write a documented table or view to a file, whole or not at all.

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
    found = database.execute(f"SELECT * FROM {table} {where}", values)
    columns = [name for column in found.description for name in _UNPACKED.get(column[0], (column[0],))]
    counted = _CountedRows(found, [column[0] in _UNPACKED for column in found.description])
    try:
        with _whole(path) as part:
            write(part, columns, iter(counted))
    except OSError as error:
        raise HistoryError(f"{path}: can't be written: {error.strerror or error}") from error
    return counted.count


class _CountedRows:
    """Rows with packed columns unpacked, and how many there were."""

    def __init__(self, rows: Any, packed: Sequence[bool]) -> None:
        self._rows = rows
        self._packed = packed
        self.count = 0

    def __iter__(self) -> _Rows:
        some = any(self._packed)
        for row in self._rows:
            self.count += 1
            yield self._unpacked(row) if some else row

    def _unpacked(self, row: Sequence[Any]) -> list[Any]:
        cells = zip(row, self._packed, strict=True)
        try:
            return [each for cell, packed in cells for each in (unpack(cell) if packed else [cell])]
        except ValueError as error:
            raise DamagedFactsError(f"run {row[0]} is damaged: {error}") from error


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
