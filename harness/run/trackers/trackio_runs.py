"""Runs in Trackio's local store."""

from pathlib import Path

from harness.run.trackers.flat import COLUMNS, case_rows, numbers, parameters
from harness.types import GateRecord


def send(record: GateRecord, directory: Path, target: str) -> str:
    """Send a run; numbers of one that was sent before are added to it.

    Args:
        record: The stored run.
        directory: The run's own directory.
        target: The project; empty for ``tunegate``.

    Returns:
        The run in words.
    """
    import trackio

    project = target or "tunegate"
    run = trackio.init(
        project=project,
        name=record.run.id,
        config=parameters(record),
        resume="allow",
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    rows = [list(row) for row in case_rows(record)]
    run.log({**numbers(record), "cases": trackio.Table(columns=list(COLUMNS), data=rows)})
    run.finish()
    return f"Trackio run {record.run.id} of project {project}"
