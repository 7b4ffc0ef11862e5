"""Opens a history, in an SQLite file or on a server, and reports its faults in one line."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.errors import HistoryError
from harness.history.migrations import MIGRATIONS
from harness.history.schemas import Database, Value
from harness.history.server import FILE_NAME, HistoryPlace, place_of
from harness.settings import Settings
from harness.types.storage import DamagedFactsError, LaterFactsError, why_no_file, write_whole

_OLDEST_SQLITE = (3, 37)  # strict tables
_PRIMARY_CODE = 0xFF  # an extended result code has the primary one in its lowest byte
_RETRY_S = 0.02
_HEADER_BYTES = 100
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


# Tables that every schema has.
_TABLES_OF_ALL = {"runs", "gates"}
# Before this one, the same answers took several times the space.
_SCHEMA_OF_ANSWERS = 7


# Bytes; such a file is checked in less than a second.
_LARGEST_CHECKED = 250_000_000


class ReadOnlyHistoryError(HistoryError):
    """A history can't be written: it may still be readable."""


class NewerSchemaError(Exception):
    """The file was written by a later version of this program."""


class ForeignDatabaseError(Exception):
    """The file is SQLite, but another program's."""


class SqliteDatabase:
    """A history's SQLite file."""

    row_order = "rowid"

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open connection without transactions of its own."""
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Value] = ()) -> sqlite3.Cursor:
        """The rows of one statement."""
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """One statement for each row."""
        self._connection.executemany(statement, rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that no other writer is in; all of it is stored, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk already ends the transaction.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def version(self) -> int:
        """Number of the migrations that were done."""
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def set_version(self, version: int) -> None:
        """Store the number of done migrations; it is written even if it is the same."""
        self._connection.execute(f"PRAGMA user_version = {version}")

    def tables(self) -> list[str]:
        """Names of the tables."""
        found = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [str(name) for (name,) in found.fetchall()]

    def require_writable(self) -> None:
        """Write something that changes nothing, into a file that is whole.

        Raises:
            DamagedFactsError: Some of its pages are damaged: what is stored there could not be read again.
        """
        with self.writing():
            self.set_version(self.version())
        count, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
        )
        if count * size <= _LARGEST_CHECKED:
            (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise DamagedFactsError(f"database disk image is malformed ({found.splitlines()[-1]})")

    def compact(self) -> None:
        """Give the space of deleted rows back to the disk, unless somebody else is reading."""
        with suppress(sqlite3.OperationalError):
            self._connection.execute("VACUUM")


def project_history(settings: Settings, root: Path) -> HistoryPlace:
    """Where a project's runs are stored.

    Args:
        settings: The project's settings.
        root: The project's root.

    Raises:
        HistoryError: The setting is a URL that can't be read.
    """
    if settings.history is None:
        return root / settings.directory / FILE_NAME
    return place_of(settings.history, root)


def is_stored(place: HistoryPlace) -> bool:
    """Whether there may be a history: a server, or what is no file, says more when it is opened."""
    return not isinstance(place, Path) or place.is_file() or why_no_file(place) is not None


@contextmanager
def open_database(place: HistoryPlace, wait_s: float, *, to_read: bool = False) -> Iterator[Database]:
    """A connection to a history with the newest schema, which is created if necessary.

    Errors during use are reported in the same way.

    Args:
        place: The file, or the server.
        wait_s: How long another process may hold the lock.
        to_read: Nothing will be written: a read-only history can be opened.

    Raises:
        HistoryError: It is not a history, damaged, locked, read-only, out of reach, or newer than this
            program.
    """
    if isinstance(place, Path):
        with (_read_file if to_read else _open_file)(place, wait_s) as database:
            yield database
        return
    from harness.history.postgres_server import open_server

    with (
        open_server(place, wait_s, to_read=to_read) as database,
        _faults_named(str(place), "restore the database or name another"),
    ):
        _require_history(database)
        _migrate(database)
        yield database


@contextmanager
def _open_file(path: Path, wait_s: float, *, shown: Path | None = None) -> Iterator[Database]:
    """As open_database; messages name ``shown`` where the file is a copy."""
    shown = shown or path
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise HistoryError(
            f"this Python has SQLite {sqlite3.sqlite_version}: the history needs "
            f"{'.'.join(map(str, _OLDEST_SQLITE))} or later"
        )
    connection: sqlite3.Connection | None = None
    try:
        if (problem := why_no_file(path)) is not None:
            raise HistoryError(f"{shown}: {problem}; move it away or name another history")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and 0 < path.stat().st_size < _HEADER_BYTES:
            # SQLite would take it for an empty database and write over it.
            raise HistoryError(f"{shown}: too short to be a history; restore the file or move it away")
        connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
        database = SqliteDatabase(connection)
        with _faults_named(str(shown), "restore the file or move it away"):
            _require_history(database)
            _use_wal(connection, wait_s)
            connection.execute("PRAGMA foreign_keys = ON")
            _migrate(database)
            yield database
    except OSError as error:
        raise ReadOnlyHistoryError(
            f"{shown}: the history can't be opened: {error.strerror or error}"
        ) from error
    except sqlite3.Error as error:
        kind = ReadOnlyHistoryError if _code(error) in _READ_ONLY else HistoryError
        raise kind(f"{shown}: {_explained(error, wait_s)}") from error
    finally:
        if connection is not None:
            connection.close()


@contextmanager
def _read_file(path: Path, wait_s: float) -> Iterator[Database]:
    """As open_database, for commands that only read: a read-only history is read from a copy.

    Opening a history writes: its schema becomes the newest, and SQLite keeps files beside it.
    """
    with ExitStack() as opened:
        try:
            database = opened.enter_context(_open_file(path, wait_s))
        except ReadOnlyHistoryError:
            if not path.is_file():
                raise
            folder = Path(opened.enter_context(TemporaryDirectory(prefix="tunegate-")))
            database = opened.enter_context(_open_file(_copied(path, folder), wait_s, shown=path))
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


@contextmanager
def _faults_named(shown: str, remedy: str) -> Iterator[None]:
    """Turn the faults of a history's content into errors that name it.

    Args:
        shown: Its name.
        remedy: What helps where it is damaged.

    Raises:
        HistoryError: It is of another program, of a newer version, or damaged.
    """
    try:
        yield
    except ForeignDatabaseError as error:
        raise HistoryError(f"{shown}: a database of another program ({error}); name another one") from error
    except NewerSchemaError as error:
        raise HistoryError(f"{shown}: written by a newer tunegate ({error}): upgrade tunegate") from error
    except LaterFactsError as error:
        raise HistoryError(f"{shown}: {error}; upgrade tunegate") from error
    except DamagedFactsError as error:
        raise HistoryError(f"{shown}: {error}; {remedy}") from error


def _require_history(database: Database) -> None:
    """Refuse a database that is neither empty nor a history.

    Raises:
        ForeignDatabaseError: It has other tables.
    """
    tables = database.tables()
    if tables and not _TABLES_OF_ALL.issubset(tables):
        raise ForeignDatabaseError(f"it has the table {tables[0]!r}")


def _migrate(database: Database) -> None:
    """Bring a database to the newest schema.

    Raises:
        NewerSchemaError: The database has more steps than this program knows.
    """
    if _known_version(database) == len(MIGRATIONS):
        return
    # Another process may be migrating too: check again after getting the write lock.
    with database.writing():
        before = _known_version(database)
        for step in MIGRATIONS[before:]:
            step(database)
        database.set_version(len(MIGRATIONS))
    if 0 < before < _SCHEMA_OF_ANSWERS:
        database.compact()


def _known_version(database: Database) -> int:
    version = database.version()
    if version > len(MIGRATIONS):
        raise NewerSchemaError(f"schema {version}, this program knows {len(MIGRATIONS)}")
    return version


def open_renewable(path: Path | None, statements: Sequence[str]) -> tuple[sqlite3.Connection, str]:
    """Open or create a database whose content can be computed anew; a damaged one is moved aside.

    Args:
        path: The file; None for one in memory.
        statements: What makes it ready.

    Returns:
        The database, and what was wrong with the file that was there; empty if nothing was.

    Raises:
        OSError: The damaged file can't be moved.
        sqlite3.Error: The file can't be opened for another reason.
    """
    try:
        return _connected(path, statements), ""
    except sqlite3.DatabaseError as error:
        if path is None or error.sqlite_errorcode not in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            raise
        moved = _move_aside(path)
        return _connected(path, statements), f"{error}; it is now {moved.name}"


def _connected(path: Path | None, statements: Sequence[str]) -> sqlite3.Connection:
    database = sqlite3.connect(path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False)
    try:
        for statement in statements:
            database.execute(statement)
    except BaseException:
        database.close()
        raise
    return database


def _move_aside(path: Path) -> Path:
    """Rename a damaged database, and what belongs to it, to names that are free; returns the first."""
    number, place = 1, path.with_name(f"{path.name}.damaged")
    while place.exists():
        number += 1
        place = path.with_name(f"{path.name}.damaged-{number}")
    path.rename(place)
    # SQLite would take these for those of the new file.
    for suffix in ("-wal", "-shm"):
        if (other := path.with_name(path.name + suffix)).exists():
            other.rename(place.with_name(place.name + suffix))
    return place
