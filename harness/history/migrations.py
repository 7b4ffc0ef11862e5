"""The history's schema, as numbered steps. A step that was released is never changed: add another."""

import sqlite3
from collections.abc import Callable


def _m001_runs(database: sqlite3.Connection) -> None:
    """Runs, their results and scores, and the gate records that join a run to its baseline."""
    database.execute(
        """
        CREATE TABLE runs (
            id TEXT PRIMARY KEY,
            started_at TEXT NOT NULL,
            duration_s REAL NOT NULL,
            model TEXT NOT NULL,
            adapter_sha256 TEXT,
            base_sha256 TEXT NOT NULL,
            collected INTEGER NOT NULL,
            facts TEXT NOT NULL
        ) STRICT
        """
    )
    database.execute(
        """
        CREATE TABLE results (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            place INTEGER NOT NULL,
            set_name TEXT NOT NULL,
            case_id TEXT NOT NULL,
            outcome TEXT NOT NULL,
            answer TEXT,
            facts TEXT NOT NULL,
            PRIMARY KEY (run_id, set_name, case_id)
        ) STRICT
        """
    )
    database.execute(
        """
        CREATE TABLE scores (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            set_name TEXT NOT NULL,
            case_id TEXT NOT NULL,
            metric TEXT NOT NULL,
            value REAL,
            threshold REAL,
            passed INTEGER,
            error TEXT
        ) STRICT
        """
    )
    database.execute("CREATE INDEX scores_of_case ON scores (set_name, case_id, metric)")
    database.execute("CREATE INDEX scores_of_run ON scores (run_id)")
    database.execute(
        """
        CREATE TABLE gates (
            run_id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
            baseline_run_id TEXT REFERENCES runs (id),
            verdict TEXT,
            facts TEXT NOT NULL
        ) STRICT
        """
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_m001_runs,)


class NewerSchemaError(Exception):
    """The file was written by a later version of this program."""


def migrate(database: sqlite3.Connection) -> None:
    """Bring a database to the newest schema; the steps taken are counted in ``user_version``.

    Raises:
        NewerSchemaError: The database has more steps than this program knows.
    """
    version = _version(database)
    if version > len(MIGRATIONS):
        raise NewerSchemaError(f"schema {version}, this program knows {len(MIGRATIONS)}")
    if version == len(MIGRATIONS):
        return
    # Another process may be migrating too: look again once the write lock is held.
    database.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[_version(database) :]:
            step(database)
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])
