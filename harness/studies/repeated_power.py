"""What several answers a case show, before any model has answered."""

import math
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING

from harness.statistics.clustered_drop import clustered_drop, noisy_drop
from harness.statistics.clusters import CONFIDENCE, Units
from harness.statistics.detectable_drops import SIMULATED_UP_TO
from harness.statistics.detectable_falls import detectable_fall_of_rates
from harness.statistics.detectable_repeated_drops import (
    detectable_repeated_cluster_drop,
    detectable_repeated_clusters,
    detectable_repeated_drop,
)
from harness.statistics.paired_binary import CONTINUITY, Trials, least_case_p
from harness.statistics.paired_graded import mean_drop
from harness.statistics.power import POWER, least_drop
from harness.types.golden import is_within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RUNS = 600
_AGREEING = 100
_RESAMPLES = 499
# The mean of so many cases that vary is taken to be normal.
_MANY = 40
# Simulated runs whose intervals are averaged.
_HALVES = 20
_PRECISION = 5e-4


def detectable_repeated(
    units: Sequence[Sequence[int]], margin: float, churn: float, level: float, *, singly: bool
) -> float | None:
    """The smallest drop that several answers a case find in 80 % of runs.

    If single cases are tested, it is one that always passed and now never does: p = 1 / C(2r, r) by itself
    with r answers on both sides; the noisy ones, which pass every other time, can show as much only if half
    of all their answers passed. If too often that is too many tests, or no case is tested, all answers
    together find it.

    Args:
        units: For each cluster the number of answers to each of its cases.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of each hypothesis; "no case is answered worse" is one.
        singly: Whether any single case that is answered worse is a regression.

    Returns:
        The drop, or None if none is found.
    """
    answers = [each for unit in units for each in unit]
    cases = len(answers)
    if singly and _finds_one(min(answers), cases, churn, level):
        return 1 / cases
    trials = _trials(answers, churn)
    if len(units) == cases:
        return detectable_repeated_drop(trials, level, margin=margin)
    sizes = tuple(float(len(unit)) for unit in units)
    unmoved = Units(sums=(0.0,) * len(sizes), sizes=sizes)
    clusters = [place for place, unit in enumerate(units) for _ in unit]
    return detectable_repeated_cluster_drop(trials, clusters, unmoved, level, margin=margin)


def detectable_means(answers: Sequence[int], margin: float, churn: float, level: float) -> float | None:
    """The same of a metric whose cases are compared by the mean of their answers, without clusters.

    Args:
        answers: Number of answers to each case, on both sides.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of each hypothesis.
    """
    # What the baseline lacks can be gained; as in the gate with one case more.
    rise = (len(answers) * noisy_share(churn) / 2 + 1) / (len(answers) + 1)
    return detectable_fall_of_rates(_trials(answers, churn), level, margin, CONFIDENCE, rise, POWER)


def _finds_one(answers: int, cases: int, churn: float, level: float) -> bool:
    """Whether a lost case is found by itself: mostly few enough noisy ones can show as much."""
    from scipy.special import bdtr

    total = math.comb(2 * answers, answers)
    others = math.floor(level * total) - 1
    if others < 0:
        return False
    return float(bdtr(others, cases - 1, noisy_share(churn) * total / 4**answers)) >= POWER


def shows_single_cases(units: Sequence[Sequence[int]], level: float) -> bool:
    """Whether a case can show by itself that it is answered worse, which takes a part of the run's level.

    Args:
        units: For each cluster the number of answers to each of its cases.
        level: One-sided level of each hypothesis.
    """
    most = max(answers for unit in units for answers in unit)
    return least_case_p(Trials(most, most, 0, most)) <= level


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
    many = max(sizes) == 1 or len(sizes) > SIMULATED_UP_TO
    if many and (noisy := noisy_share(churn)) * answers.size > _MANY:
        # The answers alone are noise, whatever the clusters.
        error = math.sqrt(noisy / 2 * float((1 / answers).sum())) / answers.size
        return float(ndtr(margin / error - ndtri((1 + CONFIDENCE) / 2)))
    baseline, candidate = _passed(answers, churn)
    drops = (baseline - candidate) / answers
    sums = np.add.reduceat(drops, np.cumsum([0, *sizes[:-1]]), axis=1)
    if graded or max(sizes) == 1:
        return means_within(sums, sizes, margin, reaches=_reaches(baseline / answers))
    found = (
        clustered_drop(Units(sums=tuple(run), sizes=tuple(map(float, sizes))), CONFIDENCE)
        for run in sums.tolist()
    )
    return share_of(is_within(each.high_unseen, margin) for each in found)


