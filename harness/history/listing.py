"""A history's runs as lines of a list."""

import sqlite3
from dataclasses import dataclass, field

from harness.types.storage import parse_json


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One run in a listing.

    Attributes:
        golden_sets: Names of the sets with answered cases.
        outcomes: Number of cases by outcome.
        collected: Number of cases in the golden sets.
        partial: A selection or an early stop left cases out.
        stopped_at: The look at which a gate with several looks stopped, such as ``2 of 5``; None for others.
        verdict: None for a run that was not gated.
        commit: The project's commit; None outside git.
        dirty: Whether the project had uncommitted changes; None outside git.
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
        set_name: A golden set with an answered case.
    """

    model: str = ""
    verdict: str | None = None
    commit: str = ""
    set_name: str | None = None


_EVERY_RUN = RunFilter()


def list_lines(database: sqlite3.Connection, limit: int, wanted: RunFilter = _EVERY_RUN) -> list[RunLine]:
    """The newest judged runs, newest first; runs that were only a baseline are left out.

    Args:
        database: An open history.
        limit: The largest number of runs.
        wanted: Which runs.
    """
    listed = database.execute(
        """
        SELECT runs.id, started_at, model, collected, verdict, baseline_run_id,
            json_extract(runs.facts, '$.environment'), json_extract(runs.facts, '$.looks'),
            (SELECT sum(lost) FROM comparisons c WHERE c.run_id = runs.id AND c.metric = 'pass-rate'),
            (SELECT sum(gained) FROM comparisons c WHERE c.run_id = runs.id AND c.metric = 'pass-rate')
        FROM runs JOIN gates ON gates.run_id = runs.id
        WHERE instr(model, :model) AND (:verdict IS NULL OR verdict = :verdict)
        AND (:commit = '' OR json_extract(runs.facts, '$.environment.commit') LIKE :commit || '%')
        AND (:set_name IS NULL OR EXISTS (
            SELECT 1 FROM results WHERE results.run_id = runs.id AND results.set_name = :set_name
        ))
        ORDER BY gates.rowid DESC LIMIT :limit
        """,
        {
            "model": wanted.model,
            "verdict": wanted.verdict,
            "commit": wanted.commit,
            "set_name": wanted.set_name,
            "limit": limit,
        },
    ).fetchall()
    return [_line(database, *row) for row in listed]


def _line(
    database: sqlite3.Connection,
    run_id: str,
    started_at: str,
    model: str,
    collected: int,
    verdict: str | None,
    baseline_run_id: str | None,
    *rest: str | int | None,
) -> RunLine:
    environment, looks, lost, gained = rest
    counted = database.execute(
        "SELECT set_name, outcome, count(*) FROM results WHERE run_id = ? GROUP BY set_name, outcome",
        (run_id,),
    ).fetchall()
    outcomes: dict[str, int] = {}
    for _, outcome, count in counted:
        outcomes[outcome] = outcomes.get(outcome, 0) + count
    where = parse_json(str(environment)) if environment is not None else {}
    return RunLine(
        id=run_id,
        started_at=started_at,
        model=model,
        golden_sets=tuple(dict.fromkeys(set_name for set_name, _, _ in counted)),
        outcomes=outcomes,
        collected=collected,
        partial=sum(outcomes.values()) < collected,
        verdict=verdict,
        baseline_run_id=baseline_run_id,
        commit=where.get("commit"),
        dirty=where.get("dirty"),
        lost=None if lost is None else int(lost),
        gained=None if gained is None else int(gained),
        stopped_at=None if looks is None else _stopped_at(str(looks)),
    )


def _stopped_at(looks: str) -> str | None:
    """The latest look of a run of which some cases were not needed, in words."""
    sets = parse_json(looks)
    if all(each["answered"] >= each["cases"] for each in sets):
        return None
    latest = max(sets, key=lambda each: each["look"])
    return f"{latest['look']} of {latest['planned']}"
