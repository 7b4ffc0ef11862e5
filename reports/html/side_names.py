"""Who is compared: candidate, baseline and the previous accepted run, each with commit and author."""

from dataclasses import replace
from datetime import UTC, datetime

from harness.types import (
    Environment,
    GateRecord,
    ModelRef,
    Run,
)
from reports.earlier_runs import EarlierRuns
from reports.html.first_screen import Side
from reports.html.names import model_detail, short_label
from reports.html.text import one_line

_COMMIT_DIGITS = 10


def sides_of(record: GateRecord, earlier: EarlierRuns) -> tuple[Side, ...]:
    """The columns: the candidate, the baseline, and the run that was accepted last.

    Args:
        record: The gate's record.
        earlier: What it is shown beside.
    """
    own = record.run.environment
    found = [_side("candidate", record.run.model, own, record.run.started_at)]
    if record.baseline is not None:
        found.append(_baseline_side(record.baseline, own))
    if earlier.accepted is not None:
        kept = earlier.accepted
        role = f"accepted as {one_line(kept.name, 30)}"
        found.append(_side(role, kept.model, kept.environment, kept.accepted_at, own))
    return tuple(found)


def _baseline_side(run: Run, first: Environment) -> Side:
    role = "baseline (accepted)" if "-kept-" in run.id else "baseline"
    return _side(role, run.model, run.environment, run.started_at, first)


def _side(
    role: str, model: ModelRef, environment: Environment, at: str, first: Environment | None = None
) -> Side:
    """One column; the candidate's commit is not repeated."""
    commit = _commit(environment)
    if first is not None and commit and commit == _commit(first):
        environment, commit = replace(environment, author=None, subject=None), "same commit"
    return Side(
        role=role,
        model=short_label(model),
        detail=model_detail(model),
        commit=commit,
        author=one_line(environment.author or "", 40),
        subject=one_line(environment.subject or "", 60),
        date=moment(at),
    )


def _commit(environment: Environment) -> str:
    if environment.commit is None:
        return ""
    return (
        f"commit {one_line(environment.commit[:_COMMIT_DIGITS])}{' + changes' if environment.dirty else ''}"
    )


def moment(iso: str) -> str:
    """A time as ``31 Jan 2026, 14:25 UTC``; a text that is not an ISO 8601 time stays unchanged."""
    try:
        found = datetime.fromisoformat(iso).astimezone(UTC)
    except (ValueError, OverflowError):
        return one_line(iso)
    return f"{found.day} {found:%b %Y, %H:%M} UTC"
