"""What a history needs of its database, and the statements that make its tables, by migration."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = str | int | float | bytes | None


class Database(Protocol):
    """What a history needs of a database. Both SQLite and PostgreSQL take its statements.

    Attributes:
        row_order: In an ``ORDER BY``, the order in which rows of the first schemas were stored.
    """

    row_order: str

    def execute(self, statement: str, values: Sequence[Value] = ()) -> Any:
        """A cursor with the statement's rows.

        Args:
            statement: With ``?`` for each value.
            values: The values.
        """

    def executemany(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """One statement for each row.

        Args:
            statement: With ``?`` for each value.
            rows: The values of each.
        """

    def writing(self) -> AbstractContextManager[None]:
        """A transaction that no other writer is in; all of it is stored, or nothing."""

    def version(self) -> int:
        """Number of the migrations that were done."""

    def set_version(self, version: int) -> None:
        """Store the number of done migrations."""

    def tables(self) -> list[str]:
        """Names of the tables."""

    def require_writable(self) -> None:
        """Raise an error if runs can't be stored."""

    def compact(self) -> None:
        """Give the space of deleted rows back, where that isn't done by itself."""


RUNS = (
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
    """,
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
    """,
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
    """,
    "CREATE INDEX scores_of_case ON scores (set_name, case_id, metric)",
    "CREATE INDEX scores_of_run ON scores (run_id)",
    """
    CREATE TABLE gates (
        run_id TEXT PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
        baseline_run_id TEXT REFERENCES runs (id),
        verdict TEXT,
        facts TEXT NOT NULL
    ) STRICT
    """,
)
"""Tables of the first migration."""

COMPARISONS = (
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
    """,
    "CREATE INDEX comparisons_of_metric ON comparisons (set_name, metric)",
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
    """,
)
"""Tables of the second."""

NOISE = (
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
    """,
)
"""The table of the third."""

ANSWERS = (
    """
    CREATE TABLE accepted (
        no INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        branch TEXT,
        run_id TEXT NOT NULL REFERENCES runs (id),
        accepted_at TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE cases (
        no INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        set_name TEXT NOT NULL,
        case_id TEXT NOT NULL,
        facts TEXT NOT NULL,
        prompt_facts TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX cases_by_name ON cases (set_name, case_id)",
    """
    CREATE TABLE answers (
        no INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        case_no INTEGER NOT NULL REFERENCES cases (no),
        outcome TEXT NOT NULL,
        answer TEXT,
        facts TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX answers_by_case ON answers (case_no)",
    """
    CREATE TABLE answer_scores (
        answer_no INTEGER NOT NULL REFERENCES answers (no) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        metric TEXT NOT NULL,
        value REAL,
        threshold REAL,
        passed INTEGER,
        error TEXT,
        PRIMARY KEY (answer_no, place)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE run_answers (
        run_no INTEGER NOT NULL REFERENCES runs (no) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        answer_no INTEGER NOT NULL REFERENCES answers (no),
        PRIMARY KEY (run_no, place)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX run_answers_by_answer ON run_answers (answer_no)",
    """
    CREATE TABLE run_outcomes (
        run_no INTEGER NOT NULL REFERENCES runs (no) ON DELETE CASCADE,
        set_name TEXT NOT NULL,
        outcome TEXT NOT NULL,
        cases INTEGER NOT NULL,
        PRIMARY KEY (run_no, set_name, outcome)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE VIEW results AS
    SELECT runs.id AS run_id, place, set_name, case_id, outcome, answer,
        cases.facts AS case_facts, prompt_facts, answers.facts AS facts
    FROM runs JOIN run_answers ON run_answers.run_no = runs.no
    JOIN answers ON answers.no = answer_no JOIN cases ON cases.no = case_no
    """,
    """
    CREATE VIEW scores AS
    SELECT runs.id AS run_id, set_name, case_id, metric, value, threshold, passed, error
    FROM runs JOIN run_answers ON run_answers.run_no = runs.no
    JOIN answers ON answers.no = run_answers.answer_no JOIN cases ON cases.no = case_no
    JOIN answer_scores ON answer_scores.answer_no = answers.no
    """,
)
"""Tables and views of the sixth."""

PACKED = (
    """
    CREATE VIEW results AS
    SELECT runs.id AS run_id, place, set_name, case_id, outcome, answer,
        cases.packed AS case_packed, answers.packed AS packed
    FROM runs JOIN run_answers ON run_answers.run_no = runs.no
    JOIN answers ON answers.no = answer_no JOIN cases ON cases.no = case_no
    """,
)
"""View of the seventh."""

NOISE_BY_CONTENT = (
    "ALTER TABLE noise RENAME TO noise_before",
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
        PRIMARY KEY (base_sha256, adapter_sha256, dtype, set_name, case_id, content_sha256)
    ) STRICT
    """,
    """
    INSERT INTO noise
    SELECT base_sha256, adapter_sha256, dtype, set_name, case_id, content_sha256, passed, answers, measured_at
    FROM noise_before
    """,
    "DROP TABLE noise_before",
)
"""The table of the eighth."""
