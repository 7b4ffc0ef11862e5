"""The parts of ``performance.py`` in which no model answers, and what training costs beyond a bare script."""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from benchmarks import trainer_overhead
from benchmarks.performance_speed import served, speed
from benchmarks.performance_ways import GATE, GATED, Amount, FailedRun, Step, Taken, run

ROOT = Path(__file__).parents[1]
JUDGE_S, JUDGED, AT_A_TIME = 0.05, 100, 8
RAG = ("faithfulness", "context-recall", "context-precision", "answer-relevancy")
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
SYNTHETIC_GATE = (*GATE, "--gate-baseline=synthetic:old", "golden_sets")
FIRST, FURTHER = ((*SYNTHETIC_GATE, f"--model=synthetic:{name}") for name in ("new", "newer"))


def write_synthetic(directory: Path, cases: int, check: str = '{"type": "contains"}') -> None:
    """A project with made-up answers, and pytest's own tests of the same number beside it.

    Args:
        directory: The project's.
        cases: How many.
        check: Each case's checks, as JSON.
    """
    (directory / "golden_sets").mkdir(parents=True, exist_ok=True)
    (directory / "conftest.py").write_text(SYNTHETIC, encoding="utf-8")
    (directory / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\n[tool.tunegate]\n", encoding="utf-8"
    )
    rows = [
        {
            "id": f"c{n}",
            "prompt": f"What is {n} plus one?",
            "references": [f"{n + 1}"],
            "retrieved_context": [f"After {n} comes {n + 1}."],
            "checks": json.loads(f"[{check}]"),
        }
        for n in range(cases)
    ]
    golden = json.dumps({"name": "counting", "cases": rows})
    (directory / "golden_sets" / "counting.yaml").write_text(golden, encoding="utf-8")
    (directory / "plain").mkdir(exist_ok=True)
    code = f"import pytest\n@pytest.mark.parametrize('n', range({cases}))\ndef test_one(n): assert n % 5\n"
    (directory / "plain" / "test_plain.py").write_text(code, encoding="utf-8")


