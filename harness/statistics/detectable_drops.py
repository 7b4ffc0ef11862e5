"""How large a true drop must be to be found in clusters, by simulation: no formula holds for few of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.statistics.clustered_drop import clustered_drop, excludes_unseen
from harness.statistics.clusters import CONFIDENCE, Units, degrees_of_freedom
from harness.statistics.planning import rates_seen, times_as_many
from harness.statistics.power import POWER, churn_of, least_drop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RUNS = 4000
# Share of flips that concern a whole cluster while nothing is known; it weighs as much as two that moved.
USUAL_ALIKE = 0.5
_WEIGHT = 2
# The part of a whole cluster's flip that a comparison has not shown (by simulation, as the weight).
_UNSEEN_CLUSTERS = 0.2
_MOST_CHURN = 0.45
# Of more clusters the mean drop is taken to be normal.
SIMULATED_UP_TO = 200
_PRECISION = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """How cases flip.

    Attributes:
        lose: Probability that a case is lost.
        gain: Probability that it is gained.
        alike: Probability that a cluster's cases flip together, as one; otherwise each flips alone.
    """

    lose: float
    gain: float
    alike: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """Probabilities of the verdicts."""

    regress: float
    passes: float


def flips_by_chance(units: Units, lost: float, gained: float, *, whole: bool) -> Flips:
    """How cases flip by chance, estimated from one comparison: one by one, or whole clusters together.

    Few clusters can't show which of the two it is, so each is a world of its own, and the drop that is found
    is told for both. One between them finds a drop between.

    Args:
        units: The drops; each case's is -1, 0 or 1 (or a share, where answers are averaged).
        lost: Lost cases.
        gained: Gained cases.
        whole: Whether a cluster's cases flip together, as one. Each then counts by the part that flipped.
    """
    if not whole:
        churn = churn_of(lost, gained, math.fsum(units.sizes))
    else:
        parts = [part / size for part, size in zip(units.sums, units.sizes, strict=True)]
        down, up = math.fsum(max(part, 0.0) for part in parts), math.fsum(max(-part, 0.0) for part in parts)
        churn = churn_of(down, up, units.count, unseen=_UNSEEN_CLUSTERS)
    churn = min(churn, _MOST_CHURN)
    return Flips(lose=churn, gain=churn, alike=1.0 if whole else 0.0)


def flips_as_observed(units: Units) -> Flips:
    """How further cases flip if they do so as often as these, and once more in either direction.

    As :func:`~harness.statistics.planning.rates_seen`; that flip may be one of a whole cluster.

    Args:
        units: The drops.
    """
    cases, (lost, gained), alike = math.fsum(units.sizes), _flipped(units), alike_of(units)
    one = 1 - alike + alike * cases / units.count
    lose, gain = rates_seen(lost / one, gained / one, cases / one)
    return Flips(lose=lose, gain=gain, alike=alike)


def _flipped(units: Units) -> tuple[float, float]:
    """Lost and gained cases, as far as they don't cancel in a cluster."""
    lost = math.fsum(max(part, 0.0) for part in units.sums)
    return lost, math.fsum(max(-part, 0.0) for part in units.sums)


def alike_of(units: Units) -> float:
    """Correlation of the drops inside clusters, by moments, drawn towards USUAL_ALIKE if few clusters moved.

    Args:
        units: The drops.
    """
    cases, mean = math.fsum(units.sizes), units.mean
    moved = [(part, size) for part, size in zip(units.sums, units.sizes, strict=True) if size > 1 and part]
    if not moved:
        return USUAL_ALIKE
    # Losses and gains may cancel in a cluster that moved: it has at least one flip.
    flips = math.fsum(max(abs(part), 1.0) for part in units.sums if part)
    variance = max(flips / cases - mean * mean, 1e-9)
    pairs = math.fsum(size * (size - 1) for size in units.sizes)
    squares = math.fsum((part - mean * size) ** 2 for part, size in zip(units.sums, units.sizes, strict=True))
    found = min(max((squares - cases * variance) / (variance * pairs), 0.0), 1.0)
    return (found * len(moved) + USUAL_ALIKE * _WEIGHT) / (len(moved) + _WEIGHT)


def verdict_chances(
    sizes: Sequence[float],
    flips: Flips,
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    passing: bool = True,
) -> Chances:
    """How often such a set regresses, and how often it passes.

    Args:
        sizes: Number of cases of each cluster.
        flips: How its cases flip.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected, and never a pass.
        confidence: Two-sided, of the interval that is compared with the margin.
        passing: Whether passes are asked for, which takes longer; else they may be 0.
    """
    if len(sizes) > SIMULATED_UP_TO:
        return _normal_chances(sizes, flips, level, margin, confidence)
    refused, within = verdicts_of(
        drawn_drops(sizes, flips, RUNS),
        sizes,
        level,
        margin=margin,
        confidence=confidence,
        passing=passing,
    )
    return Chances(regress=float(refused.mean()), passes=float(within.mean()))


