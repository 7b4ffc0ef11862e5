"""Where the time of a gate goes; the part ``profile`` of ``performance.py``.

One session in one process with one thread: its phases, and the kinds of operations that the engine computes,
by torch's profiler on a few of its cases. Runs as ``python -m benchmarks.performance_profile`` too, which is
the measured process: PROJECT ADAPTER FILE, or --engine PROJECT ADAPTER FILE.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.performance_speed import fresh, job_for, make_adapter
from benchmarks.performance_ways import GATE, GATED, NEW_TOKENS, Amount, Job, Step, run, write_project

ROOT = Path(__file__).parents[1]
PROFILED = 16
# What each phase calls, by the module that calls it.
_PHASES = {
    "loading the models": ("harness.run.generation", "open_sides"),
    "answering": ("harness.run.session", "answer_cases"),
    "scoring": ("harness.run.session", "score_sides"),
    "comparing": ("harness.plugin.session", "conclude_session"),
    "history and reports": ("harness.plugin.session", "deliver"),
}
_REST = "starting, importing, collecting, printing"
_KINDS = {"mm": "matrix products", "scaled_dot_product": "attention"}


def profile(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """The phases of a session, and the engine's operations.

    Args:
        amount: How much is measured.
        rows: Not needed.
    """
    del rows
    cases = amount.sizes[0]
    job = job_for(amount, cases, "profile")
    phases = [f"{cases} phase/{name}" for name in (*_PHASES, _REST)]
    kinds = [f"{PROFILED} engine/{name}" for name in (*_KINDS.values(), "all else")]
    return [
        Step(rows=phases, run=lambda: _measured(job, phases, []), late=20),
        Step(rows=kinds, run=lambda: _measured(job, kinds, ["--engine"]), late=21),
    ]


def _measured(job: Job, rows: list[str], options: list[str]) -> Iterator[tuple[str, dict[str, float]]]:
    make_adapter(job)
    found: dict[str, float] = {}

    def way(each: Job) -> Any:
        write_project(each)
        out = each.directory / "profile.json"
        line = [sys.executable, "-m", "benchmarks.performance_profile", *options]
        further = {"PYTHONPATH": str(ROOT)}
        taken = run([*line, *map(str, (each.directory, each.adapter, out))], ROOT, 1, GATED, further)
        found.update(json.loads(out.read_text(encoding="utf-8")))
        return taken

    fresh(job, "engine" if options else "phases", way)
    for row in rows:
        yield row, {"s": found.get(row.partition("/")[2], 0.0)}


def _follow_session(project: Path, adapter: Path) -> dict[str, float]:
    """Seconds of each phase of one session in this process."""
    import importlib
    import os

    import pytest

    began, spent = time.perf_counter(), defaultdict[str, float](float)
    inside: list[str] = []

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            inside.append(name)
            try:
                return function(*arguments, **named)
            finally:
                inside.pop()
                took = time.perf_counter() - started
                spent[name] += took
                if inside:
                    spent[inside[-1]] -= took

        return call

    for name, (module, function) in _PHASES.items():
        place = importlib.import_module(module)
        setattr(place, function, timed(name, getattr(place, function)))
    os.chdir(project)
    options = ("--gate-no-cache", "--gate-workers=1")
    status = pytest.main([*GATE[2:], f"--model={adapter}", *options])
    if status not in GATED:
        raise SystemExit(int(status))
    spent[_REST] = time.perf_counter() - began - sum(spent.values())
    return dict(spent)


def _follow_engine(project: Path, adapter: Path) -> dict[str, float]:
    """Processor seconds of each kind of operation, for the first cases on both sides."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    from harness.engines.base import GenerationRequest
    from harness.engines.open import base_of, choose_plan, describe_model, open_sides
    from harness.types import GenerationSettings, Message

    model = describe_model(str(adapter))
    sides = {"candidate": model, "baseline": base_of(model)}
    cases = json.loads((project / "golden_sets" / "orders.yaml").read_text(encoding="utf-8"))["cases"]
    requests = [
        GenerationRequest(
            key=f"{side}/{case['id']}",
            side=side,
            messages=tuple(Message(**turn) for turn in case["messages"]),
            settings=GenerationSettings(max_new_tokens=NEW_TOKENS),
        )
        for side in sides
        for case in cases[:PROFILED]
    ]
    engine = open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))
    with profiled(activities=[ProfilerActivity.CPU]) as found:
        engine.generate(requests, dict[int, Any]().update)
    spent = defaultdict[str, float](float)
    for each in found.key_averages():
        kind = next((said for part, said in _KINDS.items() if part in each.key), "all else")
        spent[kind] += each.self_cpu_time_total / 1e6
    return dict(spent)


def main() -> None:
    """Measure in this process."""
    *options, project, adapter, out = sys.argv[1:]
    follow = _follow_engine if options else _follow_session
    found = follow(Path(project), Path(adapter))
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
