"""How often a gate with several looks is wrong, and how much it answers, by simulation.

    python benchmarks/gate_looks.py [--runs 1000] [--looks 5] [--only NAME]

Every figure is a share of simulated runs, judged look by look by the gate as it is
(`harness.comparison.metric_verdicts.judge`), as a session stops it: at a regression, or when every metric
passes at one look. The first table compares `tunegate power`'s own figure with it.
"""

import argparse
from collections.abc import Callable
from unittest import mock

import numpy as np
from gate_errors import print_table
from simulated_sets import clustered, few_losses, flips, judged_by_looks, paired, small_moves

from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.detectable_drops import Flips
from harness.statistics.looks import look_chances
from harness.types import GateVerdict

PASS, REGRESS = GateVerdict.PASS, GateVerdict.REGRESS
Draw = Callable[[float], list[PairedMetric]]


def kinds_of_sets(random: np.random.Generator) -> dict[str, Draw]:
    """Sets of 500 cases and less, each a function of the true drop of its first metric."""
    groups = [place // 3 for place in range(498)]

    def several(count: int) -> Draw:
        def draw(drop: float) -> list[PairedMetric]:
            unchanged = flips(random, 500, 0.02, 0.02)
            lost = (unchanged == 0) & (random.random(500) < drop / 0.96)
            moves = np.where(lost, 1.0, unchanged)
            others = [
                np.where(random.random(500) < 0.5, unchanged, flips(random, 500, 0.02, 0.02))
                for _ in range(count - 1)
            ]
            return [
                paired(each, name=PASS_RATE if not place else f"m{place}")
                for place, each in enumerate([moves, *others])
            ]

        return draw

    def together(share: float) -> Draw:
        return lambda drop: [paired(clustered(random, 166, 0.02 + drop, 0.02, share), groups)]

    return {
        "100 cases": lambda drop: [paired(flips(random, 100, 0.02 + drop, 0.02))],
        "500 cases": lambda drop: [paired(flips(random, 500, 0.02 + drop, 0.02))],
        "500 cases, 5 % flip each way": lambda drop: [paired(flips(random, 500, 0.05 + drop, 0.05))],
        "166 clusters of 3, alike": together(1.0),
        "166 clusters of 3, half alike": together(0.5),
        "166 clusters of 3, independent": together(0.0),
        "five metrics, n=500": several(5),
        "graded, all move a little, n=200": lambda drop: [paired(small_moves(random, 200, drop), name="f1")],
        "graded, a few break, n=500": lambda drop: [paired(few_losses(random, 500, drop), name="f1")],
    }


def errors(random: np.random.Generator, runs: int, looks: int, margin: float, only: str) -> None:
    """Both errors, and the answered share, for no change, a drop at the margin, and a harmful adapter."""
    rows = []
    for name, draw in kinds_of_sets(random).items():
        if only not in name:
            continue
        cells = []
        for drop in (0.0, margin, 0.2):
            found = [judged_by_looks(draw(drop), margin, looks) for _ in range(runs)]
            verdicts = [verdict for verdict, _ in found]
            cells += [
                f"{verdicts.count(PASS) / runs:.1%} / {verdicts.count(REGRESS) / runs:.1%}",
                f"{np.mean([share for _, share in found]):.0%}",
            ]
        rows.append([name, *cells])
    header = [
        *("set", "no change: passes / regresses", "answered"),
        *(f"drop of {margin}: passes / regresses", "answered", "drop of 0.2: passes / regresses", "answered"),
    ]
    print_table(f"{looks} looks, margin {margin}", header, rows)


def planned(random: np.random.Generator, runs: int, looks: int) -> None:
    """The share that `tunegate power` prints, beside the gate's own."""
    rows = []
    for n, drop in ((200, 0.0), (500, 0.0), (500, 0.2)):
        found = [
            judged_by_looks([paired(flips(random, n, 0.02 + drop, 0.02))], 0.05, looks) for _ in range(runs)
        ]
        expected = look_chances(
            (1.0,) * n, Flips(lose=0.02 + drop, gain=0.02, alike=0.0), 0.05, 0.05, margin=0.05, looks=looks
        )
        verdicts = [verdict for verdict, _ in found]
        rows.append(
            [
                *(str(n), str(drop), f"{expected.passes:.1%} / {expected.regress:.1%}"),
                f"{verdicts.count(PASS) / runs:.1%} / {verdicts.count(REGRESS) / runs:.1%}",
                *(f"{expected.share:.0%}", f"{np.mean([share for _, share in found]):.0%}"),
            ]
        )
    header = ["n", "true drop", "planned passes / regresses", "found", "planned share", "found"]
    print_table("What `tunegate power` says of looks", header, rows)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="simulated runs a figure")
    parser.add_argument("--looks", type=int, default=5)
    parser.add_argument("--only", default="", help="the sets with this in their names, without the plans")
    chosen = parser.parse_args()
    random = np.random.default_rng(20261126)
    runs = chosen.runs
    print(f"{runs} runs a figure: a rate of 5 % is known to {100 * (0.05 * 0.95 / runs) ** 0.5:.1f} points.")
    # The figures beside a verdict take most of the time, and decide nothing.
    module = "harness.comparison.metric_verdicts"
    with (
        mock.patch(f"{module}.smallest_detectable", return_value=None),
        mock.patch(f"{module}.cases_to_settle", return_value=None),
    ):
        if not chosen.only:
            planned(random, runs, chosen.looks)
        errors(random, runs, chosen.looks, 0.05, chosen.only)


if __name__ == "__main__":
    main()
