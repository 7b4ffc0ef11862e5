"""Does the gate keep its word on a real model? The figures of docs/gate-evidence.md that no simulation makes.

    python benchmarks/real_gate.py [--reruns 20] [--only reruns|strengths] [--answers float32|bfloat16|drawn]

*Reruns*: one adapter answers the golden sets again and again with other batches (and, where answers are
drawn, other seeds); each rerun is gated against the one before it. Nothing changed, so none may regress.

*Strengths*: a harmful adapter's update is scaled down, and each strength gated against the base. Then the
probes' paired outcomes are drawn again, n families at a time, 100 times: the drop is then known exactly, and
how often the gate should find it is compared with how often it does.

Trains the demo's two adapters first, if they are not there (about five minutes on two cores).
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from gate_errors import print_table
from simulated_sets import paired

from harness.comparison.gate import run_gate
from harness.comparison.metric_verdicts import judge_metrics
from harness.comparison.pairing import PASS_RATE, PairedMetric, pair_runs, paired_metrics
from harness.engines.base import CANDIDATE
from harness.engines.open import base_of, choose_plan, describe_model
from harness.golden.load import golden_files, load_golden_set
from harness.provenance import describe_environment
from harness.run.cache import Cache
from harness.run.conclusion import answered_run
from harness.run.generation import answer_cases
from harness.run.scoring import score_cases
from harness.statistics.clusters import Units
from harness.statistics.detectable_drops import Flips, alike_of, verdict_chances
from harness.types import (
    ExecutionPlan,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    MetricComparison,
    ModelRef,
    Run,
)
from harness.types.golden import ALPHA, PROBE_MARGIN

ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "demo_output" / "real_gate"
# Of samples, in families of probes.
SIZES = (40, 80)
DRAWS = 100
# How answers come about, their type of numbers, and the temperature.
MODES = {
    "float32": ("greedy, float32", "float32", 0.0),
    "bfloat16": ("greedy, bfloat16", "bfloat16", 0.0),
    "drawn": ("drawn at temperature 0.7, float32", "float32", 0.7),
}
STRENGTHS = (0.5, 0.25, 0.1)
# Token budgets of a batch: each rerun meets other neighbours and other padding.
BUDGETS = (4096, 2048, 3072, 1433, 2457)
# The orders' 22 sentence patterns can't exclude a drop of 5 points; this they can.
ORDERS_MARGIN = 0.15


def trained(name: str) -> Path:
    """One of the demo's adapters, trained if it isn't there."""
    adapter = OUTPUT / name
    if not (adapter / "adapter_config.json").exists():
        config = ROOT / "examples" / "orders" / {"good": "sft.yaml", "harmful": "harmful.yaml"}[name]
        print(f"==> training the {name} adapter", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "trainers.methods.sft", str(config), "--output", str(adapter)]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return adapter


def scaled(adapter: Path, strength: float) -> Path:
    """The adapter with its update times ``strength``: LoRA's scale is alpha / r."""
    copy = OUTPUT / f"{adapter.name}-{strength:g}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(adapter, copy)
    path = copy / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["lora_alpha"] *= strength
    path.write_text(json.dumps(config), encoding="utf-8")
    return copy


def answered(
    model: ModelRef,
    plan: ExecutionPlan,
    sets: Sequence[GoldenSet],
    *,
    temperature: float = 0.0,
    seed: int = 0,
) -> Run:
    """One run over the sets, asked anew and not from a cache."""
    cases = [case for golden_set in sets for case in golden_set.cases]
    asked = [drawn(case, temperature, seed) for case in cases]
    answers = answer_cases({CANDIDATE: model}, plan, asked, Cache(None), lambda *_: None)[CANDIDATE]
    return answered_run(
        model,
        answers,
        score_cases(cases, answers.completions),
        sets,
        describe_environment(ROOT),
        started_at=datetime.now(UTC),
        duration_s=0.0,
        collected=len(cases),
    )


def drawn(case: GoldenCase, temperature: float, seed: int) -> GoldenCase:
    """The case as it is asked in one rerun."""
    return replace(case, generation=replace(case.generation, temperature=temperature, seed=seed))


def reruns(sets: Sequence[GoldenSet], count: int, only: str | None) -> None:
    """One adapter against itself."""
    model = describe_model(str(trained("good")))
    rows = []
    for name, (mode, dtype, temperature) in MODES.items():
        if only not in {None, name}:
            continue
        # Without chance and rounding nothing can differ: a few reruns show that.
        again = count if name != "float32" else min(count, 3)
        runs = []
        for number in range(again + 1):
            plan = choose_plan(dtype, "auto", BUDGETS[number % len(BUDGETS)], [model])
            runs.append(answered(model, plan, sets, temperature=temperature, seed=number))
            print(f"    {mode}: {number + 1} of {again + 1}", file=sys.stderr, flush=True)
        gates = [run_gate(later, earlier, margin=ORDERS_MARGIN) for earlier, later in pairwise(runs)]
        for golden_set in sets:
            rates = [
                row
                for comparison, _ in gates
                for row in comparison.metrics
                if (row.set_name, row.metric) == (golden_set.name, PASS_RATE)
            ]
            flipped = [len(row.lost) + len(row.gained) for row in rates]
            verdicts = [row.verdict for row in rates if row.verdict is not None]
            rows.append(
                [mode, golden_set.name, str(rates[0].n), f"{min(flipped)}–{max(flipped)}", *counted(verdicts)]
            )
        rows.append([mode, "whole run", "", "", *counted([verdict.outcome for _, verdict in gates])])
    print_table(
        f"One adapter against itself, each rerun against the one before; margins {ORDERS_MARGIN:.2f} and "
        f"{PROBE_MARGIN:.2f}",
        ["answers", "set", "n", "flips", *GateVerdict],
        rows,
    )


