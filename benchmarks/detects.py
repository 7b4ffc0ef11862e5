"""How often the printed drop is found: the table of docs/decisions/0012.

    python benchmarks/detects.py [--sets 600] [--only NAME]

Of each shape so many data sets without a change are compared, and each prints the drop that it detects. Of
further ones it is searched from which drop on the gate calls each a regression
(`harness.comparison.metric_drop.compare_metric`). So the table says how often the middle printed drop is
found, and how often the drop that one data set prints: they vary with the spread that it happens to show.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unittest import mock

import numpy as np
from gate_errors import print_table

from harness.comparison.metric_drop import compare_metric, smallest_detectable
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.paired_binary import Trials

LEVEL = 0.05
# Standard deviation of a score's change.
SPREAD = 0.2
# Of the drop from which a data set regresses.
PRECISION = 0.002
# Resamples of those that only tell whether they regress; what is printed has all.
RESAMPLES = 999

# The metric if all cases fall by an amount; and the mean drop that this is.
Drawn = tuple[Callable[[float], PairedMetric], Callable[[float], float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A kind of data set.

    Attributes:
        draw: One of them.
        margin: Largest tolerated drop.
    """

    draw: Callable[[np.random.Generator], Drawn]
    margin: float


def metric(  # what a comparison knows of a metric
    name: str,
    kind: str,
    before: np.ndarray,
    after: np.ndarray,
    sizes: Sequence[int],
    trials: Sequence[Trials] = (),
    parts: int = 1,
) -> PairedMetric:
    """One metric's values, in clusters of these sizes."""
    clusters = np.repeat(np.arange(len(sizes)), sizes).tolist()
    log = name == "perplexity"
    return PairedMetric(
        set_name="s",
        metric=name,
        kind=kind,  # type: ignore[arg-type]
        keys=tuple(f"s/{place}" for place in range(before.size)),
        candidate=tuple(after.tolist()),
        baseline=tuple(before.tolist()),
        clusters=tuple(clusters),
        light_tails=log,
        logarithmic=log,
        most=np.inf if log else 1.0,
        least=-np.inf if log else 0.0,
        trials=tuple(trials),
        parts=((parts, parts),) * before.size if parts > 1 else (),
    )


def graded(sizes: Sequence[int], alike: float, *, log: bool) -> Callable[[np.random.Generator], Drawn]:
    """Normal changes, of which clusters share a part of the variance."""

    def draw(random: np.random.Generator) -> Drawn:
        of_clusters = np.repeat(random.normal(0, 1, len(sizes)), sizes)
        moves = SPREAD * (alike**0.5 * of_clusters + (1 - alike) ** 0.5 * random.normal(0, 1, sum(sizes)))
        before = np.full(moves.size, 0.6)
        name = "perplexity" if log else "rouge-l"
        return lambda fall: metric(name, "graded", before, before - moves - fall, sizes), lambda fall: fall

    return draw


def answered(
    sizes: Sequence[int], answers: int, chances: str, *, check: bool
) -> Callable[[np.random.Generator], Drawn]:
    """Several answers a case, whose chances to pass fall: of a gated check, or of the pass rate."""

    def draw(random: np.random.Generator) -> Drawn:
        n = sum(sizes)
        chance = np.where(np.arange(n) % 5 == 0, 0.5, 1.0) if chances == "fifth" else random.beta(4, 1.2, n)
        luck = random.random((2, n, answers))
        passed = (luck[0] < chance[:, None]).sum(axis=1)

        def fallen(fall: float) -> PairedMetric:
            now = (luck[1] < (chance - fall)[:, None]).sum(axis=1)
            trials = [
                Trials(int(was), answers, int(each), answers) for was, each in zip(passed, now, strict=True)
            ]
            name = "contains" if check else PASS_RATE
            of_kind = {"parts": answers} if check else {"trials": trials}
            return metric(name, "binary", passed / answers, now / answers, sizes, **of_kind)  # type: ignore[arg-type]

        return fallen, lambda fall: float(np.minimum(chance, fall).mean())

    return draw


