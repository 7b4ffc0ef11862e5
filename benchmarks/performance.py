"""How fast gates are beside what they replace, measured in one run; writes docs/performance.md.

    python -m benchmarks.performance [--quick] [--repeats 5] [--sizes 64 256] [--only PART] [--peers PYTHON]

Parts: ``speed`` (base and adapter of SmolLM2 on 64 and 256 cases, with distinct prompts and with one
system prompt), ``scale`` (1 000 to 100 000 cases with made-up answers), ``judge`` (the share of a
judge's ideal time) and ``start`` (what starting costs). PYTHON has lm-eval and inspect_ai beside torch,
transformers and peft; without it their rows are left out. ``--quick`` measures once, 64 and 1 000
cases, in a quarter of an hour on two free cores; the whole takes a night. All ways take turns in every
repetition. What was measured is kept in benchmarks/performance.json, so that a part can be measured
again alone.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.performance_page import page
from benchmarks.performance_ways import (
    GATE,
    Job,
    Taken,
    bare_loop,
    gate,
    gated_texts,
    inspect,
    lm_eval,
    one_call,
    other_texts,
    prompts_of,
    run,
)
from harness.models.resolve import resolve_model

ROOT = Path(__file__).parents[1]
MEASURED, PAGE = ROOT / "benchmarks" / "performance.json", ROOT / "docs" / "performance.md"
PARTS = ("speed", "scale", "judge", "start")
TUNED = [(batch, threads) for batch in (8, 16, 32) for threads in (1, None)]
JUDGE_S, JUDGED, AT_A_TIME = 0.05, 100, 8
SYNTHETIC = '''
"""Answers made of the prompt: the baseline's are right in nine of ten cases, the candidate's in eight."""
import hashlib
from harness.registry import EngineKind
from harness.types import Completion, ModelRef

def describe(reference):
    digest = hashlib.sha256(reference.encode()).hexdigest()
    return ModelRef(label=reference, base_model=reference, base_sha256=digest)

class Synthetic:
    def __init__(self, sides, plan):
        self.sides, self.plan = sides, plan

    def largest_logit_change(self, side):
        return 1.0

    def generate(self, requests, on_batch):
        for start in range(0, len(requests), 512):
            on_batch({n: self.answer(requests[n]) for n in range(start, min(start + 512, len(requests)))})

    def answer(self, request):
        number = int(request.messages[-1].content.split()[2])
        known = number * 7919 % 10 < (9 if self.sides[request.side].label == "old" else 8)
        by = self.sides[request.side].label
        text = f"It is {number + 1 if known else number}, as anybody knows who can count. So says {by}."
        counts = {"prompt_tokens": 9, "completion_tokens": 20, "latency_s": 0.01}
        return Completion(text=text, stop_reason="stop", **counts)

def pytest_tunegate_register(registry):
    registry.add(EngineKind(name="synthetic", summary="Made-up answers.", describe=describe, open=Synthetic))
'''


def main() -> None:
    """Measure the parts, keep the figures, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256], help="cases of the part speed")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", metavar="PYTHON")
    asked = parser.parse_args()
    repeats = 1 if asked.quick else asked.repeats
    found = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    parts: Mapping[str, Callable[[], dict[str, Any]]] = {
        "speed": lambda: measure_speed((64,) if asked.quick else asked.sizes, repeats, asked.peers),
        "scale": lambda: measure_scale((1000,) if asked.quick else (1000, 10_000, 100_000), repeats),
        "judge": lambda: measure_judge(repeats),
        "start": measure_start,
    }
    for part in asked.only:
        load = os.getloadavg()[0]
        figures = parts[part]()
        found[part] = {"machine": machine(), "load": round(load, 1), "repeats": repeats, **figures}
        MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(found), encoding="utf-8")
        print(f"{part}: written to {PAGE.relative_to(ROOT)}", flush=True)


