"""When the figures of docs/performance.md are old."""

import pytest

from benchmarks.performance_code import code_of, is_of_others


@pytest.fixture
def root(tmp_path):
    for package in ("harness/engines/served", "harness/models", "harness/run", "harness/plugin", "tunegate"):
        (tmp_path / package).mkdir(parents=True)
    (tmp_path / "harness/engines/decode.py").write_text(
        '"""Reads."""\n\n\ndef read(x):\n    """X."""\n    return x\n'
    )
    (tmp_path / "harness/engines/served/client.py").write_text("LIMIT = 1\n")
    for module in ("workload", "generation", "cache", "session"):
        (tmp_path / f"harness/run/{module}.py").write_text("A = 0\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "text", "parts"),
    [
        ("harness/engines/decode.py", '"""All."""\ndef read(x):  # why\n    return x\n', set()),
        ("harness/engines/decode.py", "def read(x):\n    return x + 1\n", {"speed", "workers"}),
        ("harness/engines/served/client.py", "LIMIT = 2\n", {"workers"}),
        ("harness/models/home.py", "A = 1\n", {"speed", "training"}),
        ("harness/comparison/pairing.py", "A = 1\n", set()),
        ("harness/run/workload.py", "A = 1\n", {"speed"}),
        ("harness/run/session.py", "A = 1\n", set()),
    ],
    ids=[
        "its words alone",
        "decoding",
        "served models",
        "homes",
        "comparison",
        "batches",
        "around answering",
    ],
)
def test_figures_are_old_once_the_code_that_takes_the_time_changes(root, path, text, parts):
    before = {part: code_of(part, root) for part in ("speed", "workers", "training")}
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text(text)
    assert {part for part, code in before.items() if code_of(part, root) != code} == parts


def test_rows_of_other_programs_outlast_our_code():
    others = (
        "64 distinct/bare loop",
        "64 shared/tuning/8 each core",
        "256 distinct/lm-eval",
        "24 bare",
        "1000 pytest alone",
    )
    ours = (
        "64 distinct/tunegate",
        "64 distinct/one process",
        "64 distinct/equal/one process",
        "24 ours",
        "1000 first",
    )
    assert [*map(is_of_others, others)] == [True] * 5
    assert [*map(is_of_others, ours)] == [False] * 5
