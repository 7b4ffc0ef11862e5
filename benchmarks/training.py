"""Does each training method learn? Held-out figures before and after, on the real base model.

    make bench-trainers          or          python benchmarks/training.py [ROW ...] [--again] [--jobs N]

Each row is trained as a user would, from its configuration in benchmarks/training/, on the device that is
there, then gated with pytest. Rows are kept in benchmarks/training.json with their commit, each as soon as it
is done: what is there, and was measured on a machine of this kind, is not done again unless ``--again`` asks
for it. Takes ten to thirty CPU minutes a row. With ``--jobs`` several rows run at once, and their seconds say
little.
"""

import argparse
import functools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from pathlib import Path
from typing import Any

import yaml

from harness.provenance import ask_git

ROOT = Path(__file__).parents[1]
CONFIGS = Path(__file__).with_name("training")
COLUMNS = {
    "row": "run",
    "steps": "steps",
    "figure": "held-out figure",
    "n": "n",
    "before": "before",
    "after": "after",
    "change": "p of no better, or change",
    "s": "s",
    "cpu_s": "CPU s",
    "gb": "GB",
    "gradients": "gradients",
    "gate": "gate",
    "kept": "general probes kept",
}


@functools.cache
def machine() -> str:
    """The device that is trained on."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), torch {torch.__version__}"


class Bench:
    """Trains, checks and gates rows below one directory."""

    def __init__(self, output: Path, jobs: int, steps: int | None) -> None:
        """Args: output: Directory of results; jobs: Rows at once; steps: In place of each row's own."""
        self.output, self.jobs, self.steps = output, jobs, steps
        self.environment = {
            "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)),
            "TOKENIZERS_PARALLELISM": "false",
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        }

    def answer_with_base(self, golden: Sequence[str]) -> None:
        """Have the base's answers in the cache, where all gates find them."""
        self.gate("smollm2", golden, self.output / "base")

    def row(self, name: str, base_answered: Future[None]) -> dict[str, str]:
        """Train, check and gate a row.

        Args:
            name: Of its configuration.
            base_answered: Done when the cache has the base's answers.
        """
        place = self.output / name
        place.mkdir(parents=True, exist_ok=True)
        adapter = place / "adapter"
        settings = read_config(name)
        seconds, cpu_seconds, resident = self.train(name, settings, place)
        print(f"    {name}: trained in {seconds:.0f} s", file=sys.stderr, flush=True)
        manifest = json.loads((adapter / "training_manifest.json").read_text(encoding="utf-8"))
        wait([base_answered])  # where that failed, the row's own gate says why
        record = self.gate(str(adapter), settings["gate"], place) if settings["gate"] else {}
        kept = record["comparison"]["forgetting"]["overall"] if record else {}
        return {
            "row": name,
            "steps": _steps(adapter, manifest),
            **held_out(manifest, record),
            "s": f"{seconds:.0f}",
            "cpu_s": f"{cpu_seconds:.0f}",
            "gb": f"{_device_memory(adapter) or resident:.1f}",
            "gradients": self.gradients(adapter, place),
            "gate": record["verdict"]["outcome"] if record else "not gated",
            "kept": f"{kept['retained']} of {kept['passed_by_baseline']}" if kept else "–",
            "machine": machine(),
            "dtype": str(manifest["compute_dtype"]),
            "commit": ask_git(ROOT, "rev-parse", "--short", "HEAD") or "unknown",
        }

    def train(self, name: str, settings: Mapping[str, Any], place: Path) -> tuple[float, float, float]:
        """Train as a user does; seconds, CPU seconds, and the process's peak of memory in GB."""
        keys = {key: value for key, value in settings.items() if key not in {"method", "gate"}}
        if self.steps:
            keys = _with_steps(keys, self.steps)
        # A configuration's paths are meant from itself; the copy without our own keys is stored beside it.
        ready = CONFIGS / f".{name}.{os.getpid()}.yaml"
        ready.write_text(yaml.safe_dump(keys), encoding="utf-8")
        module = f"trainers.methods.{settings['method']}"
        try:
            return self.measured(
                ["-m", module, str(ready), "--output", str(place / "adapter")], place / "training.log"
            )
        finally:
            ready.unlink()

    def gate(self, model: str, golden: Sequence[str], place: Path) -> dict[str, Any]:
        """Gate a model with pytest; its record."""
        place.mkdir(parents=True, exist_ok=True)
        file = place / "gate.json"
        file.unlink(missing_ok=True)
        options = [f"--gate-directory={self.output / 'gates'}", f"--gate-json={file}"]
        self.measured(
            ["-m", "pytest", "-p", "no:cacheprovider", f"--model={model}", *options]
            + [f"--gate-golden={path}" for path in golden],
            place / "gate.log",
            # A verdict is a result: pytest's exit status 1 says that cases failed.
            allowed=(0, 1),
        )
        return dict(json.loads(file.read_text(encoding="utf-8")))

    def gradients(self, adapter: Path, place: Path) -> str:
        """The least cosine of its gradients on a 4-bit base; a dash for what has no LoRA matrices."""
        config = adapter / "adapter_config.json"
        if not config.exists() or json.loads(config.read_text(encoding="utf-8"))["peft_type"] != "LORA":
            return "–"
        log = place / "gradients.log"
        self.measured([str(Path(__file__).with_name("adapter_gradients.py")), str(adapter)], log)
        return f"{float(log.read_text(encoding='utf-8').split()[-1]):.3f}"

    def measured(
        self, arguments: Sequence[str], log: Path, allowed: Sequence[int] = (0,)
    ) -> tuple[float, float, float]:
        """Run Python to its end: seconds, CPU seconds, and peak resident memory in GB."""
        started = time.monotonic()
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in allowed:
            raise RuntimeError(f"{' '.join(arguments)}:\n{log.read_text(encoding='utf-8')[-3000:]}")
        return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def read_config(name: str) -> dict[str, Any]:
    """A row's configuration, with the benchmark's own keys: ``method`` and the golden sets of ``gate``."""
    settings = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return {"method": name, "gate": ["golden_sets/general"], **settings}


