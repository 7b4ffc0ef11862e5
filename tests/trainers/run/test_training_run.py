"""What all trainers do around their method."""

import json
import os
import shutil
import subprocess
import sys

import pytest

ROWS = [{"prompt": f"what is w{i}", "completion": f"one two w{i}"} for i in range(16)]


def test_two_processes_train_one_adapter(make_project):
    """``accelerate launch`` on two CPU processes: one result, written once, from twice as many rows a step."""
    project = make_project("sft", ROWS, max_steps=2)
    config = project.path / "config.yaml"
    config.write_text(json.dumps(project.settings))
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    options = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    done = subprocess.run(
        [*launch, *options, "-m", "trainers.methods.sft", str(config)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr
    assert project.manifest["processes"] == 2
    assert project.manifest["steps"] == 2
    assert done.stderr.count("wrote ") == 1


def test_a_full_disk_keeps_the_last_checkpoint(make_project, capsys, monkeypatch):
    """The error is one line that names the checkpoint to go on from; the old adapter is untouched."""
    project = make_project("sft", ROWS)
    assert project.train() == 0
    before = project.manifest["adapter_sha256"]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainers.run.adapters.save_trained", full)
    assert project.train(seed=1) == 4
    assert "No space left on device; checkpoint-8 is kept: make room" in capsys.readouterr().err
    assert project.manifest["adapter_sha256"] == before


def test_a_checkpoint_that_was_cut_short_is_passed_over(make_project):
    """Resuming takes the newest whole one: a checkpoint's state is its last file."""
    project = make_project("sft", ROWS)
    assert project.train() == 0
    (project.path / "out.work" / "checkpoints" / "checkpoint-8" / "trainer_state.json").unlink()
    assert project.train("--resume") == 0
    assert project.manifest["steps"] == 8


def test_a_base_without_a_chat_template_is_refused(make_project, tiny_model_dir, capsys, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model_dir, bare)
    for file in bare.glob("chat_template*"):
        file.unlink()
    settings = json.loads((bare / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (bare / "tokenizer_config.json").write_text(json.dumps(settings))
    assert make_project("sft", ROWS, base=str(bare)).train() == 4
    assert "the tokenizer has no chat template" in capsys.readouterr().err


@pytest.mark.parametrize("rate", [1e30])
def test_a_loss_that_is_no_number_writes_nothing(make_project, capsys, rate):
    project = make_project("sft", ROWS, learning_rate=rate)
    assert project.train() == 4
    assert "the loss became" in capsys.readouterr().err
    assert not project.output.exists()
