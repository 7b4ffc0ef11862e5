"""Several processes of ``accelerate launch`` train one adapter."""

import json
import os
import subprocess
import sys

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