def _with_steps(keys: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """The same keys with so many steps in each stage."""
    stages = {name: {**value, "max_steps": steps} for name, value in keys.items() if name in _STAGES}
    return {**keys, **(stages or {"max_steps": steps})}


_STAGES = {"sft", "reward", "rloo", "ppo"}


def _steps(adapter: Path, manifest: Mapping[str, Any]) -> str:
    """The optimizer steps, of all stages one after the other."""
    stages = sorted(
        adapter.with_name(f"{adapter.name}.stages").glob("*/training_manifest.json"), key=_time_of
    )
    earlier = [json.loads(path.read_text(encoding="utf-8")) for path in stages]
    return " + ".join(str(len(stage["losses"])) for stage in (*earlier, manifest))


def _time_of(path: Path) -> float:
    return path.stat().st_mtime


def _device_memory(adapter: Path) -> float | None:
    """The most memory of a GPU that a training took in GB; None on a CPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    log = adapter / "training_log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return max((float(json.loads(line).get("memory_gb") or 0) for line in lines), default=None)


def held_out(manifest: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, str]:
    """The figure that says whether the method learnt: of held-out data, or of the gated task."""
    found = manifest.get("held_out")
    if found is None:
        row = next(
            row for row in record["comparison"]["metrics"] if not row["set_name"].startswith("general")
        )
        before, after = (row[side]["mean"] for side in ("baseline", "candidate"))
        # The gate's own p-value is of "no drop"; of "no better" the interval of the drop tells.
        return {
            "figure": f"{row['set_name']} {row['metric']}",
            "n": str(row["n"]),
            "before": _with_interval(before),
            "after": _with_interval(after),
            "change": _rise(row),
        }
    if "change" in found:
        change = found["change"]
        return {
            "figure": "nats per token",
            "n": str(found["n"]),
            "before": f"{found['before_nats_per_token']:.3f}",
            "after": f"{found['after_nats_per_token']:.3f}",
            "change": f"{change['estimate']:+.3f} [{change['low']:+.3f}, {change['high']:+.3f}]",
        }
    return {
        "figure": found.get("figure", "chosen preferred"),
        "n": str(found["n"]),
        "before": _with_interval(found["before"]),
        "after": _with_interval(found["after"]),
        "change": f"{found['p_no_better']:.2g}",
    }


def _rise(row: Mapping[str, Any]) -> str:
    """By how much a metric rose, with its interval, or the cases behind it where only these count."""
    drop = row["drop"]
    # 0 first: minus nothing is written -0.00.
    estimate, low, high = (0 - drop[name] for name in ("estimate", "high", "low"))
    if low == high:
        return f"{estimate:+.2f}: {len(row['gained'])} gained, {len(row['lost'])} lost"
    return f"{estimate:+.2f} [{low:+.2f}, {high:+.2f}]"


def _with_interval(share: Mapping[str, float]) -> str:
    return f"{share['estimate']:.2f} [{share['low']:.2f}, {share['high']:.2f}]"


def table(rows: Mapping[str, Mapping[str, str]], order: Sequence[str]) -> str:
    """The rows as Markdown, below the machines, types of numbers and commits that they were measured with."""
    known = [rows[name] for name in sorted(order, key=_reading_place) if name in rows]
    places = sorted({f"{row['machine']}, {row['dtype']}, commit {row['commit']}" for row in known})
    lines = [*places, "", "| " + " | ".join(COLUMNS.values()) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_cell(key, row.get(key, "–")) for key in COLUMNS) + " |" for row in known]
    return "\n".join(lines)


def _cell(key: str, value: str) -> str:
    return f"`{value}`" if key == "row" else value


def run_rows(bench: Bench, wanted: Sequence[str], rows: dict[str, dict[str, str]], kept: Path) -> list[str]:
    """Do rows, some at a time; keep each as soon as it is done.

    Returns:
        Those that failed, with the end of what their process wrote.
    """
    failed = []
    with ThreadPoolExecutor(max_workers=bench.jobs) as pool:
        golden = sorted({path for name in wanted for path in read_config(name)["gate"]})
        base_answered = pool.submit(bench.answer_with_base, golden)
        under_way = {pool.submit(bench.row, name, base_answered): name for name in wanted}
        for done in as_completed(under_way):
            name = under_way[done]
            try:
                rows[name] = done.result()
            except Exception as error:  # whatever it is, it must not end the other rows
                failed.append(f"{name}: {type(error).__name__}: {error}")
                print(f"==> {name} failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
            kept.write_text(json.dumps(rows, indent=2), encoding="utf-8")
            print(f"==> {name}: {json.dumps(rows[name])}", file=sys.stderr, flush=True)
    return failed


def main() -> int:
    """Bench the wanted rows and print the table."""
    names = sorted((path.stem for path in CONFIGS.glob("[!.]*.yaml")), key=_place)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(names)}; all by default")
    parser.add_argument("--again", action="store_true", help="also what was done before")
    parser.add_argument("--jobs", type=int, default=1, help="rows at once (default: 1)")
    parser.add_argument("--steps", type=int, help="so many steps in place of each row's own, to try it out")
    parser.add_argument("--output", type=Path, default=ROOT / "demo_output" / "training")
    parser.add_argument("--kept", type=Path, help="file of the rows (default: benchmarks/training.json)")
    parser.add_argument("--table", action="store_true", help="print what is there, and do nothing")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.rows if name not in names]:
        parser.error(f"no row {unknown[0]} (allowed: {', '.join(names)})")
    output = arguments.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    # Rows with other steps than their own are no results.
    kept = arguments.kept or (output / "rows.json" if arguments.steps else CONFIGS.with_suffix(".json"))
    rows = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    failed: list[str] = []
    if not arguments.table:
        print(f"{machine()}, {arguments.jobs} at once", file=sys.stderr, flush=True)
        wanted = [
            name
            for name in arguments.rows or names
            if arguments.again or rows.get(name, {}).get("machine") != machine()
        ]
        if wanted:
            failed = run_rows(Bench(output, arguments.jobs, arguments.steps), wanted, rows, kept)
    print(table(rows, names))
    return 1 if failed else 0


_LONGEST_FIRST = ("ppo", "rlhf", "grpo", "rft", "orpo", "kto", "dpo")


_READING = ("sft", "dpo", "kto", "orpo", "reward", "continual", "grpo", "rft", "rlhf", "ppo")


def _reading_place(name: str) -> tuple[int, str]:
    """Methods in the order of the documents, then the kinds of weights."""
    return (_READING.index(name) if name in _READING else len(_READING), name)


def _place(name: str) -> tuple[int, str]:
    """Rows that take longest begin first, so that rows at once end at about one time."""
    return (_LONGEST_FIRST.index(name) if name in _LONGEST_FIRST else len(_LONGEST_FIRST), name)


if __name__ == "__main__":
    sys.exit(main())
