"""How fast gates are beside what they replace, measured in one run; writes docs/performance.md.

    python -m benchmarks.performance [--quick] [--repeats 5] [--sizes 64 256] [--only PART]
        [--peers PYTHON] [--promptfoo EXECUTABLE]

Parts: ``start`` (what starting costs), ``judge`` (the share of a judge's ideal time), ``scale`` (1 000 to
100 000 cases with made-up answers), ``speed`` (base and adapter of SmolLM2 on 64 and 256 cases, with
distinct prompts and with one system prompt), ``served`` (others that ask our server), ``training`` (a bare
TRL script), ``workers`` (a Ray cluster) and ``profile`` (where the time goes). PYTHON has lm-eval and
inspect_ai beside torch, transformers and peft, EXECUTABLE is that of promptfoo (``make peers`` installs all
of them); without them their rows are left out. ``--ways tunegate 'bare loop'`` measures these ways of
``speed`` alone, so that the slow ones can be measured less often: the page says how often each was.
``--quick`` measures each once and begins nothing new after 24 minutes; the whole takes a night.

All ways take turns in every repetition. Each figure is kept in benchmarks/performance.json as soon as it is
measured, and the page is written again: an interrupted run keeps what it has, and the same command goes on
where it ended, unless the machine or the code that takes a part's time has changed (``performance_code.py``;
figures of other programs stay, where only ours has changed). A way that fails is named on the page; the
others go on.
"""

import argparse
import json
import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.performance_code import code_of, is_of_others
from benchmarks.performance_page import page
from benchmarks.performance_parts import PARTS
from benchmarks.performance_ways import KINDS, Amount, FailedRun, Step
from harness.provenance import ask_git

ROOT = Path(__file__).parents[1]
MEASURED, PAGE = ROOT / "benchmarks" / "performance.json", ROOT / "docs" / "performance.md"
QUICK_MINUTES = 24.0
# By /proc/cpuinfo, the widest first.
_WIDTHS = {"amx_tile": "AMX", "avx512_bf16": "AVX512-BF16", "avx512f": "AVX512", "avx2": "AVX2"}


