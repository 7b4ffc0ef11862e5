"""Runs in trackers: what is sent, by the libraries themselves where they are installed; one that is down costs a line."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.comparison.gate import run_gate
from harness.errors import SettingsError
from harness.history.store import open_history
from harness.registry import Registry, Sink, use_registry
from harness.run.trackers.flat import COLUMNS, case_rows, numbers, parameters
from harness.run.trackers.kinds import check_trackers, push, send_to_sinks
from harness.types import GateRecord
from harness.types.training import TrainingManifest


@pytest.fixture
def record(make_run, make_result):
    """Eight of twenty cases lost."""
    before, now = (
        make_run([make_result(f"s/{n}", n >= lost) for n in range(20)], run_id=name)
        for lost, name in ((0, "before"), (8, "20260101-000000-aaaa"))
    )
    comparison, verdict = run_gate(now, before)
    return GateRecord(run=now, baseline=before, comparison=comparison, verdict=verdict)


@pytest.fixture
def directory(tmp_path, record):
    """The run's own directory, with a report."""
    path = tmp_path / "runs" / record.run.id
    path.mkdir(parents=True)
    (path / "report.html").write_text("<p>report</p>")
    return path


@pytest.fixture
def registry():
    """An empty one, which takes what a test registers."""
    made = Registry()
    before = use_registry(made)
    yield made
    use_registry(before)


def test_what_is_sent(record):
    found = numbers(record)
    assert found["s/pass-rate/candidate"] == 0.6
    assert found["s/pass-rate/baseline"] == 1.0
    assert found["s/pass-rate/drop_low"] < found["s/pass-rate/drop"] < found["s/pass-rate/drop_high"]
    assert (found["cases/passed"], found["cases/failed"]) == (12.0, 8.0)
    facts = parameters(record)
    assert (facts["verdict"], facts["baseline_run"]) == ("regress", "before")
    rows = list(case_rows(record))
    assert len(rows) == 20
    assert dict(zip(COLUMNS, rows[0], strict=True))["baseline_outcome"] == "passed"


def test_names_are_what_every_tracker_takes(record):
    (row,) = record.comparison.metrics
    odd = replace(record.comparison, metrics=(replace(row, metric="python:checks.py:größe,x"),))
    assert "s/python:checks.py:gr__e_x/drop" in numbers(replace(record, comparison=odd))


def test_a_tracker_that_is_down_costs_a_line(record, directory, registry):
    def refuse(record, directory, target):
        raise ConnectionError(f"no route to {target}\nmore")

    registry.register("mine", lambda registrar: registrar.add(Sink(name="board", send=refuse, chosen=True)))
    assert send_to_sinks(record, directory, ["board:host"]) == []
    assert registry.warnings == [
        f"board:host: run {record.run.id} was not sent: ConnectionError: no route to host; "
        f"tunegate runs push {record.run.id} --track board:host sends it again"
    ]


def test_a_password_of_a_tracker_s_address_is_in_no_line(record, directory, registry, tmp_path):
    """The library is sent it, and repeats it."""
    called = []

    def refuse(record, directory, target):
        called.append(target)
        raise ConnectionError(f"API request to {target}/api failed")

    registry.register("mine", lambda registrar: registrar.add(Sink(name="board", send=refuse, chosen=True)))
    send_to_sinks(record, directory, ["board:https://me:s3cret@host"])
    assert called == ["https://me:s3cret@host"]
    assert registry.warnings == [
        f"board:https://…@host: run {record.run.id} was not sent: ConnectionError: API request to "
        f"https://…@host/api failed; tunegate runs push {record.run.id} --track board:https://…@host sends it again"
    ]
    with pytest.raises(SettingsError, match="--gate-track mlfow:https://…@host: no such tracker"):
        check_trackers(["mlfow:https://me:s3cret@host"])
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(record)
    arguments = ["runs", "push", "latest", "--track", "board:https://me:s3cret@host"]
    done = CliRunner().invoke(app, [*arguments, "--directory", str(tmp_path)])
    assert "https://…@host" in str(done.exception)
    assert "s3cret" not in f"{done.exception} {done.output}"