def machine() -> str:
    """The processor, the cores that may be used, versions and the day."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text("utf-8").splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    from importlib.metadata import version

    packages = ", ".join(f"{package} {version(package)}" for package in ("torch", "transformers", "peft"))
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"{cores} cores of {name}, Python {platform.python_version()}, {packages}, {day}"


def told(name: str, taken: Taken) -> Taken:
    """Print what a way took, as it becomes known."""
    print(f"{name:52} {taken.wall_s:8.1f} s {taken.cpu_s:8.1f} CPU s {taken.peak_mb:7.0f} MB", flush=True)
    return taken


def median(taken: list[Taken]) -> dict[str, float]:
    """The medians of several runs of one way."""
    return {
        name: round(statistics.median(getattr(each, name) for each in taken), 2)
        for name in ("wall_s", "cpu_s", "peak_mb")
    }


def measure_speed(sizes: Sequence[int], repeats: int, peers: str | None) -> dict[str, Any]:
    """All ways on all sets, in turns."""
    from benchmarks.generation import make_adapter

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        adapter = Path(name) / "adapter"
        make_adapter("smollm2", adapter)
        for cases in sizes:
            for kind in ("distinct", "shared"):
                jobs = Path(name) / f"{cases}-{kind}"
                job = Job(
                    base=resolve_model("smollm2"),
                    adapter=adapter,
                    prompts=prompts_of(cases, shared=kind == "shared"),
                    directory=jobs,
                    peers=peers,
                )
                found[f"{cases} {kind}"] = in_turns(job, repeats)
    return {"sets": found}


def in_turns(job: Job, repeats: int) -> dict[str, Any]:
    """The medians of all ways of one job; the bare loop is tuned first, on a quarter of the cases."""
    few = replace(job, prompts=job.prompts[: max(16, len(job.prompts) // 4)])
    tuned = {each: told(f"bare loop {each}", fresh(few, bare_loop, *each)).wall_s for each in TUNED}
    batch, threads = min(tuned, key=tuned.__getitem__)
    ways: dict[str, Callable[[Job], Taken]] = {
        "tunegate": lambda each: gate(each, "--gate-no-cache"),
        "one process": lambda each: gate(each, "--gate-no-cache", "--gate-workers=1"),
        "bare loop": lambda each: bare_loop(each, batch, threads),
        "one call": one_call,
    }
    if job.peers:
        ways |= {"lm-eval": lm_eval, "inspect": inspect}
    taken: dict[str, list[Taken]] = {}
    texts: dict[str, dict[str, str]] = {}
    for repeat in range(repeats):
        for name, way in ways.items():
            each = replace(job, directory=job.directory / name.replace(" ", "-"))
            taken.setdefault(name, []).append(told(f"{len(job.prompts)} {name}", fresh(each, way)))
            if name in {"tunegate", "one process", "one call"} and not repeat:
                texts[name] = other_texts(each) if name == "one call" else gated_texts(each)
        # The same gate with its own cache: the candidate alone, then with the base, again, and scored anew.
        each = replace(job, directory=job.directory / "cache")
        again = {
            "base alone": lambda job: gate(job, model=job.base),
            "base cached": gate,
            "unchanged": gate,
        }
        for place, (name, way) in enumerate(again.items()):
            step = fresh(each, way) if not place else way(each)
            taken.setdefault(name, []).append(told(f"{len(job.prompts)} {name}", step))
    alone = texts["one call"]
    equal = {name: sum(found.get(n) == text for n, text in alone.items()) for name, found in texts.items()}
    return {
        "ways": {name: median(each) for name, each in taken.items()},
        "tuned": f"batches of {batch}, {'1 thread' if threads == 1 else 'a thread for each core'}",
        "equal texts": {name: [number, len(alone)] for name, number in equal.items() if name != "one call"},
    }


def fresh(job: Job, way: Callable[..., Taken], *given: Any) -> Taken:
    """A way in an empty directory."""
    shutil.rmtree(job.directory, ignore_errors=True)
    job.directory.mkdir(parents=True)
    return way(job, *given)


def write_synthetic(directory: Path, cases: int, check: str) -> None:
    """A project with made-up answers, and pytest's own tests of the same number beside it."""
    (directory / "golden_sets").mkdir(parents=True)
    (directory / "conftest.py").write_text(SYNTHETIC, encoding="utf-8")
    (directory / "pyproject.toml").write_text("[tool.tunegate]\n", encoding="utf-8")
    rows = [
        {
            "id": f"c{n}",
            "prompt": f"What is {n} plus one?",
            "references": [f"{n + 1}"],
            "checks": [{"type": check}],
        }
        for n in range(cases)
    ]
    golden = json.dumps({"name": "counting", "cases": rows})
    (directory / "golden_sets" / "counting.yaml").write_text(golden, encoding="utf-8")
    (directory / "plain").mkdir()
    code = f"import pytest\n@pytest.mark.parametrize('n', range({cases}))\ndef test_one(n): assert n % 5\n"
    (directory / "plain" / "test_plain.py").write_text(code, encoding="utf-8")


