"""A history in a PostgreSQL database, in a schema of its own."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.errors import HistoryError
from harness.history.schemas import Value
from harness.history.server import HistoryServer

if TYPE_CHECKING:
    import psycopg

# Of the advisory lock that writers take: "tune".
_LOCK = 0x74756E65
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
            lock_schema(self._connection, self._server)
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


def lock_schema(connection: "psycopg.Connection[Any]", server: HistoryServer) -> None:
    """Keep other writers of this schema out, until the transaction ends.

    Args:
        connection: The connection, in a transaction.
        server: The server.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, server.schema))


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
