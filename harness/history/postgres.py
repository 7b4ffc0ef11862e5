"""A history in a PostgreSQL database, in a schema of its own."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.errors import HistoryError, UnreachableHistoryError
from harness.history.schemas import Value
from harness.history.server import HistoryServer

if TYPE_CHECKING:
    import psycopg

# Of the advisory lock that writers take: "tune".
_LOCK = 0x74756E65
_CONNECT_S = 10
_LONGEST = 300
# What PostgreSQL calls the types of SQLite's strict tables, and what it has no word for.
_TYPES = (
    (re.compile(r"\)\s*STRICT(?:, WITHOUT ROWID)?"), ")"),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bREAL\b"), "DOUBLE PRECISION"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
)
_DEFINES = re.compile(r"\s*(?:CREATE|ALTER|DROP)\b")
_UNWRITABLE = """
    SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = current_schema() AND relkind = 'r' AND NOT (
        has_table_privilege(pg_class.oid, 'SELECT') AND has_table_privilege(pg_class.oid, 'INSERT')
        AND has_table_privilege(pg_class.oid, 'UPDATE') AND has_table_privilege(pg_class.oid, 'DELETE')
    ) ORDER BY relname LIMIT 1
"""


class PostgresDatabase:
    """A history's schema on a server."""

    # Those schemas were never written to a server.
    row_order = "ctid"

    def __init__(self, connection: "psycopg.Connection[Any]", server: HistoryServer) -> None:
        """Use an open connection that commits by itself."""
        self._connection = connection
        self._server = server

    def execute(self, statement: str, values: Sequence[Value] = ()) -> Any:
        """The rows of one statement."""
        return self._connection.execute(_translated(statement).encode(), [_stored(each) for each in values])

    def executemany(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """One statement for each row, sent together."""
        with self._connection.cursor() as cursor:
            cursor.executemany(
                _translated(statement).encode(), [[_stored(each) for each in row] for row in rows]
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A transaction that no other writer is in; all of it is stored, or nothing."""
        with self._connection.transaction():
            _lock(self._connection, self._server)
            yield

    def version(self) -> int:
        """Number of the migrations that were done."""
        if "schema_version" not in self.tables():
            return 0
        found = self._connection.execute("SELECT version FROM schema_version").fetchone()
        return 0 if found is None else int(found[0])

    def set_version(self, version: int) -> None:
        """Store the number of done migrations."""
        self._connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        self._connection.execute("DELETE FROM schema_version")
        self._connection.execute("INSERT INTO schema_version VALUES (%s)", (version,))

    def tables(self) -> list[str]:
        """Names of the tables."""
        found = self._connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", (self._server.schema,)
        )
        return [str(name) for (name,) in found.fetchall()]

    def require_writable(self) -> None:
        """Refuse a server or a role that only reads.

        Raises:
            HistoryError: Runs can't be stored.
        """
        ((read_only,),) = self._connection.execute("SHOW transaction_read_only").fetchall()
        if read_only == "on":
            raise HistoryError(f"{self._server}: the server is read-only; name one that takes runs")
        if found := self._connection.execute(_UNWRITABLE).fetchone():
            raise HistoryError(
                f"{self._server}: the role may not write to {self._server.schema}.{found[0]}; "
                f"grant SELECT, INSERT, UPDATE and DELETE on all tables of the schema, or name another role"
            )

    def compact(self) -> None:
        """Nothing: the server does it by itself."""


@contextmanager
def open_server(server: HistoryServer, wait_s: float, *, to_read: bool = False) -> Iterator[PostgresDatabase]:
    """A connection to a server; its errors during use are reported in one line, without passwords.

    Args:
        server: The server.
        wait_s: How long another writer may hold the lock.
        to_read: Nothing will be written: a missing schema isn't made.

    Raises:
        HistoryError: The server is out of reach, refuses the role or the database, or fails.
    """
    try:
        import psycopg
    except ImportError as error:
        raise HistoryError(
            f"{server}: psycopg is missing or can't be loaded: pip install 'tunegate[postgres]'"
        ) from error
    options: dict[str, Any] = {
        "connect_timeout": _CONNECT_S,
        "application_name": "tunegate",
        **server.options,
        "client_encoding": "UTF8",
    }
    try:
        with psycopg.connect(**options, autocommit=True) as connection:
            _prepare(connection, server, wait_s, to_read=to_read)
            yield PostgresDatabase(connection, server)
    except psycopg.Error as error:
        kind = UnreachableHistoryError if _is_unreachable(error) else HistoryError
        raise kind(f"{server}: {_explained(error, server, wait_s)}") from None


def _lock(connection: "psycopg.Connection[Any]", server: HistoryServer) -> None:
    """Keep other writers of this schema out, until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, server.schema))


def _is_unreachable(error: "psycopg.Error") -> bool:
    """Whether the server is down, goes down or is out of reach, and not the name, role or password wrong."""
    from psycopg import InterfaceError, OperationalError

    state = error.sqlstate or ""
    if state:
        return state.startswith(("08", "57P"))
    told = str(error)
    # What a server answers to a wrong name or password comes as its own fatal error.
    answered = (
        "FATAL" in told and "the database system is" not in told and "terminating connection" not in told
    )
    return isinstance(error, OperationalError | InterfaceError) and not answered


def _prepare(
    connection: "psycopg.Connection[Any]", server: HistoryServer, wait_s: float, *, to_read: bool
) -> None:
    """Check the database's encoding, and go into the schema, which is made when it is missing."""
    ((encoding,),) = connection.execute("SHOW server_encoding").fetchall()
    if encoding != "UTF8":
        raise HistoryError(
            f"{server}: the database is in {encoding}, which can't store every answer; "
            f"create one with ENCODING 'UTF8'"
        )
    connection.execute(f"SET lock_timeout = {max(1, int(wait_s * 1000))}".encode())
    found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (server.schema,)).fetchone()
    if found is None:
        if to_read:
            raise HistoryError(f"{server}: no history here: pytest --model=DIR makes one")
        # Of two that create it at once the second would fail, although it says IF NOT EXISTS.
        with connection.transaction():
            _lock(connection, server)
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{server.schema}"'.encode())
    connection.execute(f'SET search_path = "{server.schema}"'.encode())


@cache
def _translated(statement: str) -> str:
    """A statement in PostgreSQL's words."""
    if _DEFINES.match(statement):
        for pattern, word in _TYPES:
            statement = pattern.sub(word, statement)
    return statement.replace("%", "%%").replace("?", "%s")


def _stored(value: Value) -> Value:
    """A value as the tables of SQLite hold it: numbers for truth, nothing for what is not a number."""
    if isinstance(value, bool):
        return int(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def _explained(error: "psycopg.Error", server: HistoryServer, wait_s: float) -> str:
    from psycopg import errors

    match error:
        case errors.LockNotAvailable():
            return f"locked by another process for more than {wait_s:g} s; wait for it or end it"
        case errors.InsufficientPrivilege():
            told = f"{_one_line(error)}; grant the role CREATE on the database, or the schema's tables"
        case errors.ReadOnlySqlTransaction():
            told = f"{_one_line(error)}; name a server that takes runs"
        case _:
            told = _one_line(error)
    for secret in server.secrets:
        told = told.replace(secret, "***")
    return told


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = "; ".join(lines) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
