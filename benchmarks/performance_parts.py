"""The parts of ``performance.py`` in which no model answers, and what training costs beyond a bare script."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import trainer_overhead
from benchmarks.performance_judge import judging
from benchmarks.performance_profile import profile
from benchmarks.performance_served import served
from benchmarks.performance_speed import speed
from benchmarks.performance_ways import GATE, GATED, Amount, FailedRun, ResourceUse, Step, run
from benchmarks.synthetic import FIRST, FURTHER, write_synthetic

ROOT = Path(__file__).parents[1]


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
            ("pytest alone", "first", "further")
            if short
            else ("pytest alone", "first", "unchanged", "rescored", "further")
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


def _in_project(line: tuple[str, ...], directory: Path) -> ResourceUse:
    return run([sys.executable, *line], directory, statuses=GATED)


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
    "profile": profile,
}
