"""Scored answers as runs, and records of gates in the history."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from harness.golden.checks import metric_facts
from harness.history.store import open_history
from harness.provenance import describe_environment
from harness.run.answers import Answers
from harness.run.session import Session
from harness.types import CaseResult, Environment, GateRecord, GoldenSet, ModelRef, Run


def answered_run(
    model: ModelRef,
    answers: Answers,
    results: Sequence[CaseResult],
    golden_sets: Sequence[GoldenSet],
    environment: Environment,
    *,
    started_at: datetime,
    duration_s: float,
    collected: int,
) -> Run:
    """One model's scored answers as a run, under an id of its own.

    Args:
        model: Who answered.
        answers: Its answers.
        results: What they scored.
        golden_sets: Where the cases come from.
        environment: Where this happened.
        started_at: When, in UTC.
        duration_s: How long it took, in seconds.
        collected: How many cases the golden sets held before selection.
    """
    return Run(
        id=f"{started_at:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        started_at=started_at.isoformat(timespec="seconds"),
        duration_s=duration_s,
        model=model,
        plan=answers.plan,
        environment=environment,
        golden_sets=tuple(replace(golden_set, cases=()) for golden_set in golden_sets),
        collected=collected,
        results=tuple(results),
        text_losses=answers.text_losses,
        metrics=metric_facts(check for result in results for check in result.case.checks),
    )


def session_runs(session: Session, collected: int) -> dict[str, Run]:
    """A session's runs by side.

    Args:
        session: The scored answers.
        collected: How many cases the golden sets held before selection.

    Returns:
        The runs by side, the candidate's among them.
    """
    environment = describe_environment(session.inputs.root)
    return {
        side: answered_run(
            model,
            session.answers[side],
            session.results[side],
            _sets_with(session.golden_sets, session.results[side]),
            environment,
            started_at=session.started_at,
            duration_s=session.duration_s,
            collected=collected,
        )
        for side, model in session.sides.items()
    }


def save(record: GateRecord, directory: Path) -> Path:
    """Store a record in the history and make the run's own directory.

    Args:
        record: What a gate found.
        directory: Where history, cache and reports are kept.

    Returns:
        The run's directory.
    """
    with open_history(directory / "history.sqlite") as history:
        history.save(record)
    run_directory = directory / "runs" / record.run.id
    run_directory.mkdir(parents=True, exist_ok=True)
    return run_directory


def _sets_with(golden_sets: Sequence[GoldenSet], results: Sequence[CaseResult]) -> list[GoldenSet]:
    """The sets that any of the results belongs to."""
    keys = {result.key for result in results}
    return [golden_set for golden_set in golden_sets if any(case.key in keys for case in golden_set.cases)]