def shapes() -> dict[str, Shape]:
    """All shapes by name."""
    sizes = {
        "12 clusters of 1 to 32 cases": [1, 2, 4, 8, 16, 32] * 2,
        "20 clusters of 2 and one of 20": [2] * 20 + [20],
        "12 clusters of 5": [5] * 12,
        "40 clusters of 1 to 8": [1, 2, 3, 4, 5, 6, 7, 8] * 5,
    }
    found = {}
    for log, kind, margin in ((True, "log-probabilities", 0.10), (False, "scores", 0.05)):
        for name, of in sizes.items():
            for alike, together in ((0.0, "nothing"), (0.5, "half")):
                found[f"{kind}, {name}, {together} in common"] = Shape(
                    draw=graded(of, alike, log=log), margin=margin
                )
        for cases in (20, 30, 60, 100):
            found[f"{kind}, {cases} cases"] = Shape(draw=graded([1] * cases, 0.0, log=log), margin=margin)
    for check, kind in ((True, "a check"), (False, "pass rate")):
        for chances in ("fifth", "vary"):
            said = "a fifth unsure" if chances == "fifth" else "chances vary"
            for name, of in {
                "40 cases": [1] * 40,
                "100 cases": [1] * 100,
                "10 clusters of 10": [10] * 10,
                "20 clusters of 3": [3] * 20,
            }.items():
                found[f"{kind}, 3 answers, {name}, {said}"] = Shape(
                    draw=answered(of, 3, chances, check=check), margin=0.05
                )
    return found


def least_regressing(drawn: Drawn, margin: float) -> float:
    """The drop from which this data set is a regression."""
    fallen, mean = drawn

    def regresses(fall: float) -> bool:
        row = compare_metric(fallen(fall), detectable=False)
        return row.p_value <= LEVEL and row.drop.high > margin

    low, high = 0.0, 0.1
    while high < 1 and not regresses(high):
        low, high = high, min(1.6 * high, 1.0)
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if regresses(middle) else (middle, high)
    return mean(high)


def row_of(name: str, shape: Shape, sets: int) -> list[str]:
    """One row: true drop, printed ones, and how often they are found."""
    random = np.random.default_rng(20260131)
    with mock.patch.dict("harness.statistics.paired_graded.mean_drop.__kwdefaults__", resamples=RESAMPLES):
        falls = np.sort([least_regressing(shape.draw(random), shape.margin) for _ in range(sets)])
    drops = [smallest_detectable(shape.draw(random)[0](0.0), LEVEL, shape.margin) for _ in range(sets)]
    printed = np.array([np.inf if drop is None else drop for drop in drops])

    def found(drop: float) -> float:
        return float(np.searchsorted(falls, drop, side="right") / sets)

    # The middle of this many printed drops, and the share of this many data sets.
    again = [found(float(np.median(random.choice(printed, sets)))) for _ in range(200)]
    error = float(np.hypot(np.std(again), (0.8 * 0.2 / sets) ** 0.5))
    single = [found(float(drop)) for drop in printed]
    low, high = np.quantile(printed, [0.1, 0.9])
    least, most = np.quantile(single, [0.1, 0.9])
    middle = float(np.median(printed))
    return [
        name,
        f"{np.quantile(falls, 0.8):.3f}",
        f"{middle:.3f}",
        f"{low:.2f} to {high:.2f}",
        f"{found(middle):.2f} ± {error:.2f}",
        f"{np.mean(single):.2f} ({least:.2f} to {most:.2f})",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=600, help="data sets of a shape, printing and found each")
    parser.add_argument("--only", default="", help="the shapes with this in their names")
    chosen = parser.parse_args()
    rows = [row_of(name, shape, chosen.sets) for name, shape in shapes().items() if chosen.only in name]
    print_table(
        f"Printed drops, {chosen.sets} data sets a shape",
        [
            "shape",
            "found in 80 %",
            "printed, middle",
            "printed, 80 % of sets",
            "middle is found",
            "each is found",
        ],
        rows,
    )


if __name__ == "__main__":
    main()
