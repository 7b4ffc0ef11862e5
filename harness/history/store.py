"""Runs in SQLite: every answer and score, to show, compare and use as a baseline later."""

import difflib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias, TypeVar

from harness.errors import BaselineError, HistoryError
from harness.history import database
from harness.history.database import open_database, read_database
from harness.history.listing import RunFilter, RunLine, list_lines
from harness.types import (
    CaseResult,
    Comparison,
    GateRecord,
    GateVerdict,
    GoldenCase,
    ModelRef,
    Run,
    Stability,
    Verdict,
)
from harness.types.storage import DamagedFactsError, LaterFactsError, decode, encode

_LATEST = re.compile(r"latest(~[0-9]{1,9})?")
_MOST_NAMED = 5
_T = TypeVar("_T")
# By the model's hashes, the precision, and a case's set, id and content.
NoiseRecords: TypeAlias = Mapping[tuple[str, ...], Stability]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMetric:
    """One gated metric of one judged run.

    Attributes:
        mean: The candidate's.
        verdict: The metric's own.
    """

    run_id: str
    started_at: str
    model: str
    set_name: str
    metric: str
    mean: float
    verdict: GateVerdict | None


@contextmanager
def open_history(path: Path, *, wait_s: float = 30, to_read: bool = False) -> Iterator["History"]:
    """Open or create a history.

    Args:
        path: The SQLite file; its directory is created.
        wait_s: How long another process may hold the lock.
        to_read: Nothing will be written: a read-only file can be opened.

    Raises:
        HistoryError: The file is not a history, damaged, locked for long, read-only, or newer than this
            program.
    """
    with (read_database if to_read else open_database)(path, wait_s) as database:
        yield History(database)


def check_history(path: Path) -> NoiseRecords:
    """Open a history, bring it to the newest schema and write to it, before anything is asked of a model.

    Args:
        path: The SQLite file; its directory is made.

    Returns:
        The noise records, so that nothing has to be read once models have answered.

    Raises:
        HistoryError: It can't be opened, migrated or written.
    """
    with open_database(path, wait_s=30) as database:
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        database.execute("BEGIN IMMEDIATE")
        # Changes nothing, and is written all the same.
        database.execute(f"PRAGMA user_version = {version}")
        database.execute("COMMIT")
        return History(database).load_noise()


def noted_stability(
    noted: NoiseRecords, model: ModelRef, dtype: str, cases: Iterable[GoldenCase]
) -> dict[str, Stability]:
    """A model's noise record by case key, for unchanged cases.

    Args:
        noted: The records of all models.
        model: The model.
        dtype: The precision of the answers.
        cases: The current cases.

    Returns:
        How often a case passed, by case key; only for cases in the record.
    """
    start = (model.base_sha256, model.adapter_sha256 or "", dtype)
    names = {case.key: (*start, case.set_name, case.id, case.content_sha256) for case in cases}
    return {key: noted[name] for key, name in names.items() if name in noted}


