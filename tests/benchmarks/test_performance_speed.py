"""On which set the script's loop is tuned."""

from dataclasses import replace
from pathlib import Path

from benchmarks.performance_speed import speed
from benchmarks.performance_ways import Amount

AMOUNT = Amount(
    quick=False,
    sizes=(64, 256),
    scale=(),
    base="smollm2",
    kinds=("distinct",),
    ways=("bare loop",),
    peers=None,
    promptfoo=None,
    work=Path("none"),
)


def tuned(amount, rows):
    return {row.partition("/")[0] for step in speed(amount, rows) for row in step.rows if "/tuning/" in row}


def test_the_loop_is_tuned_once_on_the_smallest_set(monkeypatch):
    monkeypatch.setattr("benchmarks.performance_speed.resolve_model", Path)
    assert tuned(AMOUNT, {}) == {"64 distinct"}
    known = {"64 distinct/tuning/8 1": {"runs": [{"wall_s": 1.0}]}}
    assert tuned(replace(AMOUNT, sizes=(256,)), {}) == {"256 distinct"}
    assert tuned(replace(AMOUNT, sizes=(256,)), known) == set()
    # Of a tuning that failed nothing is known.
    failed = {"64 distinct/tuning/8 1": {"error": "no memory"}}
    assert tuned(replace(AMOUNT, sizes=(256,)), failed) == {"256 distinct"}
    assert tuned(replace(AMOUNT, sizes=(256,), kinds=("shared",)), known) == {"256 shared"}
