"""What a stored run costs: bytes, processor time and memory, with made-up answers.

    python -m benchmarks.history [--cases 10000 100000]

Three gates of the same golden sets are stored, each in its own process: every candidate answers anew, and
the base's answers come from the cache, as they do in a project. A case has a prompt of about 60 words and
answers of about 80, made of random words. Then the latest run is read back whole, and the runs are listed.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.report import made_up
from harness.history.store import open_history
from harness.types import GateRecord

GATES = 3


def gate(cases: int, number: int) -> GateRecord:
    """The record of one gate: the base's answers are those of every other gate."""
    import random

    record = made_up(cases)
    pick = random.Random(number)
    run = replace(
        record.run,
        id=f"2026020{number}-000000-new",
        results=tuple(
            replace(
                each,
                completion=None
                if each.completion is None
                else replace(
                    each.completion,
                    text=" ".join(pick.sample(each.completion.text.split(), 80)),
                    latency_s=pick.random(),
                ),
            )
            for each in record.run.results
        ),
    )
    assert record.baseline is not None
    return replace(record, run=run, baseline=replace(record.baseline, id=f"2026020{number}-000000-old"))


def work(task: str, place: str, cases: int) -> None:
    """Do one task in this process, and print its processor seconds, wall seconds and peak memory."""
    record = gate(cases, int(task)) if task.isdigit() else None
    before = resource.getrusage(resource.RUSAGE_SELF)
    began, began_cpu = time.perf_counter(), before.ru_utime + before.ru_stime
    with open_history(Path(place)) as history:
        if record is not None:
            history.save(record)
        elif task == "list":
            history.list_runs()
        else:
            history.load_record("latest")
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            [
                after.ru_utime + after.ru_stime - began_cpu,
                time.perf_counter() - began,
                before.ru_maxrss / 1024,
                after.ru_maxrss / 1024,
            ]
        )
    )


def main() -> None:
    """Store, read and list, and print each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[10_000])
    parser.add_argument("--task", nargs=3, metavar=("TASK", "PLACE", "CASES"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task:
        work(asked.task[0], asked.task[1], int(asked.task[2]))
        return
    for cases in asked.cases:
        with tempfile.TemporaryDirectory() as name:
            path, size = Path(name) / "history.sqlite", 0
            for task in (*map(str, range(1, GATES + 1)), "load", "list"):
                command = [sys.executable, "-m", "benchmarks.history", "--task", task, str(path), str(cases)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                cpu_s, wall_s, before, after = json.loads(done.stdout)
                grown = path.stat().st_size - size
                size += grown
                print(
                    f"{cases:7} cases, {f'gate {task}' if task.isdigit() else task:7} {cpu_s:6.2f} CPU s, "
                    f"{wall_s:6.2f} s, memory {before:5.0f} -> {after:5.0f} MiB, "
                    f"file {grown / 1e6:+7.1f} MB ({grown / cases:6.0f} B a case)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
