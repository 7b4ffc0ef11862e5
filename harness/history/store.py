"""Runs kept in SQLite: every answer and score, to be shown, compared and taken as a baseline later."""

import difflib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from harness.errors import BaselineError, HistoryError
from harness.history.migrations import NewerSchemaError, migrate
from harness.types import CaseResult, Comparison, GateRecord, Run, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run in a listing.

    Attributes:
        outcomes: How many cases had each outcome.
        verdict: None for a run that was not gated.
    """

    id: str
    started_at: str
    model: str
    outcomes: dict[str, int]
    collected: int
    verdict: str | None
    baseline_run_id: str | None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@contextmanager
def open_history(path: Path) -> Iterator["History"]:
    """Open or create a history.

    Raises:
        HistoryError: The file is no history, damaged, locked for long, read-only, or newer than this program.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=30, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise HistoryError(f"{path}: the history can't be opened: {error}") from error
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA foreign_keys = ON")
        migrate(database)
        yield History(database)
    except NewerSchemaError as error:
        raise HistoryError(f"{path}: written by a newer tunegate ({error}): upgrade tunegate") from error
    except sqlite3.Error as error:
        raise HistoryError(f"{path}: {error}; restore the file or move it away") from error
    finally:
        database.close()


class History:
    """An open history."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Use a migrated database."""
        self._database = database

    def save(self, record: GateRecord) -> None:
        """Keep a record whole or not at all. A baseline that is stored already is not stored twice."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            for run in (record.baseline, record.run):
                if run is not None:
                    self._save_run(run)
            self._database.execute(
                "INSERT OR REPLACE INTO gates VALUES (?, ?, ?, ?)",
                (
                    record.run.id,
                    None if record.baseline is None else record.baseline.id,
                    None if record.verdict is None else str(record.verdict.outcome),
                    to_json({"comparison": record.comparison, "verdict": record.verdict}).decode(),
                ),
            )
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _save_run(self, run: Run) -> None:
        facts = _adapter(Run).dump_json(replace(run, results=())).decode()
        model = run.model
        inserted = self._database.execute(
            "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(run.id, run.started_at, run.duration_s, model.label),
                *(model.adapter_sha256, model.base_sha256, run.collected, facts),
            ),
        )
        if inserted.rowcount == 0:
            return
        self._database.executemany(
            "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(run.id, place, result.case.set_name, result.case.id, str(result.outcome)),
                    None if result.completion is None else _storable(result.completion.text),
                    to_json(asdict(result)).decode(),
                )
                for place, result in enumerate(run.results)
            ],
        )
        self._database.executemany(
            "INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [row for result in run.results for row in _score_rows(run.id, result)],
        )

    def resolve(self, reference: str) -> str:
        """Id of a stored run.

        Args:
            reference: An id, the unambiguous start of one, ``latest``, or ``latest~1`` for the one before.
                ``latest`` counts the runs that were gated or are no other run's baseline.

        Raises:
            BaselineError: No such run, or several.
        """
        name, _, back = reference.partition("~")
        if name == "latest" and (not back or back.isdecimal()):
            row = self._database.execute(
                "SELECT run_id FROM gates ORDER BY rowid DESC LIMIT 1 OFFSET ?", (int(back or 0),)
            ).fetchone()
            if row is None:
                raise BaselineError(f"no run {reference}: the history holds fewer")
            return str(row[0])
        ids = [str(row[0]) for row in self._database.execute("SELECT id FROM runs ORDER BY id DESC")]
        found = [reference] if reference in ids else [id_ for id_ in ids if id_.startswith(reference)]
        if len(found) == 1:
            return found[0]
        if found:
            raise BaselineError(f"run {reference!r} is ambiguous: {', '.join(found[:5])}")
        close = difflib.get_close_matches(reference, ids, n=3, cutoff=0.5) or ids[:3]
        raise BaselineError(f"no run {reference!r} (allowed: latest, {', '.join(close) or 'none is stored'})")

    def load_run(self, reference: str) -> Run:
        """A stored run, by anything that resolve takes."""
        run_id = self.resolve(reference)
        facts = self._database.execute("SELECT facts FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
        rows = self._database.execute(
            "SELECT facts FROM results WHERE run_id = ? ORDER BY place", (run_id,)
        ).fetchall()
        results = tuple(_adapter(CaseResult).validate_json(row[0]) for row in rows)
        run: Run = _adapter(Run).validate_json(facts)
        return replace(run, results=results)

    def load_record(self, reference: str) -> GateRecord:
        """A stored run with its baseline, comparison and verdict, as far as it was gated."""
        run = self.load_run(reference)
        row = self._database.execute(
            "SELECT baseline_run_id, facts FROM gates WHERE run_id = ?", (run.id,)
        ).fetchone()
        if row is None:
            return GateRecord(run=run)
        facts = _adapter(_GateFacts).validate_json(row[1])
        return GateRecord(
            run=run,
            baseline=None if row[0] is None else self.load_run(row[0]),
            comparison=facts.comparison,
            verdict=facts.verdict,
        )

    def list_runs(self, limit: int = 20) -> list[RunLine]:
        """The newest runs that were asked for; runs that only served as a baseline are left out."""
        rows = self._database.execute(
            """
            SELECT runs.id, started_at, model, collected, verdict, baseline_run_id
            FROM runs JOIN gates ON gates.run_id = runs.id ORDER BY gates.rowid DESC LIMIT ?
            """,
            (limit,),
        ).fetchall()
        return [
            RunLine(
                id=row[0],
                started_at=row[1],
                model=row[2],
                collected=row[3],
                verdict=row[4],
                baseline_run_id=row[5],
                outcomes=dict(
                    self._database.execute(
                        "SELECT outcome, count(*) FROM results WHERE run_id = ? GROUP BY outcome", (row[0],)
                    ).fetchall()
                ),
            )
            for row in rows
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _GateFacts:
    comparison: Comparison | None
    verdict: Verdict | None


def _score_rows(run_id: str, result: CaseResult) -> list[tuple[object, ...]]:
    case = (run_id, result.case.set_name, result.case.id)
    scores: list[tuple[object, ...]] = [
        (*case, score.metric, score.value, score.threshold, score.passed, None) for score in result.scores
    ]
    return scores + [(*case, error.metric, None, None, None, error.error) for error in result.errors]


def _storable(text: str) -> str:
    """Lone surrogates, which SQLite can't hold, as question marks; the facts keep the text itself."""
    return text.encode("utf-8", "replace").decode("utf-8")
