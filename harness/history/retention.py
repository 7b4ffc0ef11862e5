"""Which runs are removed when they are old."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.history.schemas import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which judged runs are kept; one is removed if no rule keeps it.

    Attributes:
        newest: This many of the newest; None: age alone decides.
        younger_than_days: All that began later than this many days ago; None: their number alone decides.
        branch: Only runs of this branch are removed; None: of all.
        accepted: Accepted runs.
        also: Ids of further runs, such as those that the files of baselines name.
    """

    newest: int | None = None
    younger_than_days: float | None = None
    branch: str | None = None
    accepted: bool = True
    also: Collection[str] = ()


def removable(database: Database, keep: Retention, now: datetime) -> list[str]:
    """Ids of the judged runs that no rule keeps, newest first.

    Args:
        database: An open history.
        keep: The rules.
        now: The time, with its zone.
    """
    kept = set(keep.also)
    if keep.accepted:
        kept |= {str(run_id) for (run_id,) in database.execute("SELECT run_id FROM accepted").fetchall()}
    listed = database.execute(
        "SELECT runs.id, started_at, branch FROM gates JOIN runs ON runs.id = run_id ORDER BY gates.no DESC"
    ).fetchall()
    if keep.branch is not None:
        listed = [row for row in listed if row[2] == keep.branch]
    if keep.newest is not None:
        listed = listed[keep.newest :]
    if keep.younger_than_days is not None:
        oldest = now - timedelta(days=keep.younger_than_days)
        listed = [row for row in listed if _began(str(row[1])) < oldest]
    return [str(run_id) for run_id, _, _ in listed if run_id not in kept]


def remove(database: Database, run_ids: Sequence[str], *, compact: bool = True) -> None:
    """Remove judged runs, and what no other run has: their baselines' runs, answers and cases.

    Args:
        database: An open history.
        run_ids: The runs.
        compact: Make a file smaller, which takes some time; otherwise later runs use the space.
    """
    with database.writing():
        for run_id in run_ids:
            database.execute("DELETE FROM accepted WHERE run_id = ?", (run_id,))
            database.execute("DELETE FROM gates WHERE run_id = ?", (run_id,))
        database.execute(
            """
            DELETE FROM runs WHERE id NOT IN (SELECT run_id FROM gates)
            AND id NOT IN (SELECT baseline_run_id FROM gates WHERE baseline_run_id IS NOT NULL)
            AND id NOT IN (SELECT run_id FROM accepted)
            """
        )
        database.execute("DELETE FROM answers WHERE no NOT IN (SELECT answer_no FROM run_answers)")
        database.execute("DELETE FROM cases WHERE no NOT IN (SELECT case_no FROM answers)")
    if compact:
        database.compact()


def _began(started_at: str) -> datetime:
    try:
        found = datetime.fromisoformat(started_at)
    except ValueError:
        # Another tool's log: nobody knows when, so age alone never removes it.
        return datetime.max.replace(tzinfo=UTC)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
