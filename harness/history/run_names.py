"""Finds runs by their names: an id or its beginning, latest, or a commit."""

import difflib
import re

from harness.errors import BaselineError
from harness.history.schemas import Database
from harness.types.storage import parse_json

_LATEST = re.compile(r"latest(~[0-9]{1,9})?")
_MOST_NAMED = 5
# Of runs that were made of another one: a part of it, or its answers with other scores.
_MADE_OF_ANOTHER = re.compile(
    r"-(?:(?:kept|for|rescored)-[0-9a-f]+|against-(?:itself|another)|(?:by-(?:id|content)|beside)-.{1,8})$"
)


def is_latest(reference: str) -> bool:
    """Whether a name is of the newest run, or of one so many before it: no path, as ``./latest`` is."""
    return _LATEST.fullmatch(reference) is not None


def resolve(database: Database, reference: str) -> str:
    """Id of a stored run.

    Args:
        database: An open history.
        reference: An id, the unambiguous start of one, ``latest``, or ``latest~1`` for the one before.
            ``latest`` counts the judged runs, in the order they were stored, not those that were only a
            baseline. A run's id, or a start of it, never means a part of the run or its rescored answers.

    Raises:
        BaselineError: No such run, or several.
    """
    if is_latest(reference):
        judged = database.execute("SELECT run_id FROM gates ORDER BY no DESC").fetchall()
        place = int(reference.partition("~")[2] or 0)
        if place >= len(judged):
            raise BaselineError(f"no run {reference}: the history has {_runs(len(judged))}")
        return str(judged[place][0])
    ids = [str(row[0]) for row in database.execute("SELECT id FROM runs ORDER BY no DESC")]
    found = [reference] if reference in ids else [id_ for id_ in ids if _is_meant(id_, reference)]
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise BaselineError(f"run {reference!r} is ambiguous: {', '.join(found[:_MOST_NAMED])}{more}")
    if not ids:
        raise BaselineError(f"no run {reference!r}: none is stored yet")
    close = difflib.get_close_matches(reference, ids, n=3, cutoff=0.5) or ids[:3]
    raise BaselineError(f"no run {reference!r} (allowed: latest, {', '.join(close)})")


def _is_meant(run_id: str, reference: str) -> bool:
    """Whether an id begins so, and not the id of the run that it was made of."""
    made_of = _MADE_OF_ANOTHER.sub("", run_id)
    return run_id.startswith(reference) and (made_of == run_id or not made_of.startswith(reference))


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