def verdicts_of(
    drops: "NDArray[np.float64]",
    sizes: Sequence[float],
    level: float,
    *,
    margin: float | None,
    confidence: float = CONFIDENCE,
    passing: bool = True,
) -> "tuple[NDArray[np.bool_], NDArray[np.bool_]]":
    """Which simulated runs regress and which pass, by the rule of :mod:`harness.statistics.clustered_drop`.

    Args:
        drops: Each run's drops, summed by cluster: (runs, clusters).
        sizes: Number of cases of each cluster.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected, and never a pass.
        confidence: Two-sided, of the interval that is compared with the margin.
        passing: Whether passes are asked for, which takes longer; else no run has one.

    Returns:
        Two arrays of one entry per run.
    """
    import numpy as np
    from scipy.special import stdtrit

    if len(sizes) == 1:
        # One cluster has no spread and shows no loss beyond chance; its drop alone says whether it passes.
        highs = {drop: _high_of_one(drop, sizes[0], confidence) for drop in np.unique(drops).tolist()}
        passed = [passing and margin is not None and highs[drop] <= margin for drop in drops[:, 0].tolist()]
        return np.zeros(len(drops), dtype=bool), np.array(passed, dtype=bool)
    shares = np.asarray(sizes) / math.fsum(sizes)
    means = drops.sum(axis=1) / math.fsum(sizes)
    deviations = drops / math.fsum(sizes) - means[:, None] * shares
    errors = np.sqrt((deviations * deviations / (1 - shares)).sum(axis=1))
    freedom = degrees_of_freedom(Units(sums=tuple(sizes), sizes=tuple(sizes)))
    refused = (means > 0) & (means >= float(stdtrit(freedom, 1 - level)) * errors)
    refused &= 0.5 ** len(sizes) <= level
    if margin is None:
        return refused, np.zeros(len(means), dtype=bool)
    high = means + float(stdtrit(freedom, (1 + confidence) / 2)) * errors
    within = high <= margin
    if not passing:
        return refused & ~within, np.zeros(len(means), dtype=bool)
    # It matters what the drops are, not which cluster has them: most runs are like others.
    kinds, of_run = np.unique(np.sort(drops[within], axis=1), axis=0, return_inverse=True)
    excluded = [
        excludes_unseen(Units(sums=tuple(run), sizes=tuple(sizes)), margin, confidence)
        for run in kinds.tolist()
    ]
    within[within] = np.array(excluded, dtype=bool)[of_run.reshape(-1)]
    return refused & (high > margin), within


def _high_of_one(drop: float, size: float, confidence: float) -> float:
    """The bound that a single cluster's pass needs within the margin."""
    return clustered_drop(Units(sums=(drop,), sizes=(size,)), confidence).high_unseen


def _normal_chances(
    sizes: Sequence[float], flips: Flips, level: float, margin: float | None, confidence: float
) -> Chances:
    """The same for many clusters, whose mean drop is normal.

    A case's variance, times the cases, plus ``alike`` times each pair of cases in one cluster.
    """
    from scipy.special import ndtr, ndtri

    drop, cases = flips.lose - flips.gain, math.fsum(sizes)
    variance = flips.lose + flips.gain - drop * drop
    pairs = math.fsum(size * (size - 1) for size in sizes)
    error = max(math.sqrt(variance * (cases + flips.alike * pairs)) / cases, 1e-9)
    reach = float(ndtri((1 + confidence) / 2)) * error
    least = float(ndtri(1 - level)) * error
    if margin is None:
        return Chances(regress=float(ndtr((drop - least) / error)), passes=0.0)
    least = max(least, margin - reach)
    return Chances(
        regress=float(ndtr((drop - least) / error)), passes=float(ndtr((margin - reach - drop) / error))
    )


def drawn_drops(sizes: Sequence[float], flips: Flips, runs: int) -> "NDArray[np.float64]":
    """Simulated drops, summed by cluster: (runs, clusters).

    Args:
        sizes: Number of cases of each cluster.
        flips: How cases flip.
        runs: How many runs to simulate.
    """
    import numpy as np

    random = np.random.default_rng(0)
    count = np.round(np.asarray(sizes)).astype(int)
    shape = (runs, len(sizes))
    lose, gain = flips.lose, flips.gain
    single = np.zeros(shape, dtype=int)
    if flips.alike < 1:
        single = random.binomial(count, lose, shape)
        single = single - random.binomial(count - single, min(gain / (1 - lose), 1.0) if lose < 1 else 0.0)
    luck = random.random(shape)
    whole = np.where(luck < lose, 1, np.where(luck < lose + gain, -1, 0)) * count
    return np.where(random.random(shape) < flips.alike, whole, single).astype(float)


def detectable_cluster_drop(
    sizes: Sequence[float],
    flips: Flips,
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float | None:
    """Smallest true drop of a pass rate that is called a regression with the given probability.

    Each further lost case is lost as the others are: alone, or with its whole cluster.

    Args:
        sizes: Number of cases of each cluster.
        flips: How cases flip by chance.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected.
        confidence: Two-sided, of the interval that is compared with it.
        power: The probability.

    Returns:
        The drop, or None if none is found with this probability.
    """
    if len(sizes) < 2:
        return None

    def found(drop: float) -> bool:
        lossy = replace(flips, lose=min(flips.lose + drop, 1 - flips.gain))
        chances = verdict_chances(sizes, lossy, level, margin=margin, confidence=confidence, passing=False)
        return chances.regress >= power

    return least_drop(found, 1 - flips.lose - flips.gain, _PRECISION)


def clusters_that_settle(
    sizes: Sequence[float],
    flips: Flips,
    level: float,
    *,
    margin: float,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> int | None:
    """How many times as many clusters are decided with the given probability, whichever way.

    Args:
        sizes: Number of cases of each cluster; further ones are as large.
        flips: How cases flip.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop.
        confidence: Two-sided, of the interval that is compared with it.
        power: The probability.

    Returns:
        The factor, 1 or more, or None if even many times as many are not enough.
    """

    def decided(many: Sequence[float]) -> bool:
        chances = verdict_chances(many, flips, level, margin=margin, confidence=confidence)
        return chances.regress + chances.passes >= power

    return times_as_many(sizes, decided)
