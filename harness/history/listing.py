"""Lists a history's runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from harness.history.schemas import Database
from harness.types import GateVerdict
from harness.types.storage import DamagedFactsError, parse_json


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run in a listing.

    Attributes:
        golden_sets: Names of the sets with answered cases.
        outcomes: Number of cases by outcome.
        collected: Number of cases in the golden sets.
        partial: A selection, a skip or an early stop left something out.
        stopped_at: The look at which a gate with several looks stopped, such as ``2 of 5``; None for others.
        verdict: None for a run that was not gated.
        commit: The project's commit; None outside git.
        dirty: Whether the project had uncommitted changes; None outside git.
        branch: The project's branch; None where it is unknown.
        lost: How many cases the baseline passes and the run fails; None without a baseline.
        gained: The other way round.
    """

    id: str
    started_at: str
    model: str
    golden_sets: tuple[str, ...]
    outcomes: dict[str, int] = field(default_factory=dict)
    collected: int
    partial: bool
    verdict: str | None
    baseline_run_id: str | None
    commit: str | None = None
    dirty: bool | None = None
    branch: str | None = None
    lost: int | None = None
    gained: int | None = None
    stopped_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs are listed; what is None or empty selects all.

    Attributes:
        model: A part of the model's name.
        verdict: The verdict.
        commit: The start of the project's commit.
        branch: The project's branch.
        set_name: A golden set with an answered case.
    """

    model: str = ""
    verdict: str | None = None
    commit: str = ""
    branch: str | None = None
    set_name: str | None = None


_EVERY_RUN = RunFilter()
_LONGEST_DAMAGE = 300


def list_lines(database: Database, limit: int, wanted: RunFilter = _EVERY_RUN) -> list[RunLine]:
    """The newest judged runs, newest first; runs that were only a baseline are left out.

    Args:
        database: An open history.
        limit: The largest number of runs.
        wanted: Which runs.
    """
    conditions: dict[str, list[str | int]] = {}
    if wanted.model:
        conditions["replace(model, ?, '') <> model"] = [wanted.model]
    if wanted.verdict is not None:
        conditions["verdict = ?"] = [wanted.verdict]
    if wanted.commit:
        conditions["substr(commit_sha, 1, ?) = ?"] = [len(wanted.commit), wanted.commit]
    if wanted.branch is not None:
        conditions["branch = ?"] = [wanted.branch]
    if wanted.set_name is not None:
        conditions["EXISTS (SELECT 1 FROM run_outcomes o WHERE o.run_no = runs.no AND o.set_name = ?)"] = [
            wanted.set_name
        ]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    listed = database.execute(
        f"""
        SELECT runs.id, runs.no, started_at, model, collected, verdict, baseline_run_id, branch, runs.facts,
            (SELECT sum(lost) FROM comparisons c WHERE c.run_id = runs.id AND c.metric = 'pass-rate'),
            (SELECT sum(gained) FROM comparisons c WHERE c.run_id = runs.id AND c.metric = 'pass-rate')
        FROM runs JOIN gates ON gates.run_id = runs.id {where}
        ORDER BY gates.no DESC LIMIT {int(limit)}
        """,
        [value for values in conditions.values() for value in values],
    ).fetchall()
    return [_undamaged_line(database, row) for row in listed]


def gated_metrics(database: Database) -> dict[str, set[tuple[str, str]]]:
    """By run, its gated metrics: set and name, as they are stored."""
    found: dict[str, set[tuple[str, str]]] = {}
    rows = database.execute("SELECT run_id, set_name, metric FROM comparisons WHERE margin IS NOT NULL")
    for run_id, set_name, metric in rows.fetchall():
        found.setdefault(run_id, set()).add((set_name, metric))
    return found


def _undamaged_line(database: Database, row: Sequence[Any]) -> RunLine:
    """One run's line, whose time and verdict are ones."""
    try:
        line = _line(database, row)
        datetime.fromisoformat(line.started_at)
        if line.verdict is not None:
            GateVerdict(line.verdict)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DamagedFactsError(f"run {row[0]} is damaged: {error!r}"[:_LONGEST_DAMAGE]) from error
    return line


def _line(database: Database, row: Sequence[Any]) -> RunLine:
    run_id, number, started_at, model, collected, verdict, baseline_run_id, branch, facts, lost, gained = row
    counted = database.execute(
        "SELECT set_name, outcome, cases FROM run_outcomes WHERE run_no = ?", (number,)
    ).fetchall()
    outcomes: dict[str, int] = {}
    for _, outcome, count in sorted(counted):
        outcomes[outcome] = outcomes.get(outcome, 0) + count
    run = parse_json(facts)
    where, looks, left_out = run["environment"], run.get("looks"), run.get("left_out")
    return RunLine(
        id=run_id,
        started_at=started_at,
        model=model,
        golden_sets=tuple(dict.fromkeys(set_name for set_name, _, _ in sorted(counted))),
        outcomes=outcomes,
        collected=collected,
        partial=bool(left_out) or sum(outcomes.values()) < collected,
        verdict=verdict,
        baseline_run_id=baseline_run_id,
        commit=where.get("commit"),
        dirty=where.get("dirty"),
        branch=branch,
        lost=None if lost is None else int(lost),
        gained=None if gained is None else int(gained),
        stopped_at=_stopped_at(looks) if looks else None,
    )


def _stopped_at(sets: Sequence[Mapping[str, Any]]) -> str | None:
    """The latest look at which some cases of a set were not needed, in words; others were answered on."""
    stopped = [each for each in sets if each["answered"] < each["cases"]]
    if not stopped:
        return None
    latest = max(stopped, key=lambda each: each["look"])
    return f"{latest['look']} of {latest['planned']}"
