"""This gate and others on cases in clusters, and on runs that may stop early: for docs/gate-evidence.md.

    python benchmarks/gate_modes.py clusters --peers ~/.cache/tunegate-peers [--runs 200] [--only NAME]
    python benchmarks/gate_modes.py looks --peers ~/.cache/tunegate-peers [--runs 200]

Both feed the same simulated runs to every gate, as gates.py does.
"""

import argparse
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from gate_looks import kinds_of_sets
from gates import MARGIN, PEER_GATES, asked_peers
from numpy.typing import NDArray
from simulated_sets import Moves, clustered, judged_by_looks, paired

from harness.comparison.metric_verdicts import judge_metrics
from harness.comparison.pairing import PairedMetric
from harness.types import GateVerdict

WORDS = {GateVerdict.REGRESS: 1, GateVerdict.PASS: 0, GateVerdict.INCONCLUSIVE: -1}
# Sizes of clusters, and how often a whole cluster flips together.
SHAPES = {
    "20 clusters of 5": ([5] * 20, (1.0, 0.5, 0.0)),
    "40 clusters of 5": ([5] * 40, (1.0, 0.5, 0.0)),
    "20 of 2, 10 of 5, 2 of 25": ([2] * 20 + [5] * 10 + [25] * 2, (0.5,)),
}
ALIKE = {1.0: "whole clusters", 0.5: "half", 0.0: "alone"}
CHANGES = {
    "no change": 0.0,
    "−5 points": 0.05,
    "−20 points": 0.2,
    "half of a kind lost": 0.0,
    "−5 points, clusters lost whole": 0.0,
}
# Cases of a set that may stop early.
WATCHED = (
    "100 cases",
    "500 cases",
    "500 cases, 5 % flip each way",
    "166 clusters of 3, alike",
    "graded, all move a little, n=200",
)
COLUMNS = ("evalsig", "evalsig interval", "deltagate interval")
WATCHES = ("evalsig watch", "evalsig watch, rho 8")


def cluster_moves(random: np.random.Generator, change: str, sizes: list[int], together: float) -> Moves:
    """Drops of one run: 5 % flip each way, and the change."""
    moves = clustered(random, len(sizes), 0.05 + CHANGES[change], 0.05, together, sizes)
    if change == "half of a kind lost":
        # A fifth of the clusters is of that kind.
        chances = np.full(len(sizes), 0.1)
    elif change == "−5 points, clusters lost whole":
        # Few large clusters hide it best.
        largest = np.array(sizes) == max(sizes)
        chances = largest * MARGIN * sum(sizes) / np.dot(largest, sizes)
    else:
        return moves
    return np.where(np.repeat(random.random(len(sizes)) < chances, sizes), 1.0, moves)


def shown(verdicts: NDArray[np.int_]) -> str:
    """Fails / passes, in percent."""
    return f"{100 * np.mean(verdicts == 1):.0f} / {100 * np.mean(verdicts == 0):.0f}"


def sides(metrics: list[PairedMetric]) -> NDArray[np.float64]:
    """Both sides' values (2, runs, cases), the baseline's first."""
    return np.array([[each.baseline for each in metrics], [each.candidate for each in metrics]])


def print_clusters(runs: int, peers: Path, only: str) -> None:
    """The table of clusters: one greedy answer a case."""
    found: dict[str, list[PairedMetric]] = {}
    arrays: dict[str, Any] = {}
    for place, (shape, (sizes, shares)) in enumerate(SHAPES.items()):
        groups = np.repeat(np.arange(len(sizes)), sizes)
        for together in shares:
            for number, change in enumerate(CHANGES):
                random = np.random.default_rng([place, int(100 * together), number])
                name = f"{shape} | {ALIKE[together]} | {change}"
                if only not in name:
                    continue
                found[name] = [
                    paired(cluster_moves(random, change, sizes, together), groups.tolist())
                    for _ in range(runs)
                ]
                arrays |= {name: sides(found[name]), f"{name} answers": 1, f"{name} clusters": groups}
    others = asked_peers(peers, arrays)
    columns = (*COLUMNS, *(gate for gate in PEER_GATES if gate not in {*COLUMNS, "paired-eval"}))
    print(f"Fails / passes\n\n| clusters | flip together | change | tunegate | {' | '.join(columns)} |")
    print(f"|---|---|---|{'---|' * (1 + len(columns))}")
    for name, metrics in found.items():
        verdicts = [judge_metrics([each], {("s", each.metric): MARGIN})[0].verdict for each in metrics]
        own = np.array([WORDS[each or GateVerdict.INCONCLUSIVE] for each in verdicts])
        cells = [shown(own), *(shown(others[f"{gate}|{name}"]) for gate in columns)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def print_looks(runs: int, peers: Path, only: str) -> None:
    """The table of runs that may stop: five looks here, evalsig's test after every case."""
    kinds = kinds_of_sets(np.random.default_rng(20261127))
    # All are drawn, so that a row alone has the same runs.
    drawn = {
        f"{name} | {f'drop of {drop:g}' if drop else 'no change'}": [
            kinds[name](drop)[0] for _ in range(runs)
        ]
        for name in WATCHED
        for drop in (0.0, MARGIN, 0.2)
    }
    found = {name: metrics for name, metrics in drawn.items() if only in name}
    arrays: dict[str, Any] = {}
    for name, metrics in found.items():
        before, now = sides(metrics)
        arrays |= {name: before - now, f"{name} answers": -1}
    others = asked_peers(peers, arrays)
    print(f"Fails / passes, answered\n\n| set | change | tunegate, 5 looks | {' | '.join(WATCHES)} |")
    print(f"|---|---|{'---|' * (1 + len(WATCHES))}")
    for name, metrics in found.items():
        own = [judged_by_looks([each], MARGIN, 5) for each in metrics]
        results = [(np.array([WORDS[verdict] for verdict, _ in own]), [share for _, share in own])]
        for gate in WATCHES:
            verdicts, read = others[f"{gate}|{name}"].T
            results.append((verdicts, (read / len(metrics[0].keys)).tolist()))
        cells = [f"{shown(verdicts)}, {np.mean(shares):.0%}" for verdicts, shares in results]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the chosen table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tables = {"clusters": print_clusters, "looks": print_looks}
    parser.add_argument("table", choices=tables)
    parser.add_argument("--peers", type=Path, required=True, help="environment of the other gates")
    parser.add_argument("--runs", type=int, default=200, help="simulated runs a figure")
    parser.add_argument("--only", default="", help="the rows with this in their names")
    chosen = parser.parse_args()
    # The figures beside a verdict take most of the time, and decide nothing.
    module = "harness.comparison.metric_verdicts"
    with (
        mock.patch(f"{module}.smallest_detectable", return_value=None),
        mock.patch(f"{module}.smallest_detectable_of_clusters", return_value=None),
        mock.patch(f"{module}.cases_to_settle", return_value=None),
    ):
        tables[chosen.table](chosen.runs, chosen.peers, chosen.only)


if __name__ == "__main__":
    main()
