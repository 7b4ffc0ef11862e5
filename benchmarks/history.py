"""What a stored run costs: bytes, processor time and memory, with made-up answers.

    python -m benchmarks.history [--cases 10000 100000]

Three gates of the same golden sets are stored: every candidate answers anew, and the base's answers come from
the cache, as they do in a project. A case has a prompt of about 60 words and answers of about 80, made of
random words. Then, each in its own process, the latest run is read back whole, and the runs are listed.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.report import made_up
from harness.history.store import open_history
from harness.types import CaseResult, GateRecord

GATES = 3


def candidate(results: tuple[CaseResult, ...], number: int) -> tuple[CaseResult, ...]:
    """The same cases with answers of another model."""
    pick = random.Random(number)

    def answered(result: CaseResult) -> CaseResult:
        assert result.completion is not None
        words = result.completion.text.split()
        text = " ".join(pick.sample(words, len(words)))
        return replace(result, completion=replace(result.completion, text=text, latency_s=pick.random()))

    return tuple(map(answered, results))


@contextmanager
def told(name: str, cases: int, path: Path) -> Iterator[None]:
    """Print what the work inside takes."""
    size = path.stat().st_size if path.exists() else 0
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    yield
    after, took_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    grown = path.stat().st_size - size
    print(
        f"{cases:7} cases, {name:7} {cpu_s:6.2f} CPU s, {took_s:6.2f} s, peak memory "
        f"{before.ru_maxrss / 1024:5.0f} -> {after.ru_maxrss / 1024:5.0f} MiB, "
        f"file {grown / 1e6:+7.1f} MB ({grown / cases:6.0f} B a case)",
        flush=True,
    )


def store(cases: int, path: Path) -> None:
    """Store three gates."""
    made = made_up(cases)
    assert made.baseline is not None
    for number in range(1, GATES + 1):
        run = replace(made.run, id=f"2026020{number}-new", results=candidate(made.run.results, number))
        base = replace(made.baseline, id=f"2026020{number}-old")
        record = GateRecord(run=run, baseline=base, comparison=made.comparison, verdict=made.verdict)
        with told(f"gate {number}", cases, path), open_history(path) as history:
            history.save(record)


def main() -> None:
    """Store, read and list, and print each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[10_000])
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read:
        task, path = asked.read[0], Path(asked.read[1])
        with told(task, asked.cases[0], path), open_history(path) as history:
            history.list_runs() if task == "list" else history.load_record("latest")
        return
    for cases in asked.cases:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "history.sqlite"
            store(cases, path)
            for task in ("load", "list"):
                again = ["-m", "benchmarks.history", "--cases", str(cases), "--read", task, str(path)]
                subprocess.run([sys.executable, *again], check=True)


if __name__ == "__main__":
    main()