def counted(verdicts: Iterable[GateVerdict]) -> list[str]:
    """How often each verdict was given."""
    found = Counter(verdicts)
    return [str(found[word]) for word in GateVerdict]


def strengths(sets: Sequence[GoldenSet]) -> None:
    """A harmful adapter at several strengths against its base, as it is and by samples of its probes."""
    probes = [golden_set for golden_set in sets if golden_set.probes_forgetting]
    harmful = trained("harmful")
    models = {strength: describe_model(str(scaled(harmful, strength))) for strength in STRENGTHS}
    base = base_of(models[STRENGTHS[0]])
    assert base is not None
    plan = choose_plan("float32", "auto", 4096, [base])
    before = answered(base, plan, probes)
    whole, sampled = [], []
    for strength, model in models.items():
        now = answered(model, plan, probes)
        comparison, verdict = run_gate(now, before)
        row = next(row for row in comparison.metrics if row.metric == PASS_RATE)
        assert row.minimum_detectable_drop is not None
        whole.append(
            [
                f"{strength:g}",
                f"{len(row.lost)} lost, {len(row.gained)} gained of {row.n}",
                f"{row.drop.estimate:+.3f} [{row.drop.low:+.3f}, {row.drop.high:+.3f}]",
                f"{row.minimum_detectable_drop:.2f}",
                str(verdict.outcome),
            ]
        )
        metric = next(each for each in paired_metrics(pair_runs(now, before)) if each.metric == PASS_RATE)
        sampled += [sample(strength, metric, n) for n in SIZES]
    print_table(
        "A harmful adapter's update, scaled, against its base",
        ["strength", "probes", "drop", "detectable", "verdict"],
        whole,
    )
    print_table(
        f"The probes' families drawn n at a time, {DRAWS} times, margin {PROBE_MARGIN:.2f}",
        ["strength", "true drop", "families", "detectable (median)", "regress, predicted", *GateVerdict],
        sampled,
    )


def sample(strength: float, metric: PairedMetric, n: int) -> list[str]:
    """Verdicts on samples of n whole families: with replacement, so that each is an independent draw."""
    families = [
        [drop for drop, cluster in zip(metric.drops, metric.clusters, strict=True) if cluster == name]
        for name in dict.fromkeys(metric.clusters)
    ]
    random = np.random.default_rng(0)
    drawn_families = [
        [families[place] for place in random.integers(len(families), size=n)] for _ in range(DRAWS)
    ]
    rows = [judged_sample(drawn) for drawn in drawn_families]
    printed = [row.minimum_detectable_drop for row in rows if row.minimum_detectable_drop is not None]
    found = Counter(row.verdict for row in rows)
    units = Units(sums=tuple(map(sum, families)), sizes=tuple(float(len(family)) for family in families))
    drops = np.array(metric.drops)
    flips = Flips(lose=float((drops > 0).mean()), gain=float((drops < 0).mean()), alike=alike_of(units))
    sizes = [float(len(family)) for family in drawn_families[0]]
    power = verdict_chances(sizes, flips, ALPHA, margin=PROBE_MARGIN, passing=False).regress
    return [
        f"{strength:g}",
        f"{drops.mean():.3f}",
        str(n),
        f"{np.median(printed):.2f}" if printed else "none",
        f"{power:.0%}",
        *(f"{found[word] / DRAWS:.0%}" for word in GateVerdict),
    ]


def judged_sample(families: Sequence[Sequence[float]]) -> MetricComparison:
    """The gate's row for the drops of some families."""
    clusters = [place for place, family in enumerate(families) for _ in family]
    drops = np.array([drop for family in families for drop in family])
    return judge_metrics([paired(drops, clusters)], {("s", PASS_RATE): PROBE_MARGIN})[0]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reruns", type=int, default=20)
    parser.add_argument("--only", choices=("reruns", "strengths"))
    parser.add_argument("--answers", choices=tuple(MODES), help="only these reruns")
    parser.add_argument("--golden", type=Path, action="append", help="only these golden sets")
    arguments = parser.parse_args()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    sets = [load_golden_set(path) for path in golden_files(arguments.golden)]
    if arguments.only != "reruns":
        strengths(sets)
    if arguments.only != "strengths":
        reruns(sets, arguments.reruns, arguments.answers)


if __name__ == "__main__":
    main()