def share_of(passes: Iterable[bool]) -> float:
    """The share of simulated runs that pass; where the first hundred agree, no further ones are simulated.

    Args:
        passes: Whether each run does, at least one.
    """
    runs = passed = 0
    for passing in passes:
        runs, passed = runs + 1, passed + passing
        if runs == _AGREEING and passed in {0, runs}:
            break
    return passed / runs


def means_within(
    sums: "NDArray[np.float64]",
    sizes: Sequence[float],
    margin: float,
    *,
    light_tails: bool = False,
    lone: float = 0.0,
    reaches: Iterable[float] | None = None,
) -> float:
    """The share of runs whose mean drop is within a margin.

    Args:
        sums: Each run's drops, summed by cluster: (runs, clusters).
        sizes: Number of cases of each cluster.
        margin: Largest tolerated drop.
        light_tails: The drops include no rare huge ones.
        lone: As for :func:`~harness.statistics.paired_graded.mean_drop`.
        reaches: How far the mean of each run's baseline can fall; by default the whole scale.
    """
    of_units, span = tuple(map(float, sizes)), math.inf if light_tails else 1.0
    found = (
        mean_drop(
            Units(sums=tuple(run), sizes=of_units),
            CONFIDENCE,
            reach=reach,
            span=span,
            light_tails=light_tails,
            lone=lone,
            resamples=_RESAMPLES,
        )
        for run, reach in zip(sums.tolist(), repeat(1.0) if reaches is None else reaches, strict=False)
    )
    return share_of(is_within(each.high_unseen, margin) for each in found)


def _reaches(baseline: "NDArray[np.float64]") -> Sequence[float]:
    """As the gate has it, of the cases' rates, (runs, cases): with one more case that passed always."""
    reaches: Sequence[float] = ((baseline.sum(axis=1) + 1) / (baseline.shape[1] + 1)).tolist()
    return reaches


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
    found = (
        noisy_drop([Trials(*each) for each in zip(before, answers, now, answers, strict=True)], CONFIDENCE)
        for before, now in runs
    )
    return share_of(is_within(each.high_unseen, margin) for each in found)


def detectable_own(answers: Sequence[int], margin: float, churn: float, level: float) -> float | None:
    """The smallest drop of exactly these cases that is found in 80 % of runs; None if none is.

    Every case's chance to pass falls by the same amount, if it can.

    Args:
        answers: Number of answers to each case, on both sides.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of a regression.
    """
    import numpy as np
    from scipy.special import ndtr, ndtri

    asked, cases = np.array(answers), len(answers)
    was = np.where(np.arange(cases) < noisy_share(churn) * cases, 0.5, 1.0)
    correction = CONTINUITY * float((1 / asked).sum()) / cases**2
    z, z_level = float(ndtri((1 + CONFIDENCE) / 2)), float(ndtri(1 - level))

    def found(fall: float) -> bool:
        now = np.maximum(was - fall, 0.0)
        error = math.sqrt(float(((was * (1 - was) + now * (1 - now)) / asked).sum())) / cases
        half = _usual_half(asked, was, now)
        least = max(correction + z_level * (half - correction) / z, margin - half)
        drop = float((was - now).mean())
        return float(ndtr((drop - least) / error)) >= POWER if error > 0 else drop >= least

    fall = least_drop(found, 1.0, _PRECISION)
    return None if fall is None else float(np.minimum(was, fall).mean())


def _usual_half(answers: "NDArray[np.int_]", was: "NDArray[np.float64]", now: "NDArray[np.float64]") -> float:
    """The mean distance of the interval's end from the drop, of a few simulated runs."""
    import numpy as np

    random = np.random.default_rng(0)
    shape = (_HALVES, answers.size)
    runs = zip(*(random.binomial(answers, chance, shape).tolist() for chance in (was, now)), strict=True)
    asked = answers.tolist()
    drops = [
        noisy_drop([Trials(*each) for each in zip(before, asked, after, asked, strict=True)], CONFIDENCE)
        for before, after in runs
    ]
    return math.fsum(each.high - each.estimate for each in drops) / _HALVES
