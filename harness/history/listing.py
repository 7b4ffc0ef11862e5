"""Finds and lists a history's runs."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from harness.errors import BaselineError
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


_EVERY_RUN = RunFilter()
_LATEST = re.compile(r"latest(~[0-9]{1,9})?")
_MOST_NAMED = 5
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
    """The latest look of a run of which some cases were not needed, in words."""
    if all(each["answered"] >= each["cases"] for each in sets):
        return None
    latest = max(sets, key=lambda each: each["look"])
    return f"{latest['look']} of {latest['planned']}"


def resolve(database: Database, reference: str) -> str:
    """Id of a stored run.

    Args:
        database: An open history.
        reference: An id, the unambiguous start of one, ``latest``, or ``latest~1`` for the one before.
            ``latest`` counts the judged runs, in the order they were stored, not those that were only a
            baseline.

    Raises:
        BaselineError: No such run, or several.
    """
    if _LATEST.fullmatch(reference):
        judged = database.execute("SELECT run_id FROM gates ORDER BY no DESC").fetchall()
        place = int(reference.partition("~")[2] or 0)
        if place >= len(judged):
            raise BaselineError(f"no run {reference}: the history has {_runs(len(judged))}")
        return str(judged[place][0])
    ids = [str(row[0]) for row in database.execute("SELECT id FROM runs ORDER BY no DESC")]
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


def newest_of_commit(database: Database, commit: str) -> str | None:
    """Id of the newest judged run of a commit, complete and without uncommitted changes, if any.

    Args:
        database: An open history.
        commit: The commit's whole hash.
    """
    found = database.execute(
        """
        SELECT runs.id, runs.facts FROM runs JOIN gates ON gates.run_id = runs.id
        WHERE commit_sha = ? AND dirty = 0
        AND collected = (SELECT sum(cases) FROM run_outcomes WHERE run_no = runs.no)
        ORDER BY gates.no DESC
        """,
        (commit,),
    ).fetchall()
    # Facts are texts for every kind of database: what is in them is read here.
    return next((str(run_id) for run_id, facts in found if not parse_json(facts).get("left_out")), None)


def _runs(count: int) -> str:
    return f"{count} judged run" if count == 1 else f"{count} judged runs"