def scale(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """Whole sessions with made-up answers: the first, the same again, scored anew, another model's.

    Args:
        amount: How much is measured.
        rows: Not needed.
    """
    del rows
    found = []
    for cases in amount.scale:
        short = amount.quick and cases > 10_000
        ways = (
            ("first", "further") if short else ("pytest alone", "first", "unchanged", "rescored", "further")
        )
        names = [f"{cases} {way}" for way in ways]
        found.append(Step(rows=names, run=partial(_scaled, cases, ways), late=22 if short else 0))
    return found


def _scaled(cases: int, ways: Sequence[str]) -> Iterator[tuple[str, dict[str, float]]]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "project"
        write_synthetic(directory, cases)
        history = directory / ".tunegate" / "history.sqlite"
        lines = {"pytest alone": (*GATE[:-1], "plain"), "first": FIRST, "unchanged": FIRST, "rescored": FIRST}
        for way, line in (lines | {"further": FURTHER}).items():
            if way not in ways:
                continue
            if way == "rescored":
                write_synthetic(directory, cases, '{"type": "icontains"}')
            before = history.stat().st_size if history.exists() else 0
            taken = _in_project(line, directory)
            figures = taken.figures
            if history.exists():
                figures["history_mb"] = (history.stat().st_size - before) / 1e6
                reports = directory.glob(".tunegate/runs/*/report.html")
                figures["report_mb"] = max((path.stat().st_size for path in reports), default=0) / 1e6
            yield f"{cases} {way}", figures


def _in_project(line: tuple[str, ...], directory: Path) -> Taken:
    return run([sys.executable, *line], directory, statuses=GATED)


class _Judge(BaseHTTPRequestHandler):
    """Says pass after a while, as OpenAI's servers do, or what ragas asks for, and notes when."""

    protocol_version = "HTTP/1.1"
    times: ClassVar[list[float]] = []

    def do_POST(self) -> None:
        self.times.append(time.perf_counter())
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(JUDGE_S)
        reply = {"role": "assistant", "content": json.dumps(_verdict(asked))}
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


def _verdict(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What fits the schema that the question names."""
    schema = asked.get("response_format", {}).get("json_schema", {}).get("schema", {})
    statement = {"statement": "It is a number.", "reason": "read"}
    known: dict[str, dict[str, Any]] = {
        "StatementGeneratorOutput": {"statements": [statement["statement"]]},
        "NLIStatementOutput": {"statements": [{**statement, "verdict": 1}]},
        "ContextRecallOutput": {"classifications": [{**statement, "attributed": 1}]},
        "ContextPrecisionOutput": {"reason": "read", "verdict": 1},
        "AnswerRelevanceOutput": {"question": "What comes next?", "noncommittal": 0},
    }
    said: dict[str, Any] = {"reason": "as asked", "verdict": "pass", "pass": True}
    return known.get(schema.get("title", ""), said)


def judging(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """A gate whose judge takes 50 ms, 8 questions at a time: from the first question to the last reply.

    Args:
        amount: Not needed.
        rows: Not needed.
    """
    del amount, rows
    checks = {
        "rubric": '{"type": "llm-rubric", "value": "The number is named."}',
        "passages": ", ".join(f'{{"type": "{name}"}}' for name in RAG),
    }

    def measured(name: str) -> Iterator[tuple[str, dict[str, float]]]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Judge)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        line = (*FIRST, f"--gate-judge=openai:judge@{address}", f"--gate-judge-concurrency={AT_A_TIME}")
        try:
            with tempfile.TemporaryDirectory() as folder:
                write_synthetic(Path(folder), JUDGED, checks[name])
                _Judge.times.clear()
                taken = _in_project(line, Path(folder))
        finally:
            server.shutdown()
        if not _Judge.times:
            raise FailedRun("the judge was never asked")
        asked, judging_s = len(_Judge.times) // 2, max(_Judge.times) - min(_Judge.times)
        ideal_s = asked * JUDGE_S / AT_A_TIME
        shares = {"ideal_s": ideal_s, "judging_s": judging_s, "share": ideal_s / judging_s}
        yield name, {**shares, "asked": asked, "cpu_s": taken.cpu_s}

    return [Step(rows=[name], run=partial(measured, name)) for name in checks]


def start(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """What ``start_up.py`` prints.

    Args:
        amount: How much is measured.
        rows: Not needed.
    """
    del rows
    pairs = "4" if amount.quick else "10"
    line = [sys.executable, str(ROOT / "benchmarks" / "start_up.py"), "--pairs", pairs]

    def measured() -> Iterator[tuple[str, dict[str, float]]]:
        said = subprocess.run(line, capture_output=True, text=True, check=False).stdout.splitlines()
        for row in said:
            # "what was measured   0.123 s  (limit 0.30)"
            name, seconds = row[:32].strip(), row[32:].split()
            if len(seconds) > 1 and seconds[1] == "s":
                limit = [float(each.rstrip(")")) for each in seconds[3:4] if seconds[2] == "(limit"]
                yield name, {"cpu_s": float(seconds[0]), **({"limit": limit[0]} if limit else {})}
        if not said:
            raise FailedRun("start_up.py printed nothing")
        yield "all", {"lines": len(said)}

    return [Step(rows=["all"], run=measured)]


def training(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """Our SFT, and a bare TRL script that does the same steps.

    Args:
        amount: How much is measured.
        rows: Not needed.
    """
    del rows
    steps = 6 if amount.quick else 24
    place = amount.work / "training"

    def measured(way: str) -> Iterator[tuple[str, dict[str, float]]]:
        shutil.rmtree(place / way, ignore_errors=True)
        place.mkdir(parents=True, exist_ok=True)
        given = {"data": str(trainer_overhead.DATA), "output": str(place / way), "steps": steps}
        if way == "ours":
            (place / "ours.yaml").write_text(trainer_overhead.OURS.format(**given), encoding="utf-8")
            line = ["-m", "trainers.methods.sft", str(place / "ours.yaml")]
        else:
            (place / "bare.py").write_text(trainer_overhead.BARE.format(**given), encoding="utf-8")
            line = [str(place / "bare.py")]
        yield f"{steps} {way}", run([sys.executable, *line], place, further={"PYTHONPATH": str(ROOT)}).figures

    return [
        Step(rows=[f"{steps} {way}"], run=partial(measured, way), late=20 if amount.quick else 0)
        for way in ("bare", "ours")
    ]


def workers(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """A Ray cluster on this machine whose workers sleep: two workers beside one, and a hundred.

    Args:
        amount: Not needed.
        rows: Not needed.
    """
    del amount, rows
    line = [sys.executable, "-m", "benchmarks.ray_workers"]

    def measured() -> Iterator[tuple[str, dict[str, float]]]:
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FailedRun(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason")
        for row in done.stdout.splitlines():
            number, efficiency = row.split()[:2]
            yield number, {"efficiency": float(efficiency)}

    return [Step(rows=["1", "2", "100"], run=measured)]


PARTS: Mapping[str, Callable[[Amount, Mapping[str, Any]], list[Step]]] = {
    "start": start,
    "judge": judging,
    "scale": scale,
    "speed": speed,
    "served": served,
    "training": training,
    "workers": workers,
}
