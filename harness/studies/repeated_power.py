"""What several answers a case show, before any model has answered."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.statistics.clustered_drop import clustered_drop, detectable_drop_of_cases, noisy_drop
from harness.statistics.clusters import CONFIDENCE, Units
from harness.statistics.detectable_drops import SIMULATED_UP_TO
from harness.statistics.detectable_repeated_drops import (
    detectable_repeated_cluster_drop,
    detectable_repeated_clusters,
    detectable_repeated_drop,
)
from harness.statistics.paired_binary import Trials
from harness.statistics.paired_graded import mean_drop
from harness.types.golden import is_within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RUNS = 400
_RESAMPLES = 499
# The mean of so many cases that vary is taken to be normal.
_MANY = 30


def detectable_repeated(
    units: Sequence[Sequence[int]], margin: float, churn: float, level: float, *, singly: bool
) -> float | None:
    """The smallest drop that several answers a case find in 80 % of runs.

    If single cases are tested, it is one that always passed and now never does: p = 1 / C(2r, r) by itself
    with r answers on both sides; the noisy ones, which pass every other time, can show as much only if half
    of all their answers passed. If that is too many tests, or no case is tested, all answers together find
    it.

    Args:
        units: For each cluster the number of answers to each of its cases.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of a regression.
        singly: Whether single cases are tested.

    Returns:
        The drop, or None if none is found.
    """
    answers = [each for unit in units for each in unit]
    least, cases = min(answers), len(answers)
    total, noisy = math.comb(2 * least, least), noisy_share(churn) * cases
    if singly and (1 + noisy * total / 4**least) / total <= level / 2:
        return 1 / cases
    trials = _trials(answers, churn)
    if len(units) == cases:
        return detectable_repeated_drop(trials, level, margin=margin)
    sizes = tuple(float(len(unit)) for unit in units)
    unmoved = Units(sums=(0.0,) * len(sizes), sizes=sizes)
    return detectable_repeated_cluster_drop(trials, unmoved, level, margin=margin)


def repeated_clusters(
    units: Sequence[Sequence[int]], margin: float, churn: float, level: float
) -> float | None:
    """The same of a drop that takes whole clusters; None without clusters.

    Args:
        units: For each cluster the number of answers to each of its cases.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of a regression.
    """
    answers = [each for unit in units for each in unit]
    if len(units) == len(answers) or detectable_repeated(units, margin, churn, level, singly=False) is None:
        return None
    clusters = [place for place, unit in enumerate(units) for _ in unit]
    found = detectable_repeated_clusters(_trials(answers, churn), clusters, level, margin=margin)
    return 1.0 if found is None else found


def _trials(answers: Sequence[int], churn: float) -> list[Trials]:
    """Answers of both sides if nothing changed: some cases pass every other time, the others always."""
    noisy = noisy_share(churn) * len(answers)
    return [
        Trials(each // 2, each, each - each // 2, each) if place < noisy else Trials(each, each, each, each)
        for place, each in enumerate(answers)
    ]


def noisy_share(churn: float) -> float:
    """The share of cases that pass every other time, so that single answers flip this often each way.

    Args:
        churn: How often they flip, each way.
    """
    return min(4 * churn, 1.0)


def repeated_pass(
    units: Sequence[Sequence[int]], margin: float, churn: float, *, graded: bool = False
) -> float:
    """How often an equal candidate passes if each case has several answers on both sides, by simulation.

    Args:
        units: For each cluster the number of answers to each of its cases.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        graded: Whether means are compared, also in clusters.
    """
    import numpy as np
    from scipy.special import ndtr, ndtri

    answers, sizes = np.array([each for unit in units for each in unit]), [len(unit) for unit in units]
    if len(sizes) > SIMULATED_UP_TO and (noisy := noisy_share(churn)) * answers.size > _MANY:
        # The answers alone are noise, whatever the clusters.
        error = math.sqrt(noisy / 2 * float((1 / answers).sum())) / answers.size
        return float(ndtr(margin / error - ndtri((1 + CONFIDENCE) / 2)))
    baseline, candidate = _passed(answers, churn)
    drops = (baseline - candidate) / answers
    sums = np.add.reduceat(drops, np.cumsum([0, *sizes[:-1]]), axis=1)
    if graded or max(sizes) == 1:
        return means_within(sums, sizes, margin)
    found = (
        clustered_drop(Units(sums=tuple(run), sizes=tuple(map(float, sizes))), CONFIDENCE)
        for run in sums.tolist()
    )
    return sum(is_within(each.high_unseen, margin) for each in found) / len(sums)


def means_within(
    sums: "NDArray[np.float64]", sizes: Sequence[float], margin: float, *, light_tails: bool = False
) -> float:
    """The share of runs whose mean drop is within a margin.

    Args:
        sums: Each run's drops, summed by cluster: (runs, clusters).
        sizes: Number of cases of each cluster.
        margin: Largest tolerated drop.
        light_tails: The drops include no rare huge ones.
    """
    of_units, span = tuple(map(float, sizes)), math.inf if light_tails else 1.0
    found = (
        mean_drop(
            Units(sums=tuple(run), sizes=of_units),
            CONFIDENCE,
            span=span,
            light_tails=light_tails,
            resamples=_RESAMPLES,
        )
        for run in sums.tolist()
    )
    return sum(is_within(each.high_unseen, margin) for each in found) / len(sums)


def _passed(answers: "NDArray[np.int_]", churn: float) -> "tuple[NDArray[np.int_], NDArray[np.int_]]":
    """Passed answers of both sides if nothing changed, (runs, cases) each."""
    import numpy as np

    random = np.random.default_rng(0)
    noisy = random.random((_RUNS, answers.size)) < noisy_share(churn)
    passed = random.binomial(answers, 0.5, (2, _RUNS, answers.size))
    baseline, candidate = np.where(noisy, passed, answers)
    return baseline, candidate


def repeated_own_pass(answers: Sequence[int], margin: float, churn: float) -> float:
    """How often an equal candidate passes, asked about exactly these cases, whose answers vary.

    Args:
        answers: Number of answers to each case, on both sides.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
    """
    import numpy as np

    runs = zip(*(side.tolist() for side in _passed(np.array(answers), churn)), strict=True)
    found = [
        noisy_drop([Trials(*each) for each in zip(before, answers, now, answers, strict=True)], CONFIDENCE)
        for before, now in runs
    ]
    return sum(is_within(each.high_unseen, margin) for each in found) / len(found)


def detectable_own(answers: Sequence[int], margin: float, churn: float, level: float) -> float | None:
    """The smallest drop of exactly these cases that is found in 80 % of runs; None if none is.

    Args:
        answers: Number of answers to each case, on both sides.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of a regression.
    """
    usual = noisy_drop(_trials(answers, churn), CONFIDENCE)
    able = detectable_drop_of_cases(usual.interval, len(answers), level, margin, whole=False)
    return able if able <= 1 else None
