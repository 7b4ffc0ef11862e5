"""Opens a history's SQLite file, and reports faults in one line."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HistoryError
from harness.history.migrations import ForeignDatabaseError, NewerSchemaError, migrate, require_history
from harness.types.serialisation import DamagedFactsError

_OLDEST_SQLITE = (3, 37)  # strict tables
_PRIMARY_CODE = 0xFF  # an extended result code has the primary one in its lowest byte
_RETRY_S = 0.02


@contextmanager
def open_database(path: Path, wait_s: float) -> Iterator[sqlite3.Connection]:
    """A connection to a history with the newest schema, which is created if necessary.

    Errors of the file during use are reported in the same way.

    Args:
        path: The file.
        wait_s: How long another process may hold the lock.

    Raises:
        HistoryError: The file is not a history, damaged, locked, read-only, or newer than this program.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise HistoryError(
            f"this Python has SQLite {sqlite3.sqlite_version}: the history needs "
            f"{'.'.join(map(str, _OLDEST_SQLITE))} or later"
        )
    database: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
        require_history(database)
        _use_wal(database, wait_s)
        database.execute("PRAGMA foreign_keys = ON")
        migrate(database)
        yield database
    except OSError as error:
        raise HistoryError(f"{path}: the history can't be opened: {error.strerror or error}") from error
    except ForeignDatabaseError as error:
        raise HistoryError(f"{path}: a database of another program ({error}); name another file") from error
    except NewerSchemaError as error:
        raise HistoryError(f"{path}: written by a newer tunegate ({error}): upgrade tunegate") from error
    except DamagedFactsError as error:
        raise HistoryError(f"{path}: {error}; restore the file or move it away") from error
    except sqlite3.Error as error:
        raise HistoryError(f"{path}: {_explained(error, wait_s)}") from error
    finally:
        if database is not None:
            database.close()


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
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
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
