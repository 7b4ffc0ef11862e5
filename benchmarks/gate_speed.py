"""How long the whole gate takes for two large runs: processor time and memory, no model involved.

    python benchmarks/gate_speed.py [--cases 10000] [--clusters 4000] [--repeats 5]

Two runs of one set with a pass rate and four graded metrics, all gated, with random answers: of single
cases, of cases in clusters, both as the last of five looks, and both with a tenth of the passed cases lost,
whose common traits are then looked for among the words of prompts and answers. Each is measured in a process
of its own, from the two runs to the verdict (`harness.comparison.gate.run_gate`): pairing, judging, slices
and findings; the least of several such processes in turn counts, since other programs only add to a time.
The aim is 5 s and 500 MB for 10 000 cases, also at a look.
"""

import argparse
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from harness.comparison.gate import run_gate
from harness.comparison.pairing import scored_metrics
from harness.golden.schema import CHECK_TYPES
from harness.statistics.spending import even_looks
from harness.types import (
    CaseResult,
    Completion,
    Environment,
    ExecutionPlan,
    GateSettings,
    GoldenCase,
    GoldenSet,
    Message,
    ModelRef,
    Outcome,
    Run,
    Score,
    SetLooks,
)

SCORES = ("rouge-l", "f1", "bleu", "chrf")
LOOKS = 5
LOST = 0.1
# Of a text, and of the language: a word's frequency falls with its rank, as in any language.
WORDS, VOCABULARY = 25, 20_000


def texts(count: int, random: np.random.Generator) -> list[str]:
    """Texts of words, some of which are in most of them and many in few."""
    ranks = random.zipf(1.3, (count, WORDS)) % VOCABULARY
    return [" ".join(f"w{rank:x}" for rank in row) for row in ranks]


def results(
    cases: int, clusters: int, random: np.random.Generator, moved: float, lost: float | None
) -> tuple[CaseResult, ...]:
    """Answers of one model: nine of ten pass, and scores are those of a fixed draw, moved at random.

    Args:
        cases: Number of cases.
        clusters: Number of clusters; 0: independent cases.
        random: Draws the answers.
        moved: Standard deviation of a score's move.
        lost: Share of the cases that fail of those that pass in both runs; None: each run passes its own.
    """
    fixed = np.random.default_rng(0)
    groups = fixed.integers(0, max(clusters, 1), cases)
    scores = np.clip(
        fixed.random((cases, len(SCORES))) + moved * random.normal(0, 1, (cases, len(SCORES))), 0, 1
    )
    passed = (random if lost is None else fixed).random(cases) < 0.9
    passed &= random.random(cases) >= (lost or 0.0)
    prompts, answers = texts(cases, fixed), texts(cases, random)
    return tuple(
        CaseResult(
            case=GoldenCase(
                id=f"case-{place}",
                set_name="s",
                messages=(Message(role="user", content=prompts[place]),),
                tags=(f"tag-{place % 7}",),
                cluster=f"cluster-{groups[place]}" if clusters else None,
            ),
            completion=Completion(
                text=answers[place], stop_reason="stop", prompt_tokens=30, completion_tokens=30, latency_s=0.1
            ),
            scores=tuple(
                Score(metric=name, value=float(value))
                for name, value in zip(SCORES, scores[place], strict=True)
            ),
            outcome=Outcome.PASSED if passed[place] else Outcome.FAILED,
        )
        for place in range(cases)
    )


def run_of(name: str, made: tuple[CaseResult, ...], looks: tuple[SetLooks, ...]) -> Run:
    """A run of these results, whose set gates all metrics."""
    gates = GateSettings(margin=0.05, metric_margins=dict.fromkeys(SCORES, 0.05))
    return Run(
        id=name,
        started_at="2026-01-31T12:00:00+00:00",
        duration_s=1.0,
        model=ModelRef(label=name, base_model="tiny", base_sha256="0" * 64),
        plan=ExecutionPlan(engine="transformers", dtype="bfloat16", device="cpu", batch_tokens=2048),
        environment=Environment(python="3.11", platform="Linux", packages={}),
        golden_sets=(GoldenSet(name="s", path="s.yaml", gate=gates),),
        collected=len(made),
        results=made,
        looks=looks,
        metrics={metric: CHECK_TYPES[metric].facts for metric in scored_metrics(made)},
    )


def measure(cases: int, clusters: int, looks: int, lost: float) -> None:
    """Judge two runs and print seconds, the peak memory in MB, and what they are of.

    Args:
        cases: Number of cases.
        clusters: Number of clusters; 0: independent cases.
        looks: Number of looks, of which it is the last.
        lost: Share of the passed cases that the candidate fails.
    """
    random = np.random.default_rng(1)
    sides = [(0.0, 0.0 if lost else None), (0.1, lost or None)]
    before, now = (results(cases, clusters, random, moved, fall) for moved, fall in sides)
    at = SetLooks(
        set_name="s", look=looks, planned=looks, fractions=even_looks(looks), cases=cases, answered=cases
    )
    runs = run_of("now", now, (at,) if looks > 1 else ()), run_of("before", before, ())
    started = time.process_time()
    comparison, _ = run_gate(*runs)
    took_s = time.process_time() - started
    assert sum(row.verdict is not None for row in comparison.metrics) == 1 + len(SCORES)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    of = f"in {clusters} clusters" if clusters else "independent"
    of += f", the last of {looks} looks," if looks > 1 else ""
    of += f", {lost:.0%} lost," if lost else ""
    print(took_s, peak_mb, f"{cases} cases {of} × 5 metrics", sep="\t")


def main() -> None:
    """Measure each kind in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--clusters", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", nargs=3, type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        clusters, looks, lost = chosen.measure
        measure(chosen.cases, int(clusters), int(looks), lost)
        return
    kinds = [(clusters, looks, 0.0) for looks in (1, LOOKS) for clusters in (0, chosen.clusters)]
    kinds += [(0, 1, LOST), (chosen.clusters, 1, LOST)]
    found: dict[str, list[tuple[float, float]]] = {}
    for kind in kinds * chosen.repeats:
        asked = ["--cases", str(chosen.cases), "--measure", *map(str, kind)]
        done = subprocess.run(
            [sys.executable, str(Path(__file__)), *asked], check=True, stdout=subprocess.PIPE, text=True
        )
        took_s, peak_mb, what = done.stdout.strip().split("\t")
        found.setdefault(what, []).append((float(took_s), float(peak_mb)))
    print(f"One core of {platform.processor() or platform.machine()}, Python {platform.python_version()}\n")
    print("| two runs | processor time, s | peak memory, MB |\n|---|---|---|")
    for what, measured in found.items():
        print(f"| {what} | {min(measured)[0]:.1f} | {max(each for _, each in measured):.0f} |")


if __name__ == "__main__":
    main()