def main() -> None:
    """Measure the parts, keep the figures, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256], help="cases of the part speed")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="prompts of the part speed")
    parser.add_argument("--ways", nargs="+", default=[], help="ways of the part speed (default: all)")
    parser.add_argument("--scale", type=int, nargs="+", help="cases of the part scale")
    parser.add_argument("--only", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--promptfoo", metavar="EXECUTABLE")
    parser.add_argument("--minutes", type=float, help="begin nothing new after so many")
    parser.add_argument("--base", default="smollm2", help="another model's figures need --output too")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where figures and page are written")
    parser.add_argument("--again", action="store_true", help="measure also what has been measured")
    asked = parser.parse_args()
    minutes = asked.minutes or (QUICK_MINUTES if asked.quick else None)
    amount = Amount(
        quick=asked.quick,
        sizes=tuple(asked.sizes[:1] if asked.quick else asked.sizes),
        scale=tuple(asked.scale or ((1000, 100_000) if asked.quick else (1000, 10_000, 100_000))),
        base=asked.base,
        kinds=tuple(asked.kinds),
        ways=tuple(asked.ways),
        peers=asked.peers,
        promptfoo=asked.promptfoo,
        work=(asked.output or ROOT / ".tunegate").resolve() / "performance",
    )
    if asked.base != "smollm2" and not asked.output:
        parser.error("--base: give --output too, so that the page stays that of smollm2")
    measured, page_path = MEASURED, PAGE
    if asked.output:
        asked.output.mkdir(parents=True, exist_ok=True)
        measured, page_path = asked.output / MEASURED.name, asked.output / PAGE.name
    store = Store(measured, page_path, again=asked.again)
    until = None if minutes is None else time.monotonic() + 60 * minutes
    steps = [(part, step) for part in asked.only for step in PARTS[part](amount, store.rows_of(part))]
    # What only says more of what is known comes last, where time is short.
    steps.sort(key=lambda each: each[1].late)
    for repeat in range(1 if asked.quick else asked.repeats):
        for part, step in steps:
            measure(store, part, step, repeat, until)
    print(f"written to {page_path}", flush=True)


def measure(store: "Store", part: str, step: Step, repeat: int, until: float | None) -> None:
    """Measure a step's rows unless they have been, and keep each at once.

    Args:
        store: Where figures are kept.
        part: The part's name.
        step: What is measured.
        repeat: How many figures of each row were wanted before.
        until: When nothing new begins any more, by the monotonic clock; None for never.
    """
    if all(store.count(part, row) > (0 if step.once else repeat) for row in step.rows):
        return
    if until is not None and time.monotonic() > until:
        print(f"{part}: no time for {', '.join(step.rows)}", flush=True)
        return
    began, load = time.monotonic(), os.getloadavg()[0]
    try:
        for row, figures in step.run():
            store.keep(part, row, {**figures, "load": round(load, 1)})
            said = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
            print(f"{part} {row:44} {said}  ({time.monotonic() - began:.0f} s)", flush=True)
    except (FailedRun, OSError, ValueError, KeyError, ImportError, subprocess.SubprocessError) as error:
        reason = f"{type(error).__name__}: {error}"
        for row in step.rows:
            if store.count(part, row) <= repeat:
                store.fail(part, row, reason)
        print(f"{part} {', '.join(step.rows)}: failed: {reason}", flush=True)


class Store:
    """The figures by part and row, in a file that is written after each one."""

    def __init__(self, path: Path, page_path: Path, *, again: bool) -> None:
        """Read what was measured before.

        Args:
            path: The file.
            page_path: The page that is made of it.
            again: Begin parts that are measured anew, whatever was measured before.
        """
        self._path, self._page, self._again = path, page_path, again
        self._found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        self._begun: set[str] = set()
        self._machine = machine()
        self._version = revision()

    def rows_of(self, part: str) -> dict[str, Any]:
        """The rows of a part: none of elsewhere, and of ours only those of this code."""
        if part not in self._begun:
            self._begun.add(part)
            known = self._found.get(part, {})
            where = {"machine": self._machine, "code": code_of(part, ROOT)}
            rows = known.get("rows", {}) if known.get("machine") == self._machine and not self._again else {}
            if known.get("code") != where["code"]:
                rows = {row: each for row, each in rows.items() if is_of_others(row)}
            self._found[part] = {**where, "rows": rows}
        rows: dict[str, Any] = self._found[part]["rows"]
        return rows

    def count(self, part: str, row: str) -> int:
        """How often a row was measured."""
        return len(self.rows_of(part).get(row, {}).get("runs", ()))

    def keep(self, part: str, row: str, figures: dict[str, float]) -> None:
        """Keep a row's figures.

        Args:
            part: The part.
            row: The row.
            figures: By name.
        """
        known = self.rows_of(part).setdefault(row, {})
        known.pop("failed", None)
        rounded = {name: round(value, 3) for name, value in figures.items()}
        known.setdefault("runs", []).append(rounded)
        if not is_of_others(row) and self._version not in known.setdefault("versions", []):
            known["versions"].append(self._version)
        self._write()

    def fail(self, part: str, row: str, reason: str) -> None:
        """Keep why a row could not be measured.

        Args:
            part: The part.
            row: The row.
            reason: What went wrong.
        """
        self.rows_of(part).setdefault(row, {})["failed"] = reason.replace(str(ROOT), ".")
        self._write()

    def _write(self) -> None:
        for path, text in (
            (self._path, json.dumps(self._found, indent=1) + "\n"),
            (self._page, page(self._found)),
        ):
            path.with_suffix(".new").write_text(text, encoding="utf-8")
            path.with_suffix(".new").replace(path)


def machine() -> str:
    """The processor, its widest vectors, the cores that may be used, and versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line for line in cpuinfo.read_text("utf-8").splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
        flags = {
            word
            for line in cpuinfo.read_text("utf-8").splitlines()
            if line.startswith("flags")
            for word in line.split()
        }
        # Processors of one name differ by twice as much as any of our changes.
        widest = next((each for flag, each in _WIDTHS.items() if flag in flags), "")
        name += f" ({widest})" if widest else ""
    packages = ", ".join(f"{package} {_version(package)}" for package in ("torch", "transformers", "peft"))
    return f"{cores} cores of {name}, Python {platform.python_version()}, {packages}"


def revision() -> str:
    """The commit that is measured, with a mark where the code differs from it."""
    changed = ask_git(ROOT, "status", "--porcelain", "--", "harness", "reports", "trainers", "tunegate")
    return (ask_git(ROOT, "rev-parse", "--short=8", "HEAD") or "no commit") + " with changes" * bool(changed)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


if __name__ == "__main__":
    main()
