"""The history's schema, as numbered steps. A released step is never changed: add another."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.history.first_metrics import FIRST_METRICS
from harness.history.stored_reasons import with_findings, with_renamed_limit
from harness.types.storage import DamagedFactsError, parse_json


def _m001_runs(database: sqlite3.Connection) -> None:
    """Runs, their results and scores, and the gate records that connect a run with its baseline."""
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


def _m002_comparisons(database: sqlite3.Connection) -> None:
    """The compared metrics and the retained skills as rows, so that SQL can compare them from run to run."""
    database.execute(
        """
        CREATE TABLE comparisons (
            run_id TEXT NOT NULL REFERENCES gates (run_id) ON DELETE CASCADE,
            place INTEGER NOT NULL,
            set_name TEXT NOT NULL,
            metric TEXT NOT NULL,
            kind TEXT NOT NULL,
            n INTEGER NOT NULL,
            candidate_mean REAL,
            baseline_mean REAL,
            drop_estimate REAL,
            drop_low REAL,
            drop_high REAL,
            p_value REAL,
            p_adjusted REAL,
            lost INTEGER NOT NULL,
            gained INTEGER NOT NULL,
            margin REAL,
            minimum_detectable_drop REAL,
            verdict TEXT,
            PRIMARY KEY (run_id, place)
        ) STRICT
        """
    )
    database.execute("CREATE INDEX comparisons_of_metric ON comparisons (set_name, metric)")
    database.execute(
        """
        CREATE TABLE retentions (
            run_id TEXT NOT NULL REFERENCES gates (run_id) ON DELETE CASCADE,
            place INTEGER NOT NULL,
            skill TEXT NOT NULL,
            passed_by_baseline INTEGER NOT NULL,
            retained INTEGER NOT NULL,
            rate_low REAL,
            rate_high REAL,
            PRIMARY KEY (run_id, place)
        ) STRICT
        """
    )
    for run_id, facts in database.execute("SELECT run_id, facts FROM gates").fetchall():
        try:
            _fill_comparisons(database, run_id, parse_json(facts)["comparison"])
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFactsError(f"the gate of run {run_id} is damaged: {error!r}") from error


def _fill_comparisons(
    database: sqlite3.Connection, run_id: str, comparison: Mapping[str, Any] | None
) -> None:
    """Rows of a comparison in the first schema. Later changes of the types don't change this."""
    if comparison is None:
        return
    for place, row in enumerate(comparison["metrics"]):
        database.execute(
            f"INSERT INTO comparisons VALUES ({', '.join('?' * 18)})",
            (
                *(run_id, place, row["set_name"], row["metric"], row["kind"], row["n"]),
                *(row["candidate"]["mean"]["estimate"], row["baseline"]["mean"]["estimate"]),
                *(row["drop"]["estimate"], row["drop"]["low"], row["drop"]["high"]),
                *(row["p_value"], row["p_adjusted"], len(row["lost"]), len(row["gained"])),
                *(row["margin"], row["minimum_detectable_drop"], row["verdict"]),
            ),
        )
    forgetting = comparison["forgetting"]
    for place, row in enumerate(() if forgetting is None else forgetting["by_skill"]):
        database.execute(
            "INSERT INTO retentions VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(run_id, place, row["skill"], row["passed_by_baseline"], row["retained"]),
                *(row["rate"]["low"], row["rate"]["high"]),
            ),
        )


def _m003_noise(database: sqlite3.Connection) -> None:
    """Noise records: a model's answers to the same cases, resampled."""
    database.execute(
        """
        CREATE TABLE noise (
            base_sha256 TEXT NOT NULL,
            adapter_sha256 TEXT NOT NULL,
            dtype TEXT NOT NULL,
            set_name TEXT NOT NULL,
            case_id TEXT NOT NULL,
            content_sha256 TEXT NOT NULL,
            passed INTEGER NOT NULL,
            answers INTEGER NOT NULL,
            measured_at TEXT NOT NULL,
            PRIMARY KEY (base_sha256, adapter_sha256, dtype, set_name, case_id)
        ) STRICT
        """
    )


def _m004_metrics(database: sqlite3.Connection) -> None:
    """Each run has facts about its metrics; for earlier runs they follow from the metrics' names."""
    for run_id, facts in database.execute("SELECT id, facts FROM runs").fetchall():
        results = database.execute("SELECT facts FROM results WHERE run_id = ? ORDER BY place", (run_id,))
        try:
            names = dict.fromkeys(name for (result,) in results for name in _scored(parse_json(result)))
            run = parse_json(facts)
            run["metrics"] = {name: FIRST_METRICS[name] for name in names if name in FIRST_METRICS}
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFactsError(f"run {run_id} is damaged: {error!r}") from error
        database.execute("UPDATE runs SET facts = ? WHERE id = ?", (json.dumps(run), run_id))


def _scored(result: Mapping[str, Any]) -> Iterator[str]:
    """Names of the metrics in a case's scores."""
    for answer in result.get("repeats") or [result]:
        for score in answer["scores"]:
            yield score["metric"]


def _m005_findings(database: sqlite3.Connection) -> None:
    """Verdicts as findings in place of sentences; the new name of regressed cases."""
    for table, key, changed in (
        ("gates", "run_id", with_findings),
        ("runs", "id", with_renamed_limit),
    ):
        for name, text in database.execute(f"SELECT {key}, facts FROM {table}").fetchall():
            try:
                facts = json.dumps(changed(parse_json(text)))
            except (ValueError, KeyError, TypeError) as error:
                raise DamagedFactsError(f"run {name} in {table} is damaged: {error!r}") from error
            database.execute(f"UPDATE {table} SET facts = ? WHERE {key} = ?", (facts, name))


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _m001_runs,
    _m002_comparisons,
    _m003_noise,
    _m004_metrics,
    _m005_findings,
)
_TABLES_OF_FIRST = {"runs", "results", "scores", "gates"}


class NewerSchemaError(Exception):
    """The file was written by a later version of this program."""


class ForeignDatabaseError(Exception):
    """The file is SQLite, but another program's."""


def require_history(database: sqlite3.Connection) -> None:
    """Refuse a database that is neither empty nor a history.

    Raises:
        ForeignDatabaseError: It has other tables.
    """
    names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    tables = [str(name) for (name,) in names]
    if tables and not _TABLES_OF_FIRST.issubset(tables):
        raise ForeignDatabaseError(f"it has the table {tables[0]!r}")


def migrate(database: sqlite3.Connection) -> None:
    """Bring a database to the newest schema; the number of steps is stored in ``user_version``.

    Raises:
        NewerSchemaError: The database has more steps than this program knows.
    """
    if _known_version(database) == len(MIGRATIONS):
        return
    # Another process may be migrating too: check again after getting the write lock.
    database.execute("BEGIN IMMEDIATE")
    try:
        for step in MIGRATIONS[_known_version(database) :]:
            step(database)
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _known_version(database: sqlite3.Connection) -> int:
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise NewerSchemaError(f"schema {version}, this program knows {len(MIGRATIONS)}")
    return version
