"""Stored runs: every answer and score, to show, compare and use as a baseline later."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from harness.errors import HistoryError, UnreachableHistoryError
from harness.history import listing, run_names
from harness.history.database import open_database
from harness.history.listing import RunFilter, RunLine
from harness.history.migrations import plain_text, read_answers, write_answers
from harness.history.schemas import Database
from harness.history.server import HistoryPlace
from harness.types import CaseResult, Check, ExecutionPlan, GoldenCase, MetricFacts, ModelRef, Run, Stability
from harness.types.run import Outcome
from harness.types.storage import (
    DamagedFactsError,
    LaterFactsError,
    decode,
    decode_value,
    encode,
    facts_of,
)

if TYPE_CHECKING:
    # A list of runs doesn't wait for these: making their classes takes longer than reading it.
    from harness.types import Comparison, GateRecord, MetricComparison

_T = TypeVar("_T")
# By the model's hashes, the precision, and a case's set, id and content with what scores it.
NoiseRecords: TypeAlias = Mapping[tuple[str, ...], Stability]
# Gives the versions and scorers of checks, by their names.
FactsOfChecks: TypeAlias = Callable[[Iterable[Check]], Mapping[str, MetricFacts]]
_Row: TypeAlias = tuple[str | int | float | None, ...]


@contextmanager
def open_history(place: HistoryPlace, *, wait_s: float = 30, to_read: bool = False) -> Iterator["History"]:
    """Open or create a history.

    Args:
        place: The SQLite file, whose directory is created, or the server.
        wait_s: How long another process may hold the lock.
        to_read: Nothing will be written: a read-only history can be opened.

    Raises:
        HistoryError: It is not a history, damaged, locked for long, read-only, out of reach, or newer than
            this program.
    """
    with open_database(place, wait_s, to_read=to_read) as database:
        yield History(database)


def check_history(place: HistoryPlace, *, required: bool = False) -> NoiseRecords:
    """Open a history, bring it to the newest schema and write to it, before anything is asked of a model.

    Args:
        place: The SQLite file, whose directory is made, or the server.
        required: A server that is down is an error too.

    Returns:
        The noise records, so that nothing has to be read once models have answered; none from a server that
        is down, which costs a line and no gate.

    Raises:
        HistoryError: It can't be opened, migrated or written.
    """
    try:
        with open_database(place, wait_s=30) as database:
            database.require_writable()
            return History(database).load_noise()
    except UnreachableHistoryError as error:
        if required:
            raise
        from harness.registry import active

        active().note(f"{error}; the gate goes on without its noise records, and its run waits in a file")
        return {}


def noted_stability(
    noted: NoiseRecords,
    model: ModelRef,
    plan: ExecutionPlan,
    cases: Iterable[GoldenCase],
    facts_of: FactsOfChecks,
) -> dict[str, Stability]:
    """A model's noise record by case key, for unchanged cases that are scored as they were.

    Args:
        noted: The records of all models.
        model: The model.
        plan: How the answers were computed: records are of weights as they are stored.
        cases: The current cases.
        facts_of: Gives the versions and scorers of checks.

    Returns:
        How often a case passed, by case key; only for cases in the record.
    """
    start = (model.base_sha256, model.adapter_sha256 or "", plan.dtype if plan.weights == "peft" else "")
    of_model = {name[3:]: each for name, each in noted.items() if name[:3] == start}
    known = {(*rest, content.partition("-")[0]) for *rest, content in of_model}
    asked = [case.asked_with(plan.chat_template_kwargs) for case in cases] if known else []
    recorded = [case for case in asked if (case.set_name, case.id, case.content_sha256) in known]
    names = {case.key: (case.set_name, case.id, _scored_content(case, facts_of)) for case in recorded}
    found = {key: of_model[name] for key, name in names.items() if name in of_model}
    if outdated := len(recorded) - len(found):
        from harness.registry import active

        active().note(
            f"the noise record of {model.label} is not used for {outdated} of its cases: other versions or "
            "encoders of their checks scored it, or it doesn't say which; tunegate noise makes it anew"
        )
    return found


def _scored_content(case: GoldenCase, facts_of: FactsOfChecks) -> str:
    """The hash of a case, and of what scores it: another version gives the same answer another verdict."""
    facts = facts_of([*case.checks, *case.single_checks])
    scored = json.dumps(
        {name: [each.version, each.scored_by] for name, each in facts.items()}, sort_keys=True
    )
    return f"{case.content_sha256}-{hashlib.sha256(scored.encode()).hexdigest()[:16]}"


class History:
    """An open history.

    Attributes:
        database: Its tables.
    """

    def __init__(self, database: Database) -> None:
        """Use a migrated database."""
        self.database = database

    def save(self, record: "GateRecord") -> None:
        """Store a record completely or not at all.

        A run that is already stored, such as a baseline, is not stored twice. Saving a run again replaces
        its comparison and verdict.

        Raises:
            HistoryError: Another run has the same id, or a run has a case twice.
        """
        with self.database.writing():
            for run in (record.baseline, record.run):
                if run is not None:
                    self._save_run(run)
            gate = _gate_row(record)
            self.database.execute(
                """
                INSERT INTO gates (run_id, baseline_run_id, verdict, facts, no)
                VALUES (?, ?, ?, ?, (SELECT coalesce(max(no), 0) + 1 FROM gates))
                ON CONFLICT (run_id) DO UPDATE SET
                baseline_run_id = excluded.baseline_run_id,
                verdict = excluded.verdict,
                facts = excluded.facts
                """,
                gate,
            )
            for table in ("comparisons", "retentions"):
                self.database.execute(f"DELETE FROM {table} WHERE run_id = ?", gate[:1])
            if record.comparison is not None:
                self._insert("comparisons", _comparison_rows(record.run.id, record.comparison))
                self._insert("retentions", _retention_rows(record.run.id, record.comparison))

    def save_noise(
        self,
        model: ModelRef,
        dtype: str,
        cases: Iterable[GoldenCase],
        stability: Mapping[str, Stability],
        facts_of: FactsOfChecks,
    ) -> None:
        """Store a model's noise record; an older one of the same cases, asked alike, is replaced.

        Args:
            model: The model.
            dtype: The precision of the answers.
            cases: The cases, each as it was asked: with the plan's values for its chat template.
            stability: By case key, how often it passed.
            facts_of: Gives the versions and scorers of checks.
        """
        measured_at = datetime.now(UTC).isoformat(timespec="seconds")
        found = [
            (
                *(model.base_sha256, model.adapter_sha256 or "", dtype, case.set_name, case.id),
                *(_scored_content(case, facts_of), stability[case.key].passed, stability[case.key].answers),
                measured_at,
            )
            for case in cases
            if case.key in stability
        ]
        with self.database.writing():
            self.database.executemany(
                f"""
                INSERT INTO noise VALUES ({", ".join("?" * 9)})
                ON CONFLICT (base_sha256, adapter_sha256, dtype, set_name, case_id, content_sha256)
                DO UPDATE SET
                passed = excluded.passed, answers = excluded.answers, measured_at = excluded.measured_at
                """,
                found,
            )

    def load_noise(self) -> NoiseRecords:
        """The noise records of all models."""
        rows = self.database.execute(
            """
            SELECT base_sha256, adapter_sha256, dtype, set_name, case_id, content_sha256, passed, answers
            FROM noise
            """
        ).fetchall()
        return {tuple(names): Stability(passed=passed, answers=answers) for *names, passed, answers in rows}

    def _save_run(self, run: Run) -> None:
        newest = self.database.execute("SELECT coalesce(max(no), 0) FROM runs").fetchone()[0]
        row = _run_row(run, int(newest) + 1)
        stored = self.database.execute("SELECT facts FROM runs WHERE id = ?", row[:1]).fetchone()
        if stored is not None:
            # Both as they are read: what a plug-in gave as 0 comes back as 0.0.
            before, now = (encode(_decoded(Run, str(facts), run.id)) for facts in (stored[0], row[7]))
            if before != now:
                raise HistoryError(f"another run is stored under the id {run.id}: run again for a new id")
            return
        keys = Counter(result.key for result in run.results)
        if len(keys) < len(run.results):
            raise HistoryError(f"run {run.id} has the case {keys.most_common(1)[0][0]} twice")
        self._insert("runs", [row])
        counted: dict[str, str] = {}
        if any(result.outcome is Outcome.UNSCORED for result in run.results):
            # Only what has no verdict may count as something else.
            from harness.golden.counted_outcomes import counted_outcomes

            counted = dict(zip(keys, counted_outcomes(run), strict=True))
        results = (facts_of(result) for result in run.results)
        write_answers(self.database, int(newest) + 1, results, counted=counted)

    def _insert(self, table: str, found: Iterable[_Row]) -> None:
        kept = list(found)
        if kept:
            self.database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(kept[0]))})", kept)

    def resolve(self, reference: str) -> str:
        """Id of a stored run.

        Args:
            reference: An id, the unambiguous start of one, ``latest``, or ``latest~1`` for the one before.
                ``latest`` counts the judged runs, in the order they were stored, not those that were only a
                baseline.

        Raises:
            BaselineError: No such run, or several.
        """
        return run_names.resolve(self.database, reference)

    def newest_of_commit(self, commit: str) -> str | None:
        """Id of the newest judged run of a commit, complete and without uncommitted changes, if any."""
        return run_names.newest_of_commit(self.database, commit)

    def load_run(self, reference: str) -> Run:
        """A stored run, by any reference that :meth:`resolve` accepts.

        Raises:
            BaselineError: No such run, or several.
        """
        run_id = self.resolve(reference)
        row = self.database.execute("SELECT facts FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise DamagedFactsError(f"run {run_id!r:.99} is damaged: only its verdict is stored")
        run = _decoded(Run, row[0], run_id)
        with _damage_named(run_id):
            _require_file_name(run.id)
            found = tuple(decode_value(CaseResult, each) for each in read_answers(self.database, run_id))
        return replace(run, results=found)

    def load_record(self, reference: str, *, with_baseline: bool = True) -> "GateRecord":
        """A stored run, with its baseline, comparison and verdict if it was gated.

        Args:
            reference: Any reference that :meth:`resolve` accepts.
            with_baseline: Load the baseline's answers too; its id is in the comparison.

        Raises:
            BaselineError: No such run, or several.
        """
        from harness.types.record import GateFacts, GateRecord

        run = self.load_run(reference)
        row = self.database.execute(
            "SELECT baseline_run_id, facts FROM gates WHERE run_id = ?", (run.id,)
        ).fetchone()
        if row is None:
            return GateRecord(run=run)
        facts = _decoded(GateFacts, row[1], run.id)
        record = GateRecord(
            run=run,
            baseline=None if row[0] is None or not with_baseline else self.load_run(row[0]),
            comparison=facts.comparison,
            verdict=facts.verdict,
        )
        if lacking := record.lacking():
            raise DamagedFactsError(f"run {run.id} is damaged: {lacking}")
        return record

    def list_runs(self, limit: int = 20, wanted: RunFilter | None = None) -> list[RunLine]:
        """The newest judged runs, newest first; runs that were only a baseline are left out.

        Args:
            limit: The largest number of runs.
            wanted: Which runs; None for all.
        """
        return listing.list_lines(self.database, limit, wanted or RunFilter())


def _require_file_name(run_id: str) -> None:
    """Refuse an id that leads elsewhere as the name of a run's directory: the history may be another's."""
    if run_id in {"", ".", ".."} or not {"/", "\\", "\0"}.isdisjoint(run_id):
        raise DamagedFactsError(f"its id {run_id!r} is no name of a directory")


def _decoded(kind: type[_T], text: str, run_id: str) -> _T:
    with _damage_named(run_id):
        return decode(kind, text)


@contextmanager
def _damage_named(run_id: str) -> Iterator[None]:
    """Name the run in an error of its stored facts."""
    try:
        yield
    except LaterFactsError as error:
        raise LaterFactsError(f"run {run_id}: {error}") from error
    except (DamagedFactsError, ValueError, RecursionError) as error:
        raise DamagedFactsError(f"run {run_id} is damaged: {error}") from error


def _run_row(run: Run, number: int) -> _Row:
    """Row of ``runs``; the results have tables of their own."""
    model, where = run.model, run.environment
    return (
        *(plain_text(run.id), plain_text(run.started_at), run.duration_s, plain_text(model.label)),
        None if model.adapter_sha256 is None else plain_text(model.adapter_sha256),
        *(plain_text(model.base_sha256), run.collected),
        *(encode(replace(run, results=())), number),
        *(_optional(where.branch), _optional(where.commit)),
        *(None if where.dirty is None else int(where.dirty), _optional(where.machine)),
    )


def _optional(text: str | None) -> str | None:
    return None if text is None else plain_text(text)


def _gate_row(record: "GateRecord") -> _Row:
    """Row of ``gates``."""
    return (
        plain_text(record.run.id),
        None if record.baseline is None else plain_text(record.baseline.id),
        None if record.verdict is None else str(record.verdict.outcome),
        encode({"comparison": record.comparison, "verdict": record.verdict}),
    )


def _comparison_rows(run_id: str, comparison: "Comparison") -> Iterator[_Row]:
    """Rows of ``comparisons``.

    Args:
        run_id: The candidate's run.
        comparison: The comparison.

    Returns:
        One row per metric, in the order of the table's columns.
    """
    for place, row in enumerate(comparison.metrics):
        yield (
            *(plain_text(run_id), place, plain_text(row.set_name), plain_text(row.metric), row.kind, row.n),
            *(row.candidate.mean.estimate, row.baseline.mean.estimate),
            *(row.drop.estimate, row.drop.low, row.drop.high, row.p_value, row.p_adjusted),
            *(len(row.lost), len(row.gained), row.margin, row.minimum_detectable_drop, _verdict(row)),
        )


def _retention_rows(run_id: str, comparison: "Comparison") -> Iterator[_Row]:
    """Rows of ``retentions``: one for each skill of the baseline."""
    for place, row in enumerate(comparison.forgetting.by_skill if comparison.forgetting else ()):
        yield (
            *(plain_text(run_id), place, plain_text(row.skill), row.passed_by_baseline, row.retained),
            *(row.rate.low, row.rate.high),
        )


def _verdict(row: "MetricComparison") -> str | None:
    return None if row.verdict is None else str(row.verdict)
