"""A run of one of TRL's trainers, from its preparation to the result."""

import sys
from types import SimpleNamespace

import pytest

from harness.errors import ModelError
from harness.types.training import LOG_FILE
from trainers.measure.training_log import read_log
from trainers.shared.lifecycle import _blamed

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
    from trainers.shared.result import _tracked

    run = SimpleNamespace(info=SimpleNamespace(run_id="abc"))
    # After training MLflow's own callback has ended the run.
    monkeypatch.setitem(
        sys.modules, "mlflow", SimpleNamespace(active_run=lambda: None, last_active_run=lambda: run)
    )
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None))
    assert _tracked(SimpleNamespace(args=SimpleNamespace(report_to=["mlflow", "wandb"]))) == {"mlflow": "abc"}
    assert _tracked(SimpleNamespace(args=SimpleNamespace(report_to=[]))) == {}


def run_of(path, *, losses=(), trl=None):
    (path / "config.json").write_text('{"model_type": "new-one"}')
    watch, config = SimpleNamespace(losses=losses), SimpleNamespace(trl=trl or {})
    return SimpleNamespace(method="sft", base_dir=path, watch=watch, config=config)


def test_what_a_library_misses_in_a_model_is_said_of_the_base(tmp_path):
    """As TRL of Llama 4: before the first step, and in the library's own code."""
    from transformers import PretrainedConfig

    said = "can't train a model of the kind new-one by sft: AttributeError: .*'num_experts'; choose another"
    with pytest.raises(ModelError, match=said), _blamed(run_of(tmp_path)):
        PretrainedConfig().num_experts  # noqa: B018 # the library raises


def test_our_own_faults_and_later_ones_are_not_said_of_the_base(tmp_path):
    from transformers import PretrainedConfig

    with pytest.raises(AttributeError), _blamed(run_of(tmp_path)):
        run_of(tmp_path).nothing  # noqa: B018 # raises here
    with pytest.raises(AttributeError), _blamed(run_of(tmp_path, losses=(1,))):
        PretrainedConfig().num_experts  # noqa: B018 # the library raises
