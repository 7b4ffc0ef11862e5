import json
import math
from types import SimpleNamespace

import pytest

from harness.types.training import LOG_FILE
from trainers.measure.training_log import TrainingLog, read_log


def state(step: int, main: bool = True) -> SimpleNamespace:
    return SimpleNamespace(global_step=step, is_world_process_zero=main)


def test_each_log_is_a_line_with_step_time_and_memory(tmp_path):
    log = TrainingLog(tmp_path)
    log.on_train_begin(None, state(0), None)
    log.on_log(None, state(1), None, logs={"loss": 1.5, "note": "text", "grad_norm": math.nan})
    (entry,) = read_log(tmp_path / LOG_FILE)
    assert {key: entry[key] for key in ("loss", "grad_norm", "step")} == {
        "loss": 1.5,
        "grad_norm": None,
        "step": 1,
    }
    assert entry["time_s"] >= 0
    assert entry["memory_gb"] > 0
    assert "note" not in entry


def test_a_resumed_training_goes_on_behind_its_checkpoint(tmp_path):
    lines = [{"step": step, "loss": 1.0, "time_s": step * 10.0} for step in (1, 2, 3)]
    (tmp_path / LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 4, "lo')
    log = TrainingLog(tmp_path)
    log.on_train_begin(None, state(2), None)
    log.on_log(None, state(3), None, logs={"loss": 0.5})
    found = read_log(tmp_path / LOG_FILE)
    assert [(entry["step"], entry["loss"]) for entry in found] == [(1, 1.0), (2, 1.0), (3, 0.5)]
    assert found[-1]["time_s"] == pytest.approx(20.0, abs=5)


def test_only_the_main_process_writes(tmp_path):
    log = TrainingLog(tmp_path)
    log.on_train_begin(None, state(0, main=False), None)
    log.on_log(None, state(1, main=False), None, logs={"loss": 1.5})
    assert not (tmp_path / LOG_FILE).exists()


def test_a_later_round_goes_on_and_its_repeated_beginning_counts_once(tmp_path):
    lines = [{"step": step, "loss": 1.0, "time_s": 1.0} for step in (1, 2)] + [{"step": 2, "reward": 0.3}]
    (tmp_path / LOG_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    log = TrainingLog(tmp_path, after=2, noted={"reward": 0.4})
    log.on_train_begin(None, state(0), None)
    log.on_log(None, state(1), None, logs={"loss": 0.5})
    found = [
        (entry["step"], entry.get("loss"), entry.get("reward")) for entry in read_log(tmp_path / LOG_FILE)
    ]
    assert found == [(1, 1.0, None), (2, 1.0, None), (2, None, 0.4), (3, 0.5, None)]
