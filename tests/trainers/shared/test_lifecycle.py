"""A run of one of TRL's trainers, from its preparation to the result."""

import sys

from harness.types.training import LOG_FILE
from trainers.measure.training_log import read_log

ROWS = [{"prompt": f"what is w{i}", "completion": f"one two w{i}"} for i in range(16)]


def test_a_loss_that_is_no_number_writes_nothing(make_project, capsys):
    project = make_project("sft", ROWS, trl={"weight_decay": 1e30})
    assert project.train() == 4
    assert "the loss became" in capsys.readouterr().err
    assert not project.output.exists()


def test_what_was_logged_is_written_beside_the_weights(make_project, capsys):
    """With what the page of the training draws: loss, rate, gradient norm, tokens, time and memory."""
    project = make_project("sft", ROWS)
    assert project.train() == 0
    found = read_log(project.output / LOG_FILE)
    assert [entry["step"] for entry in found if "loss" in entry] == list(range(1, 9))
    drawn = {"loss", "learning_rate", "grad_norm", "num_tokens", "time_s", "memory_gb"}
    assert drawn <= set(found[0])
    assert f"page      tunegate report {project.output}" in capsys.readouterr().err


def test_the_manifest_names_the_run_in_the_tracker_that_followed_it(monkeypatch):
    from types import SimpleNamespace

    from trainers.shared.lifecycle import _tracked

    run = SimpleNamespace(info=SimpleNamespace(run_id="abc"))
    # After training MLflow's own callback has ended the run.
    monkeypatch.setitem(
        sys.modules, "mlflow", SimpleNamespace(active_run=lambda: None, last_active_run=lambda: run)
    )
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None))
    assert _tracked(SimpleNamespace(args=SimpleNamespace(report_to=["mlflow", "wandb"]))) == {"mlflow": "abc"}
    assert _tracked(SimpleNamespace(args=SimpleNamespace(report_to=[]))) == {}