SYNTHETIC_GATE = (*GATE, "--gate-baseline=synthetic:old", "golden_sets")
FIRST, FURTHER = ((*SYNTHETIC_GATE, f"--model=synthetic:{name}") for name in ("new", "newer"))


def measure_scale(sizes: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """Whole sessions with made-up answers: the first, the same again, another model's, and pytest's own."""
    found: dict[str, Any] = {}
    for cases in sizes:
        taken: dict[str, list[Taken]] = {}
        grown: list[float] = []
        report: list[float] = []
        for _ in range(repeats if cases < 100_000 else min(repeats, 3)):
            with tempfile.TemporaryDirectory() as name:
                directory = Path(name) / "project"
                write_synthetic(directory, cases, "contains")
                history = directory / ".tunegate" / "history.sqlite"
                plain = [*GATE[:-1], "plain"]
                for way, line in (
                    ("pytest alone", plain),
                    ("first", FIRST),
                    ("unchanged", FIRST),
                    ("further", FURTHER),
                ):
                    before = history.stat().st_size if history.exists() else 0
                    step = run([sys.executable, *line], directory)
                    taken.setdefault(way, []).append(told(f"{cases} {way}", step))
                    if way == "further":
                        grown.append((history.stat().st_size - before) / 1e6)
                pages = [path.stat().st_size for path in directory.glob(".tunegate/runs/*/report.html")]
                report.append(max(pages) / 1e6)
        found[str(cases)] = {
            "ways": {name: median(each) for name, each in taken.items()},
            "history_mb": round(statistics.median(grown), 1),
            "report_mb": round(statistics.median(report), 1),
        }
    return {"sizes": found}


class _Judge(BaseHTTPRequestHandler):
    """Says pass after a while, as OpenAI's servers do, and notes when."""

    times: ClassVar[list[float]] = []

    def do_POST(self) -> None:
        self.times.append(time.perf_counter())
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(JUDGE_S)
        reply = {"role": "assistant", "content": '{"reason": "as asked", "verdict": "pass", "pass": true}'}
        body = json.dumps(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "judge",
                "choices": [{"index": 0, "message": reply, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.times.append(time.perf_counter())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def measure_judge(repeats: int) -> dict[str, Any]:
    """A gate with a judge that takes 50 ms, 8 at a time: from its first question to its last reply."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    judge = f"--gate-judge=openai:judge@http://127.0.0.1:{server.server_port}/v1"
    took = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name) / "project"
            write_synthetic(directory, JUDGED, "contains")
            path = directory / "golden_sets" / "counting.yaml"
            rubric = '"checks": [{"type": "llm-rubric", "value": "The number is named."}]'
            path.write_text(
                path.read_text("utf-8").replace('"checks": [{"type": "contains"}]', rubric), "utf-8"
            )
            _Judge.times.clear()
            told(
                "judge",
                run([sys.executable, *FIRST, judge, f"--gate-judge-concurrency={AT_A_TIME}"], directory),
            )
            took.append(max(_Judge.times) - min(_Judge.times))
    server.shutdown()
    ideal_s, judging_s = 2 * JUDGED * JUDGE_S / AT_A_TIME, statistics.median(took)
    return {"ideal_s": ideal_s, "judging_s": round(judging_s, 2), "share": round(ideal_s / judging_s, 2)}


def measure_start() -> dict[str, Any]:
    """What ``start_up.py`` prints."""
    line = [sys.executable, str(ROOT / "benchmarks" / "start_up.py")]
    said = subprocess.run(line, capture_output=True, text=True, check=False).stdout
    return {"said": said.strip().splitlines()}


if __name__ == "__main__":
    main()
