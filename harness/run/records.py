"""Makes runs from scored answers, and stores records of gates in the history."""

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
    """One model's scored answers as a run, with a new id.

    Args:
        model: The model.
        answers: Its answers.
        results: Its scored results.
        golden_sets: The cases' golden sets.
        environment: The environment of the run.
        started_at: Its start, in UTC.
        duration_s: Its duration in seconds.
        collected: Number of cases in the golden sets before selection.
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
        collected: Number of cases in the golden sets before selection.

    Returns:
        The runs by side, including the candidate's.
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
        record: The gate's record.
        directory: The directory of history, cache and reports.

    Returns:
        The run's directory.
    """
    with open_history(directory / "history.sqlite") as history:
        history.save(record)
    run_directory = directory / "runs" / record.run.id
    run_directory.mkdir(parents=True, exist_ok=True)
    return run_directory


def _sets_with(golden_sets: Sequence[GoldenSet], results: Sequence[CaseResult]) -> list[GoldenSet]:
    """The sets of the results."""
    keys = {result.key for result in results}
    return [golden_set for golden_set in golden_sets if any(case.key in keys for case in golden_set.cases)]