class History:
    """An open history."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Use a migrated database."""
        self._database = database

    def save(self, record: GateRecord) -> None:
        """Store a record completely or not at all.

        A run that is already stored, such as a baseline, is not stored twice. Saving a run again replaces
        its comparison and verdict.

        Raises:
            HistoryError: Another run has the same id.
        """
        with self._transaction():
            for run in (record.baseline, record.run):
                if run is not None:
                    self._save_run(run)
            gate = database.gate_row(record)
            self._database.execute(
                """
                INSERT INTO gates VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET
                baseline_run_id = excluded.baseline_run_id,
                verdict = excluded.verdict,
                facts = excluded.facts
                """,
                gate,
            )
            for table in ("comparisons", "retentions"):
                self._database.execute(f"DELETE FROM {table} WHERE run_id = ?", gate[:1])
            if record.comparison is not None:
                self._insert("comparisons", database.comparison_rows(record.run.id, record.comparison))
                self._insert("retentions", database.retention_rows(record.run.id, record.comparison))

    def save_noise(
        self, model: ModelRef, dtype: str, cases: Iterable[GoldenCase], stability: Mapping[str, Stability]
    ) -> None:
        """Store a model's noise record; an older one is replaced.

        Args:
            model: The model.
            dtype: The precision of the answers.
            cases: The cases.
            stability: By case key, how often it passed.
        """
        measured_at = datetime.now(UTC).isoformat(timespec="seconds")
        found = [
            (
                *(model.base_sha256, model.adapter_sha256 or "", dtype, case.set_name, case.id),
                *(case.content_sha256, stability[case.key].passed, stability[case.key].answers, measured_at),
            )
            for case in cases
            if case.key in stability
        ]
        with self._transaction():
            self._database.executemany(f"INSERT OR REPLACE INTO noise VALUES ({', '.join('?' * 9)})", found)

    def load_noise(self) -> NoiseRecords:
        """The noise records of all models."""
        rows = self._database.execute(
            """
            SELECT base_sha256, adapter_sha256, dtype, set_name, case_id, content_sha256, passed, answers
            FROM noise
            """
        ).fetchall()
        return {tuple(names): Stability(passed=passed, answers=answers) for *names, passed, answers in rows}

    def _save_run(self, run: Run) -> None:
        row = database.run_row(run)
        stored = self._database.execute("SELECT facts FROM runs WHERE id = ?", row[:1]).fetchone()
        if stored is None:
            self._insert("runs", [row])
            self._insert("results", database.result_rows(run))
            self._insert("scores", database.score_rows(run))
        elif encode(_decoded(Run, stored[0], run.id)) != row[-1]:
            raise HistoryError(f"another run is stored under the id {run.id}: run again for a new id")

    def _insert(self, table: str, found: Iterable[database.Row]) -> None:
        kept = list(found)
        if kept:
            self._database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(kept[0]))})", kept)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            # A full disk already ends the transaction.
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def resolve(self, reference: str) -> str:
        """Id of a stored run.

        Args:
            reference: An id, the unambiguous start of one, ``latest``, or ``latest~1`` for the one before.
                ``latest`` counts the judged runs, in the order they were stored, not those that were only a
                baseline.

        Raises:
            BaselineError: No such run, or several.
        """
        if _LATEST.fullmatch(reference):
            judged = self._database.execute("SELECT run_id FROM gates ORDER BY rowid DESC").fetchall()
            place = int(reference.partition("~")[2] or 0)
            if place >= len(judged):
                raise BaselineError(f"no run {reference}: the history has {_runs(len(judged))}")
            return str(judged[place][0])
        ids = [str(row[0]) for row in self._database.execute("SELECT id FROM runs ORDER BY id DESC")]
        found = [reference] if reference in ids else [id_ for id_ in ids if id_.startswith(reference)]
        if len(found) == 1:
            return found[0]
        if found:
            more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
            raise BaselineError(f"run {reference!r} is ambiguous: {', '.join(found[:_MOST_NAMED])}{more}")
        if not ids:
            raise BaselineError(f"no run {reference!r}: none is stored yet")
        close = difflib.get_close_matches(reference, ids, n=3, cutoff=0.5) or ids[:3]
        raise BaselineError(f"no run {reference!r} (allowed: latest, {', '.join(close)})")

    def newest_of_commit(self, commit: str) -> str | None:
        """Id of the newest judged run of a commit, complete and without uncommitted changes, if any."""
        found = self._database.execute(
            """
            SELECT runs.id FROM runs JOIN gates ON gates.run_id = runs.id
            WHERE json_extract(runs.facts, '$.environment.commit') = ?
            AND NOT json_extract(runs.facts, '$.environment.dirty')
            AND collected = (SELECT count(*) FROM results WHERE results.run_id = runs.id)
            ORDER BY gates.rowid DESC LIMIT 1
            """,
            (commit,),
        ).fetchone()
        return None if found is None else str(found[0])

    def load_run(self, reference: str) -> Run:
        """A stored run, by any reference that :meth:`resolve` accepts.

        Raises:
            BaselineError: No such run, or several.
        """
        run_id = self.resolve(reference)
        facts = self._database.execute("SELECT facts FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
        found = self._database.execute(
            "SELECT facts FROM results WHERE run_id = ? ORDER BY place", (run_id,)
        ).fetchall()
        run = _decoded(Run, facts, run_id)
        return replace(run, results=tuple(_decoded(CaseResult, row[0], run_id) for row in found))

    def load_record(self, reference: str, *, with_baseline: bool = True) -> GateRecord:
        """A stored run, with its baseline, comparison and verdict if it was gated.

        Args:
            reference: Any reference that :meth:`resolve` accepts.
            with_baseline: Load the baseline's answers too; its id is in the comparison.

        Raises:
            BaselineError: No such run, or several.
        """
        run = self.load_run(reference)
        row = self._database.execute(
            "SELECT baseline_run_id, facts FROM gates WHERE run_id = ?", (run.id,)
        ).fetchone()
        if row is None:
            return GateRecord(run=run)
        facts = _decoded(_GateFacts, row[1], run.id)
        return GateRecord(
            run=run,
            baseline=None if row[0] is None or not with_baseline else self.load_run(row[0]),
            comparison=facts.comparison,
            verdict=facts.verdict,
        )

    def past_metrics(self, limit: int = 40) -> list[PastMetric]:
        """The gated metrics of the newest judged runs, oldest first.

        Raises:
            DamagedFactsError: A stored verdict is none.
        """
        found = self._database.execute(
            """
            SELECT gates.run_id, started_at, model, set_name, metric, candidate_mean, comparisons.verdict
            FROM (SELECT run_id, rowid AS place FROM gates ORDER BY rowid DESC LIMIT ?) AS newest
            JOIN gates USING (run_id) JOIN runs ON runs.id = gates.run_id
            JOIN comparisons ON comparisons.run_id = gates.run_id
            WHERE margin IS NOT NULL AND candidate_mean IS NOT NULL
            ORDER BY newest.place, comparisons.place
            """,
            (limit,),
        ).fetchall()
        return [
            PastMetric(
                run_id=run_id,
                started_at=started_at,
                model=model,
                set_name=set_name,
                metric=metric,
                mean=mean,
                verdict=_verdict(verdict, run_id),
            )
            for run_id, started_at, model, set_name, metric, mean, verdict in found
        ]

    def list_runs(self, limit: int = 20, wanted: RunFilter | None = None) -> list[RunLine]:
        """The newest judged runs, newest first; runs that were only a baseline are left out.

        Args:
            limit: The largest number of runs.
            wanted: Which runs; None for all.
        """
        return list_lines(self._database, limit, wanted or RunFilter())


@dataclass(frozen=True, slots=True, kw_only=True)
class _GateFacts:
    comparison: Comparison | None
    verdict: Verdict | None


def _decoded(kind: type[_T], text: str, run_id: str) -> _T:
    try:
        return decode(kind, text)
    except LaterFactsError as error:
        raise LaterFactsError(f"run {run_id}: {error}") from error
    except DamagedFactsError as error:
        raise DamagedFactsError(f"run {run_id} is damaged: {error}") from error


def _verdict(stored: str | None, run_id: str) -> GateVerdict | None:
    try:
        return None if stored is None else GateVerdict(stored)
    except ValueError as error:
        raise DamagedFactsError(f"run {run_id} is damaged: {error}") from error


def _runs(count: int) -> str:
    return f"{count} judged run" if count == 1 else f"{count} judged runs"
