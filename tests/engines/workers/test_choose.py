import json

import pytest

from harness.engines.open import choose_plan
from harness.engines.workers import choose
from harness.types import ModelRef

FLOAT32 = choose_plan("float32", "cpu", 4096, [])
BFLOAT16 = choose_plan("bfloat16", "cpu", 4096, [])
GIB = 2**30


@pytest.mark.parametrize(
    ("plan", "cores", "weights", "available", "workers"),
    [
        (FLOAT32, 2, 0.5 * GIB, 10 * GIB, 2),
        (FLOAT32, 1, 0.5 * GIB, 10 * GIB, 1),
        (FLOAT32, 64, 0.5 * GIB, None, 64),
        # 28 GB of weights that all share, and 3.2 GB for each.
        (FLOAT32, 16, 28e9, 40e9, 3),
        (FLOAT32, 16, 28e9, 20e9, 1),
        # Greedy text is another one with other threads.
        (BFLOAT16, 16, 0.5 * GIB, 100 * GIB, 1),
    ],
)
def test_a_worker_for_each_core_as_far_as_memory_allows(plan, cores, weights, available, workers):
    assert choose.chosen_workers(plan, [], cores, weights, available) == workers


def test_each_worker_has_a_batch_of_its_own(tmp_path):
    sizes = {"num_hidden_layers": 32, "num_key_value_heads": 8, "num_attention_heads": 32, "head_dim": 128}
    (tmp_path / "config.json").write_text(json.dumps(sizes))
    (tmp_path / "model.safetensors").touch()
    model = ModelRef(label="m", base_model=str(tmp_path), base_sha256="0" * 64)
    # 4096 tokens of 262 144 bytes each are 1.1 GB, beside 3.2 GB.
    assert choose.chosen_workers(FLOAT32, [model], 16, 28e9, 28e9 + 4.2e9) == 1
    assert choose.chosen_workers(FLOAT32, [model], 16, 28e9, 28e9 + 8.7e9) == 2


@pytest.mark.parametrize(
    ("threads", "limit", "cores"),
    [
        (None, None, 8),
        ("3", None, 3),
        ("0", None, 8),
        ("4,2", None, 8),
        (None, 2, 2),
        ("3", 2, 2),
        (None, 16, 8),
    ],
)
def test_cores_are_those_that_this_process_may_use(monkeypatch, threads, limit, cores):
    monkeypatch.setattr(choose.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr(choose, "granted_cores", lambda: limit)
    assert choose.usable_cores() == cores


@pytest.mark.parametrize("system", ["Darwin", "Windows"])
def test_systems_where_a_fork_is_not_safe_compute_in_one_process(monkeypatch, system):
    monkeypatch.setattr(choose.platform, "system", lambda: system)
    monkeypatch.setattr(choose, "open_sides", lambda sides, plan: "in this process")
    assert choose.open_chosen({}, FLOAT32, 4, 0) == "in this process"
