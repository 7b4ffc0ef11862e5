"""How often the gate is wrong, by simulation: the tables of docs/gate.md.

    python benchmarks/gate_errors.py [--runs 2000] [--only alarms|drops|harder|several]

Every figure is a share of simulated runs, each judged by the gate as it is
(`harness.comparison.metric_verdicts.judge_metrics`).
A case that the model answers alike on both sides stays; the others are lost or gained at the rates given.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from unittest import mock

import numpy as np
from simulated_sets import Moves, clustered, few_losses, flips, paired, small_moves

from harness.comparison.metric_verdicts import judge_metrics
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.planning import cases_that_settle
from harness.statistics.power import detectable_drop
from harness.types import GateVerdict

SIZES = (20, 50, 100, 200, 500)
CHURNS = (0.0, 0.02, 0.05, 0.10)
PASS, REGRESS = GateVerdict.PASS, GateVerdict.REGRESS


def verdict_of(metrics: Sequence[PairedMetric], margin: float) -> GateVerdict:
    """The run's verdict: the worst of its metrics'."""
    rows = judge_metrics(metrics, {(metric.set_name, metric.metric): margin for metric in metrics})
    worst = (REGRESS, GateVerdict.INCONCLUSIVE, PASS)
    return next(word for word in worst if any(row.verdict is word for row in rows))


def share(found: Iterable[bool]) -> str:
    """How often something happened, in percent."""
    each = list(found)
    return f"{100 * sum(each) / len(each):.1f} %"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    print(f"\n**{title}**\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def false_alarms(random: np.random.Generator, runs: int) -> None:
    """No change at all, judged by three rules."""
    rules: dict[str, Callable[[Moves], bool]] = {
        "any case lost": lambda drops: bool((drops > 0).any()),
        "mean lower": lambda drops: bool(drops.sum() > 0),
        "gate": lambda drops: verdict_of([paired(drops)], 0.05) is REGRESS,
    }
    rows = [
        [
            name,
            f"{churn:.0%}",
            *(share(rule(flips(random, n, churn, churn)) for _ in range(runs)) for n in SIZES),
        ]
        for churn in CHURNS[1:]
        for name, rule in rules.items()
    ]
    print_table(
        "Nothing changed: called a regression", ["rule", "flips each way", *(f"n={n}" for n in SIZES)], rows
    )


def verdicts_by_drop(random: np.random.Generator, runs: int) -> None:
    """What the gate says of drops inside, at and beyond the margin."""
    rows = []
    for drop in (0.0, 0.05, 0.10, 0.20):
        for n in SIZES:
            found = [verdict_of([paired(flips(random, n, 0.02 + drop, 0.02))], 0.05) for _ in range(runs)]
            rows.append(
                [f"{drop:.2f}", str(n), *(f"{100 * found.count(word) / runs:.1f} %" for word in GateVerdict)]
            )
    print_table("Verdicts, margin 0.05, 2 % flips each way", ["true drop", "n", *GateVerdict], rows)


def several(random: np.random.Generator, n: int, metrics: int, drop: float) -> list[PairedMetric]:
    """Metrics of the same cases: each moves with the first in half of the cases, which alone may drop.

    Args:
        random: Draws the flips, 2 % each way.
        n: Number of cases.
        metrics: Number of metrics.
        drop: Of the first metric.
    """
    first = flips(random, n, 0.02 + drop, 0.02)
    moves = [first]
    for _ in range(metrics - 1):
        moves.append(np.where(random.random(n) < 0.5, first, flips(random, n, 0.02, 0.02)))
    return [paired(each, name=PASS_RATE if not place else f"m{place}") for place, each in enumerate(moves)]


def several_metrics(random: np.random.Generator, runs: int) -> None:
    """How often an equal model passes where several metrics are gated."""
    rows = []
    for metrics in (1, 5, 10):
        for n in (100, 200, 500):
            equal = [verdict_of(several(random, n, metrics, 0.0), 0.05) for _ in range(runs)]
            worse = [verdict_of(several(random, n, metrics, 0.05), 0.05) for _ in range(runs)]
            found = (
                share(word is wanted for word in words)
                for words, wanted in ((equal, PASS), (equal, REGRESS), (worse, PASS), (worse, REGRESS))
            )
            rows.append([str(metrics), str(n), *found])
    print_table(
        "Several metrics, margin 0.05, 2 % flips each way",
        ["metrics", "n", "no change: pass", "regress", "one drops by 0.05: pass", "regress"],
        rows,
    )


def harder_cases(random: np.random.Generator, runs: int) -> None:
    """Clusters, several metrics, graded scores: both errors."""
    groups = [place // 3 for place in range(180)]
    kinds: dict[str, Callable[[float], list[PairedMetric]]] = {
        "60 clusters of 3, alike": lambda drop: [
            paired(clustered(random, 60, 0.02 + drop, 0.02, 1.0), groups)
        ],
        "60 clusters of 3, half alike": lambda drop: [
            paired(clustered(random, 60, 0.02 + drop, 0.02, 0.5), groups)
        ],
        "60 clusters of 3, independent": lambda drop: [
            paired(clustered(random, 60, 0.02 + drop, 0.02, 0.0), groups)
        ],
        "five metrics, n=100": lambda drop: several(random, 100, 5, drop),
        "graded, all move a little, n=60": lambda drop: [paired(small_moves(random, 60, drop), name="f1")],
        "graded, a few break, n=60": lambda drop: [paired(few_losses(random, 60, drop), name="f1")],
        "graded, a few break, n=200": lambda drop: [paired(few_losses(random, 200, drop), name="f1")],
    }
    rows = [
        [
            name,
            share(verdict_of(draw(0.0), 0.10) is REGRESS for _ in range(runs)),
            share(verdict_of(draw(0.10), 0.10) is PASS for _ in range(runs)),
        ]
        for name, draw in kinds.items()
    ]
    print_table(
        "Clusters, several metrics, graded scores; margin 0.10",
        ["kind", "no change: regress", "drop of 0.10: pass"],
        rows,
    )


def detectable() -> None:
    """What a set of so many cases can find, exactly."""
    rows = []
    for n in SIZES:
        drops = [detectable_drop(n, 0.02, 0.05 / metrics, margin=0.05) for metrics in (1, 2, 5)]
        exact = detectable_drop(n, 0.02, 0.05, margin=0.05, mid=False)
        rows.append([str(n), *("none" if drop is None else f"{drop:.3f}" for drop in (*drops, exact))])
    print_table(
        "Drop found in 80 % of runs, margin 0.05, 2 % flips each way",
        ["n", "1 gated metric", "2", "5", "1, exact McNemar"],
        rows,
    )
    rows = [
        [f"{margin:.2f}", *(str(cases_that_settle(churn, churn, margin, 0.05)) for churn in CHURNS)]
        for margin in (0.02, 0.05, 0.10, 0.20)
    ]
    print_table(
        "Cases that settle it in 80 % of runs where nothing changed",
        ["margin", *(f"{churn:.0%} each way" for churn in CHURNS)],
        rows,
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000, help="simulated runs a figure")
    parts: dict[str, Callable[[np.random.Generator, int], None]] = {
        "alarms": false_alarms,
        "drops": verdicts_by_drop,
        "harder": harder_cases,
        "several": several_metrics,
    }
    parser.add_argument("--only", choices=parts, help="one table instead of all")
    chosen = parser.parse_args()
    runs = chosen.runs
    print(f"{runs} runs a figure: a rate of 5 % is known to {100 * (0.05 * 0.95 / runs) ** 0.5:.1f} points.")
    if chosen.only is None:
        detectable()
    # The figures beside a verdict take most of the time, and decide nothing.
    module = "harness.comparison.metric_verdicts"
    with (
        mock.patch(f"{module}.smallest_detectable", return_value=None),
        mock.patch(f"{module}.cases_to_settle", return_value=None),
    ):
        for name, table in parts.items():
            if chosen.only in {None, name}:
                table(np.random.default_rng(20260131), runs)


if __name__ == "__main__":
    main()
