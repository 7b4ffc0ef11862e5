"""Which runs were accepted, on which branch."""

from collections.abc import Sequence
from datetime import UTC, datetime

from harness.history.schemas import Database


def note_accepted(database: Database, run_id: str, name: str, reason: str) -> None:
    """Store that a run was accepted, for the branch that it was made on; nothing where the history lacks it.

    Args:
        database: An open history.
        run_id: The run.
        name: The baseline's name.
        reason: Why it was accepted.
    """
    found = database.execute("SELECT branch FROM runs WHERE id = ?", (run_id,)).fetchone()
    if found is None:
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    with database.writing():
        database.execute(
            """
            INSERT INTO accepted (no, name, branch, run_id, accepted_at, reason)
            VALUES ((SELECT coalesce(max(no), 0) + 1 FROM accepted), ?, ?, ?, ?, ?)
            """,
            (name, found[0], run_id, now, reason),
        )


def accepted_run(database: Database, name: str, branches: Sequence[str]) -> str | None:
    """Id of the run that was accepted last under a name, on the first of the branches that has one.

    Where none has, one whose branch nobody knew, as on a CI service that checks out a bare commit.

    Args:
        database: An open history.
        name: The baseline's name.
        branches: Branches, the preferred one first.
    """
    for branch in (*branches, ""):
        found = database.execute(
            """
            SELECT run_id FROM accepted WHERE name = ? AND coalesce(branch, '') = ?
            ORDER BY no DESC LIMIT 1
            """,
            (name, branch),
        ).fetchone()
        if found is not None:
            return str(found[0])
    return None
