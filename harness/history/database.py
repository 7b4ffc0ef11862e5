"""Opens a history's SQLite file, reports faults in one line, and writes a gate's record as rows."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import HistoryError
from harness.history.migrations import ForeignDatabaseError, NewerSchemaError, migrate, require_history
from harness.types import Comparison, GateRecord, MetricComparison, Run
from harness.types.storage import DamagedFactsError, LaterFactsError, encode, write_whole

Row = tuple[str | int | float | None, ...]


def run_row(run: Run) -> Row:
    """Row of ``runs``. The results have separate rows."""
    model = run.model
    return (
        *(_text(run.id), _text(run.started_at), run.duration_s, _text(model.label)),
        None if model.adapter_sha256 is None else _text(model.adapter_sha256),
        *(_text(model.base_sha256), run.collected),
        encode(replace(run, results=())),
    )


def result_rows(run: Run) -> Iterator[Row]:
    """Rows of ``results``."""
    for place, result in enumerate(run.results):
        yield (
            *(_text(run.id), place, _text(result.case.set_name), _text(result.case.id), str(result.outcome)),
            None if result.completion is None else _text(result.completion.text),
            encode(result),
        )


def score_rows(run: Run) -> Iterator[Row]:
    """Rows of ``scores``: each score, and each metric that broke."""
    for result in run.results:
        case = (_text(run.id), _text(result.case.set_name), _text(result.case.id))
        for score in result.scores:
            yield (*case, _text(score.metric), score.value, score.threshold, score.passed, None)
        for error in result.errors:
            yield (*case, _text(error.metric), None, None, None, _text(error.error))


def gate_row(record: GateRecord) -> Row:
    """Row of ``gates``."""
    return (
        _text(record.run.id),
        None if record.baseline is None else _text(record.baseline.id),
        None if record.verdict is None else str(record.verdict.outcome),
        encode({"comparison": record.comparison, "verdict": record.verdict}),
    )


def comparison_rows(run_id: str, comparison: Comparison) -> Iterator[Row]:
    """Rows of ``comparisons``.

    Args:
        run_id: The candidate's run.
        comparison: The comparison.

    Returns:
        One row per metric, in the order of the table's columns.
    """
    for place, row in enumerate(comparison.metrics):
        yield (
            *(_text(run_id), place, _text(row.set_name), _text(row.metric), row.kind, row.n),
            *(row.candidate.mean.estimate, row.baseline.mean.estimate),
            *(row.drop.estimate, row.drop.low, row.drop.high, row.p_value, row.p_adjusted),
            *(len(row.lost), len(row.gained), row.margin, row.minimum_detectable_drop, _verdict(row)),
        )


def retention_rows(run_id: str, comparison: Comparison) -> Iterator[Row]:
    """Rows of ``retentions``: one for each skill of the baseline.

    Args:
        run_id: The candidate's run.
        comparison: The comparison.

    Returns:
        One row per skill, in the order of the table's columns.
    """
    for place, row in enumerate(comparison.forgetting.by_skill if comparison.forgetting else ()):
        yield (
            *(_text(run_id), place, _text(row.skill), row.passed_by_baseline, row.retained),
            *(row.rate.low, row.rate.high),
        )


def _verdict(row: MetricComparison) -> str | None:
    return None if row.verdict is None else str(row.verdict)


def _text(text: str) -> str:
    """The text with lone surrogates as question marks, which SQLite can't store; the facts keep the text."""
    return text.encode("utf-8", "replace").decode("utf-8")


_OLDEST_SQLITE = (3, 37)  # strict tables


_PRIMARY_CODE = 0xFF  # an extended result code has the primary one in its lowest byte


_RETRY_S = 0.02


_HEADER_BYTES = 100


_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


class ReadOnlyHistoryError(HistoryError):
    """A history can't be written: it may still be readable."""


@contextmanager
def open_database(path: Path, wait_s: float, *, shown: Path | None = None) -> Iterator[sqlite3.Connection]:
    """A connection to a history with the newest schema, which is created if necessary.

    Errors of the file during use are reported in the same way.

    Args:
        path: The file.
        wait_s: How long another process may hold the lock.
        shown: The file that messages name, where this one is a copy.

    Raises:
        HistoryError: The file is not a history, damaged, locked, read-only, or newer than this program.
    """
    shown = shown or path
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise HistoryError(
            f"this Python has SQLite {sqlite3.sqlite_version}: the history needs "
            f"{'.'.join(map(str, _OLDEST_SQLITE))} or later"
        )
    database: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and 0 < path.stat().st_size < _HEADER_BYTES:
            # SQLite would take it for an empty database and write over it.
            raise HistoryError(f"{shown}: too short to be a history; restore the file or move it away")
        database = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
        require_history(database)
        _use_wal(database, wait_s)
        database.execute("PRAGMA foreign_keys = ON")
        migrate(database)
        yield database
    except OSError as error:
        raise ReadOnlyHistoryError(
            f"{shown}: the history can't be opened: {error.strerror or error}"
        ) from error
    except ForeignDatabaseError as error:
        raise HistoryError(f"{shown}: a database of another program ({error}); name another file") from error
    except NewerSchemaError as error:
        raise HistoryError(f"{shown}: written by a newer tunegate ({error}): upgrade tunegate") from error
    except LaterFactsError as error:
        raise HistoryError(f"{shown}: {error}; upgrade tunegate") from error
    except DamagedFactsError as error:
        raise HistoryError(f"{shown}: {error}; restore the file or move it away") from error
    except sqlite3.Error as error:
        kind = ReadOnlyHistoryError if _code(error) in _READ_ONLY else HistoryError
        raise kind(f"{shown}: {_explained(error, wait_s)}") from error
    finally:
        if database is not None:
            database.close()


@contextmanager
def read_database(path: Path, wait_s: float) -> Iterator[sqlite3.Connection]:
    """As open_database, for commands that only read: a read-only history is read from a copy.

    Opening a history writes: its schema becomes the newest, and SQLite keeps files beside it.

    Args:
        path: The file.
        wait_s: How long another process may hold the lock.

    Raises:
        HistoryError: As open_database, or the file can't be read.
    """
    with ExitStack() as opened:
        try:
            database = opened.enter_context(open_database(path, wait_s))
        except ReadOnlyHistoryError:
            if not path.is_file():
                raise
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="tunegate-")))
            database = opened.enter_context(open_database(_copied(path, folder), wait_s, shown=path))
        yield database


def _copied(path: Path, folder: Path) -> Path:
    """A copy of a history, with what was written lately and is not in the main file yet."""
    try:
        for suffix in ("", "-wal"):
            part = path.with_name(path.name + suffix)
            if part.is_file():
                write_whole(folder / part.name, part.read_bytes())
    except OSError as error:
        raise HistoryError(f"{path}: can't be read: {error.strerror}") from error
    return folder / path.name


def _use_wal(database: sqlite3.Connection, wait_s: float) -> None:
    """Let readers read while another process writes."""
    give_up = time.monotonic() + wait_s
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # If two processes switch a new file at the same time, SQLite refuses one without waiting.
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _explained(error: sqlite3.Error, wait_s: float) -> str:
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"locked by another process for more than {wait_s:g} s; wait for it or end it"
        case code if code in _READ_ONLY:
            return f"{error}; make the file and its directory writable, or name another"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return f"{error}; restore the file or move it away"
        case sqlite3.SQLITE_FULL:
            return f"{error}; free some space and run again"
        case _:
            return str(error)


def _code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY_CODE