def test_a_tracker_is_called_only_where_it_is_named(record, directory, registry):
    called = []
    sink = Sink(name="board", send=lambda *given: called.append(given), chosen=True)
    registry.register("mine", lambda registrar: registrar.add(sink))
    send_to_sinks(record, directory)
    assert called == []
    send_to_sinks(record, directory, ["board"])
    assert called == [(record, directory, "")]


@pytest.mark.parametrize("spec", ["mlfow", "mlfow:http://x"])
def test_an_unknown_tracker_is_refused_before_any_work(spec):
    with pytest.raises(
        SettingsError, match=r"no such tracker \(allowed: mlflow, wandb, tensorboard, trackio"
    ):
        check_trackers([spec])


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="wandb: is not installed: pip install wandb"):
        check_trackers(["wandb"])


def test_a_stored_run_is_pushed(record, tmp_path, registry):
    called = []
    sink = Sink(
        name="board", send=lambda record, directory, target: called.append(target) or "there", chosen=True
    )
    registry.register("mine", lambda registrar: registrar.add(sink))
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(record)
    done = CliRunner().invoke(
        app, ["runs", "push", "latest", "--track", "board:x", "--directory", str(tmp_path)]
    )
    assert (done.exit_code, done.output.strip(), called) == (0, "there", ["x"])


def test_mlflow_has_parameters_metrics_table_and_report(record, directory, tmp_path):
    pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'tunegate[track]'")
    from mlflow.tracking import MlflowClient

    store = (tmp_path / "mlruns").as_uri()
    training = TrainingManifest(tracking={"mlflow": "0123456789abcdef0123456789abcdef"})
    record = replace(record, run=replace(record.run, model=replace(record.run.model, training=training)))
    # A store of files is deprecated, and the one that needs no database.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        assert "MLflow run" in push(record, directory, f"mlflow:{store}")
        push(record, directory, f"mlflow:{store}")
        client = MlflowClient(tracking_uri=store)
        experiment = client.get_experiment_by_name("tunegate")
        (found,) = client.search_runs([experiment.experiment_id])
        assert found.data.metrics["s/pass-rate/drop"] == pytest.approx(0.4)
        assert found.data.params["verdict"] == "regress"
        assert found.data.tags["mlflow.parentRunId"] == "0123456789abcdef0123456789abcdef"
        assert found.info.status == "FINISHED"
        names = {each.path for each in client.list_artifacts(found.info.run_id)}
        assert names == {"cases.json", "report.html"}
        table = json.loads(
            Path(client.download_artifacts(found.info.run_id, "cases.json", str(tmp_path))).read_text()
        )
        assert len(table["data"]) == 20


def test_tensorboard_has_a_folder_of_events(record, directory, tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed: pip install 'tunegate[track]'")
    from tensorboardX.proto.event_pb2 import Event

    push(record, directory, f"tensorboard:{tmp_path / 'board'}")
    push(record, directory, f"tensorboard:{tmp_path / 'board'}")
    (file,) = (tmp_path / "board" / record.run.id).glob("events.out.tfevents.*")
    content, place, tags = file.read_bytes(), 0, {}
    while place < len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        event = Event.FromString(content[place + 12 : place + 12 + length])
        tags |= {value.tag: value.simple_value for value in event.summary.value}
        place += 16 + length
    assert tags["s/pass-rate/drop"] == pytest.approx(0.4)


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_the_others_store_a_run_here(record, directory, tmp_path, name, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    # Both read their variables when they are imported.
    pytest.importorskip(name, reason=f"{name} is not installed: pip install {name}")
    assert record.run.id in push(record, directory, name)
    assert [*(tmp_path / "trackio").glob("tunegate*"), *directory.glob("wandb/offline-run-*")]


def test_trackers_cost_nothing_where_none_is_named():
    code = "import sys, harness.run.trackers.kinds; print({'mlflow', 'wandb', 'tensorboardX'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "set()"
