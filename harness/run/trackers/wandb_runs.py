"""Runs in Weights & Biases; offline unless WANDB_MODE says otherwise."""

import os
from pathlib import Path

from harness.run.trackers.flat import COLUMNS, case_rows, numbers, parameters
from harness.types import GateRecord


def send(record: GateRecord, directory: Path, target: str) -> str:
    """Send a run; one of the same id is renewed.

    Args:
        record: The stored run.
        directory: The run's own directory, with its report; an offline run is stored there.
        target: The project; empty for ``tunegate``.

    Returns:
        The run in words.
    """
    import wandb

    project = target or "tunegate"
    run = wandb.init(
        project=project,
        id=record.run.id,
        name=record.run.model.label,
        config=parameters(record),
        dir=str(directory),
        mode=os.environ.get("WANDB_MODE", "offline"),
        resume="allow",
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
    )
    try:
        rows = [list(row) for row in case_rows(record)]
        run.log({**numbers(record), "cases": wandb.Table(columns=list(COLUMNS), data=rows)})
        report = directory / "report.html"
        if report.is_file():
            run.save(str(report), base_path=str(directory), policy="now")
    finally:
        run.finish()
    return f"W&B run {record.run.id} of project {project}, {run.settings.mode}"
