"""What several answers a case show, before any model has answered."""

import math
from collections.abc import Sequence

from harness.statistics.clustered_drop import clustered_drop
from harness.statistics.clusters import CONFIDENCE, Units
from harness.statistics.detectable_repeated_drops import (
    detectable_repeated_cluster_drop,
    detectable_repeated_clusters,
    detectable_repeated_drop,
)
from harness.statistics.paired_binary import Trials
from harness.statistics.paired_graded import mean_drop

ANSWERS = 5
_RUNS = 200
_RESAMPLES = 499


def detectable_repeated(
    sizes: Sequence[int], margin: float, churn: float, level: float, *, singly: bool
) -> float | None:
    """The smallest drop that several answers a case find in 80 % of runs.

    If single cases are tested, it is one that always passed and now never does: p = 1 / C(2r, r) by itself
    with r answers on both sides; the noisy ones, which pass every other time, can show as much only if half
    of all their answers passed. If that is too many tests, or no case is tested, all answers together find
    it.

    Args:
        sizes: Number of cases of each cluster.
        margin: Largest tolerated drop.
        churn: Share of cases that flip by chance, each way, in single answers.
        level: One-sided level of a regression.
        singly: Whether single cases are tested.

    Returns:
        The drop, or None if none is found.
    """
    cases, total = sum(sizes), math.comb(2 * ANSWERS, ANSWERS)
    noisy = _noisy(churn) * cases
    if singly and (1 + noisy * total / 4**ANSWERS) / total <= level / 2:
        return 1 / cases
    trials = _trials(cases, churn)
    if len(sizes) == cases:
        return detectable_repeated_drop(trials, level, margin=margin)
    unmoved = Units(sums=(0.0,) * len(sizes), sizes=tuple(map(float, sizes)))
    return detectable_repeated_cluster_drop(trials, unmoved, level, margin=margin)


def repeated_clusters(sizes: Sequence[int], margin: float, churn: float, level: float) -> float | None:
    """The same of a drop that takes whole clusters; None without clusters.

    Args:
        sizes: Number of cases of each cluster.
        margin: Largest tolerated drop.
        churn: Share of cases that flip by chance, each way, in single answers.
        level: One-sided level of a regression.
    """
    cases = sum(sizes)
    if len(sizes) == cases or detectable_repeated(sizes, margin, churn, level, singly=False) is None:
        return None
    clusters = [place for place, size in enumerate(sizes) for _ in range(size)]
    found = detectable_repeated_clusters(_trials(cases, churn), clusters, level, margin=margin)
    return 1.0 if found is None else found


def _trials(cases: int, churn: float) -> list[Trials]:
    """Answers of both sides if nothing changed: some cases pass every other time, the others always."""
    half = Trials(ANSWERS // 2, ANSWERS, ANSWERS - ANSWERS // 2, ANSWERS)
    stable, noisy = Trials(ANSWERS, ANSWERS, ANSWERS, ANSWERS), _noisy(churn) * cases
    return [half if place < noisy else stable for place in range(cases)]


def _noisy(churn: float) -> float:
    """The share of cases that pass every other time, so that single answers flip this often each way."""
    return min(4 * churn, 1.0)


def repeated_pass(sizes: Sequence[int], margin: float, churn: float) -> float:
    """How often an equal candidate passes if each case has several answers on both sides, by simulation.

    Args:
        sizes: Number of cases of each cluster.
        margin: Largest tolerated drop.
        churn: Share of cases that flip by chance, each way, in single answers.
    """
    import numpy as np

    random, cases = np.random.default_rng(0), sum(sizes)
    noisy = random.random((_RUNS, cases)) < _noisy(churn)
    answers = random.binomial(ANSWERS, 0.5, (2, _RUNS, cases))
    drops = np.where(noisy, (answers[0] - answers[1]) / ANSWERS, 0.0)
    starts = np.cumsum([0, *sizes[:-1]])
    sums = np.add.reduceat(drops, starts, axis=1)
    clustered = any(size > 1 for size in sizes)
    passed = 0
    for run in sums.tolist():
        units = Units(sums=tuple(run), sizes=tuple(map(float, sizes)))
        if clustered:
            found = clustered_drop(units, CONFIDENCE)
        else:
            found = mean_drop(units, CONFIDENCE, span=1.0, resamples=_RESAMPLES)
        passed += found.high_unseen <= margin
    return passed / _RUNS
