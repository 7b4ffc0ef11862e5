"""The part of ``performance.py`` in which a model answers here; how its jobs are made."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.performance_peers import inspect, lm_eval
from benchmarks.performance_ways import (
    GATE,
    GATED,
    MOST_S,
    Amount,
    FailedRun,
    Job,
    ResourceUse,
    Step,
    UnfinishedRun,
    bare_loop,
    gate,
    gated_texts,
    one_call,
    other_texts,
    prompts_of,
    run,
    write_project,
)
from harness.models.resolve import resolve_model

ROOT = Path(__file__).parents[1]
# More rows than there are cases are the same as all cases at once.
_TUNED = [(batch, threads) for batch in (8, 16, 32, 64) for threads in (1, None)]
_BUSY = "while True: pass"
# For each case: two threads that wait for each other beside a busy core may take 30 times as long as alone.
_MOST_BUSY_S = 6.0
_PLAIN = "import pytest\n@pytest.mark.parametrize('n', range({}))\ndef test_one(n): assert n % 5\n"


def speed(amount: Amount, rows: Mapping[str, Any]) -> list[Step]:
    """All ways on all sets.

    Args:
        amount: How much is measured.
        rows: What has been measured, by row; read when a step runs.
    """
    steps = []
    for cases in amount.sizes:
        for kind in amount.kinds:
            job = job_for(amount, cases, kind)
            name = f"{cases} {kind}"
            # Where time is short, the same way is tuned for both kinds, on the prompts of one.
            tuned_on = _tuned_on(amount, rows, "distinct" if amount.quick else kind)
            if tuned_on == name:
                steps.append(_tuning(job, name, _TUNED[2:6] if amount.quick else _TUNED, rows))
            for way, answer in _ways(job, tuned_on, rows).items():
                if _is_wanted(amount, way):
                    steps.append(_timed(job, name, way, answer, late=_late(way, kind) if amount.quick else 0))
            if _is_wanted(amount, "cache"):
                steps.append(_with_cache(job, name, late=_late("cache", kind) if amount.quick else 0))
    return steps


# The order in which ways are measured where time is short; other parts have numbers between.
_ORDER = {
    "tunegate distinct": 10,
    "tunegate shared": 11,
    "bare loop distinct": 12,
    "bare loop shared": 13,
    "cache distinct": 14,
    "one call distinct": 16,
    "lm-eval distinct": 18,
    "inspect distinct": 26,
    "cache shared": 28,
    "tunegate busy distinct": 30,
    "bare loop busy distinct": 31,
    "one process distinct": 32,
    "lm-eval shared": 34,
    "one call shared": 36,
}


def _tuned_on(amount: Amount, rows: Mapping[str, Any], kind: str) -> str:
    """The smallest set of a kind, of those that are measured now and those on which it was tuned before."""
    known = [
        row.partition(" ")[0]
        for row, figures in rows.items()
        if "/tuning/" in row and f" {kind}/" in row and figures.get("runs")
    ]
    return f"{min([*amount.sizes, *map(int, known)])} {kind}"


def _is_wanted(amount: Amount, way: str) -> bool:
    return not amount.ways or way in amount.ways


def _late(way: str, kind: str) -> int:
    return _ORDER.get(f"{way} {kind}", 50)


def _ways(job: Job, tuned_on: str, rows: Mapping[str, Any]) -> dict[str, Callable[[Job], ResourceUse]]:
    def tuned(each: Job, most_s: float = MOST_S) -> ResourceUse:
        return bare_loop(each, *best_tuned(rows, tuned_on), most_s=most_s)

    ways: dict[str, Callable[[Job], ResourceUse]] = {
        "tunegate": lambda each: gate(each, "--gate-no-cache"),
        "bare loop": tuned,
        "one process": lambda each: gate(each, "--gate-no-cache", "--gate-workers=1"),
        "one call": one_call,
        "tunegate busy": lambda each: _beside_another(lambda: gate(each, "--gate-no-cache")),
        "bare loop busy": lambda each: _beside_another(lambda: tuned(each, _MOST_BUSY_S * len(each.prompts))),
    }
    if job.peers:
        ways |= {"lm-eval": lm_eval, "inspect": inspect}
    return ways


def best_tuned(rows: Mapping[str, Any], name: str) -> tuple[int, int | None]:
    """Rows of a batch and threads with which the script's loop was fastest.

    Args:
        rows: What has been measured, by row.
        name: The set's name.

    Raises:
        FailedRun: The loop has not been tuned.
    """
    took = {
        each: min(figures["wall_s"] for figures in rows[_tuned_row(name, *each)]["runs"])
        for each in _TUNED
        if rows.get(_tuned_row(name, *each), {}).get("runs")
    }
    if not took:
        raise FailedRun("the loop was not tuned")
    return min(took, key=took.__getitem__)


def _tuned_row(name: str, batch: int, threads: int | None) -> str:
    return f"{name}/tuning/{batch} {'each core' if threads is None else threads}"


def _tuning(job: Job, name: str, tried: Sequence[tuple[int, int | None]], rows: Mapping[str, Any]) -> Step:
    """The bare loop's batches and threads, on the smallest set: of fewer cases larger batches are the same.

    Args:
        job: The job.
        name: The set's name.
        tried: Rows of a batch, and threads.
        rows: What has been measured, by row: it is not tried once more.
    """

    def measured() -> Iterator[tuple[str, dict[str, float]]]:
        make_adapter(job)
        for each in tried:
            if not rows.get(_tuned_row(name, *each), {}).get("runs"):
                yield _tuned_row(name, *each), fresh(job, "tuning", bare_loop, *each).figures

    return Step(rows=[_tuned_row(name, *each) for each in tried], run=measured, once=True)


def _timed(job: Job, name: str, way: str, answer: Callable[[Job], ResourceUse], late: int) -> Step:
    def measured() -> Iterator[tuple[str, dict[str, float]]]:
        make_adapter(job)
        try:
            taken = fresh(job, way, answer).figures
        except UnfinishedRun as unfinished:
            yield f"{name}/{way}", {"wall_s": unfinished.wall_s, "unfinished": 1.0}
            return
        kept = replace(job, directory=job.directory / way.replace(" ", "-"))
        alone = job.directory / "one-call.json"
        if way == "one call":
            alone.write_text(json.dumps(other_texts(kept)), encoding="utf-8")
        elif way in {"tunegate", "one process"}:
            texts = job.directory / f"{way.replace(' ', '-')}.json"
            texts.write_text(json.dumps(gated_texts(kept)), encoding="utf-8")
        yield f"{name}/{way}", taken
        yield from _equal_texts(job, name)

    return Step(rows=[f"{name}/{way}"], run=measured, late=late)


def _equal_texts(job: Job, name: str) -> Iterator[tuple[str, dict[str, float]]]:
    """How many texts equal those of one call each, for the ways whose texts are known by now."""
    alone = job.directory / "one-call.json"
    for way in ("tunegate", "one-process"):
        path = job.directory / f"{way}.json"
        if alone.exists() and path.exists():
            wanted, found = (json.loads(each.read_text("utf-8")) for each in (alone, path))
            equal = sum(found.get(case) == text for case, text in wanted.items())
            yield f"{name}/equal/{way.replace('-', ' ')}", {"equal": equal, "of": len(wanted)}
            path.unlink()  # counted once


def _with_cache(job: Job, name: str, late: int) -> Step:
    """The same gate with its own cache: the base alone, with the candidate, again, and scored anew."""
    kept = replace(job, directory=job.directory / "cache")
    rows = [f"{name}/{way}" for way in ("pytest alone", "base alone", "base cached", "unchanged", "rescored")]

    def measured() -> Iterator[tuple[str, dict[str, float]]]:
        make_adapter(job)
        yield rows[0], fresh(job, "plain", _plain_tests).figures
        yield rows[1], fresh(job, "cache", lambda each: gate(each, model=each.base)).figures
        for row in rows[2:4]:
            yield row, gate(kept).figures
        write_project(kept, wanted="[")
        yield rows[4], gate(kept).figures

    return Step(rows=rows, run=measured, late=late)


def _plain_tests(job: Job) -> ResourceUse:
    """As many tests of one line."""
    (job.directory / "test_plain.py").write_text(_PLAIN.format(len(job.prompts)), encoding="utf-8")
    return run([sys.executable, *GATE[:-1], "test_plain.py"], job.directory, statuses=GATED)


def _beside_another(measured: Callable[[], ResourceUse]) -> ResourceUse:
    """While another process keeps a core busy."""
    with subprocess.Popen([sys.executable, "-c", _BUSY]) as busy:
        try:
            return measured()
        finally:
            busy.kill()


def job_for(amount: Amount, cases: int, kind: str) -> Job:
    """The cases of a part, in a directory of their own.

    Args:
        amount: How much is measured.
        cases: How many.
        kind: Of the directory; ``shared`` has one system prompt before all.
    """
    return Job(
        base=resolve_model(amount.base),
        adapter=amount.work / "adapter",
        prompts=prompts_of(cases, shared=kind == "shared"),
        directory=amount.work / f"{cases}-{kind}",
        peers=amount.peers,
        promptfoo=amount.promptfoo,
    )


def make_adapter(job: Job) -> None:
    """Write the job's adapter, if it is not there yet."""
    if not (job.adapter / "adapter_config.json").exists():
        # In a process of its own: this one loads no torch.
        code = "import sys; from pathlib import Path; from benchmarks.generation import make_adapter; "
        code += "make_adapter(sys.argv[1], Path(sys.argv[2]))"
        line = [sys.executable, "-c", code, str(job.base), str(job.adapter)]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FailedRun(f"no adapter was made: {done.stderr.strip()[-300:]}")


def fresh(job: Job, name: str, way: Callable[..., ResourceUse], *given: Any) -> ResourceUse:
    """A way in an empty directory of the job's.

    Args:
        job: The job.
        name: The directory's.
        way: What is measured.
        given: More of its arguments.
    """
    each = replace(job, directory=job.directory / name.replace(" ", "-"))
    shutil.rmtree(each.directory, ignore_errors=True)
    each.directory.mkdir(parents=True)
    return way(each, *given)
