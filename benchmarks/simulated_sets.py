"""Golden sets of known drops, and how a session judges them: for the simulations here and in the tests."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.comparison.metric_verdicts import judge
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.looks import look_sizes
from harness.types import GateVerdict

PASS, REGRESS = GateVerdict.PASS, GateVerdict.REGRESS
Moves = NDArray[np.float64]


def paired(drops: Moves, clusters: Sequence[int] | None = None, *, name: str = PASS_RATE) -> PairedMetric:
    """A metric with the given drops; a graded one where they are not whole, with a baseline of 0.7."""
    whole = bool((drops == np.round(drops)).all()) and name == PASS_RATE
    baseline = np.where(drops < 0, 0.0, 1.0) if whole else np.full(drops.size, 0.7)
    return PairedMetric(
        set_name="s",
        metric=name,
        kind="binary" if whole else "graded",
        keys=tuple(f"s/{place}" for place in range(drops.size)),
        candidate=tuple((baseline - drops).tolist()),
        baseline=tuple(baseline.tolist()),
        clusters=tuple(range(drops.size) if clusters is None else clusters),
    )


def flips(random: np.random.Generator, n: int, lose: float, gain: float) -> Moves:
    """Each case lost (1), gained (-1) or unchanged, on its own."""
    return random.choice([1.0, -1.0, 0.0], n, p=[lose, gain, 1 - lose - gain])


def clustered(
    random: np.random.Generator,
    groups: int,
    lose: float,
    gain: float,
    together: float,
    sizes: int | Sequence[int] = 3,
) -> Moves:
    """Clusters, of three cases each, that flip alike with the probability ``together``; else case by case."""
    shared = np.repeat(random.random(groups) < together, sizes)
    whole = np.repeat(flips(random, groups, lose, gain), sizes)
    return np.where(shared, whole, flips(random, whole.size, lose, gain))


def small_moves(random: np.random.Generator, n: int, drop: float) -> Moves:
    """Every score moves, with a standard deviation of nearly 0.2, as far up as down around the drop."""
    return drop + np.clip(random.normal(0, 0.2, n), -0.3, 0.3)


def few_losses(random: np.random.Generator, n: int, drop: float) -> Moves:
    """Two answers in five move a little, and a few break: they lose 0.7, all there is."""
    little = np.where(random.random(n) < 0.4, random.normal(0, 0.1, n), 0.0)
    # The expected small move is 0, so that the broken share alone makes the drop.
    return np.where(random.random(n) < drop / 0.7, 0.7, little)


def first(metric: PairedMetric, cases: int) -> PairedMetric:
    """A metric of its first cases only."""
    return replace(
        metric,
        keys=metric.keys[:cases],
        candidate=metric.candidate[:cases],
        baseline=metric.baseline[:cases],
        clusters=metric.clusters[:cases],
        trials=metric.trials[:cases],
        parts=metric.parts[:cases],
        reruns=metric.reruns[:cases],
    )


def judged_by_looks(metrics: Sequence[PairedMetric], margin: float, looks: int) -> tuple[GateVerdict, float]:
    """The verdict, and the share of the answered cases; a set that passed is asked no further."""
    sets = {each.set_name: each for each in metrics}
    ends = {name: _ends(each, looks) for name, each in sets.items()}
    margins = {(each.set_name, each.metric): margin for each in metrics}
    cases = {name: len(each.keys) for name, each in sets.items()}
    fractions: dict[str, list[float]] = {}
    reached: dict[str, int] = {}
    going = set(sets)
    for number in range(looks):
        for name in going:
            if ends[name][number] > reached.get(name, 0):
                reached[name] = ends[name][number]
                fractions.setdefault(name, []).append(reached[name] / cases[name])
        so_far = [first(each, reached[each.set_name]) for each in metrics if each.set_name in reached]
        if not so_far:
            continue
        # A set with several answers, which no look has reached, has a test of its single cases to come.
        later = [(name, "") for name, each in sets.items() if each.repeated and name not in reached]
        rows, lost = judge(so_far, margins, fractions=fractions, expected=[*margins, *later])
        share = sum(reached.values()) / sum(cases.values())
        if lost or any(row.verdict is REGRESS for row in rows):
            return REGRESS, share
        going -= set(reached) - {row.set_name for row in rows if row.verdict is not PASS}
        if not going:
            return PASS, share
    return GateVerdict.INCONCLUSIVE, 1.0


def _ends(metric: PairedMetric, looks: int) -> list[int]:
    """How many of a set's cases each look has reached; none at a look that is left out."""
    sizes = Counter(metric.clusters)  # in the order in which they are answered
    reached = np.cumsum([0, *sizes.values()])
    return [int(reached[end]) for end in look_sizes([float(size) for size in sizes.values()], looks)]
