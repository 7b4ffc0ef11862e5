"""Runs in MLflow: parameters, metrics with their intervals, a table of the cases, and the report."""

import time
from pathlib import Path

from harness.engines.served.address import shown
from harness.run.trackers.flat import COLUMNS, case_rows, numbers, parameters
from harness.types import GateRecord

_EXPERIMENT = "tunegate"
_TAG = "tunegate.run"
# MLflow's limits: entries of a batch, and characters of a parameter.
_MOST, _LONGEST = 100, 6000


def send(record: GateRecord, directory: Path, target: str) -> str:
    """Send a run, or renew the one that was sent before.

    Args:
        record: The stored run.
        directory: The run's own directory, with its report.
        target: The tracking server or store; empty for MLflow's own setting.

    Returns:
        The run in words.
    """
    import mlflow
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=target or None)
    experiment = client.get_experiment_by_name(_EXPERIMENT)
    experiment_id = client.create_experiment(_EXPERIMENT) if experiment is None else experiment.experiment_id
    found = client.search_runs([experiment_id], f"tags.`{_TAG}` = '{record.run.id}'")
    if found:
        run_id = found[0].info.run_id
    else:
        parent = _parent(record)
        tags = {_TAG: record.run.id, **({} if parent is None else {"mlflow.parentRunId": parent})}
        run_id = client.create_run(experiment_id, tags=tags, run_name=record.run.model.label).info.run_id
    now = int(time.time() * 1000)
    metrics = [Metric(key, value, now, 0) for key, value in numbers(record).items()]
    known = client.get_run(run_id).data.params
    # MLflow never lets a parameter change.
    params = [Param(key, value[:_LONGEST]) for key, value in parameters(record).items() if key not in known]
    for start in range(0, max(len(metrics), len(params)), _MOST):
        part = slice(start, start + _MOST)
        client.log_batch(run_id, metrics=metrics[part], params=params[part])
    table = {"columns": list(COLUMNS), "data": [list(row) for row in case_rows(record)]}
    client.log_dict(run_id, table, "cases.json")
    if (report := directory / "report.html").is_file():
        client.log_artifact(run_id, str(report))
    client.set_terminated(run_id, "FINISHED")
    store = shown(target or mlflow.get_tracking_uri())
    return f"MLflow run {run_id} of experiment {_EXPERIMENT} in {store}"


def _parent(record: GateRecord) -> str | None:
    """The training run that the model's manifest names."""
    training = record.run.model.training
    return None if training is None else training.tracking.get("mlflow")
