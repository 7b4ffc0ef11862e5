"""Connections to a PostgreSQL server, and what their errors say."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.errors import HistoryError, UnreachableHistoryError
from harness.history.server import HistoryServer

if TYPE_CHECKING:
    import psycopg
from harness.history.postgres import PostgresDatabase, lock_schema

_CONNECT_S = 10
_LONGEST = 300


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
            lock_schema(connection, server)
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{server.schema}"'.encode())
    connection.execute(f'SET search_path = "{server.schema}"'.encode())


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
