"""The size of a true mean drop that the gate can find: of graded scores, and of repeated answers."""

import math
from collections.abc import Sequence

from harness.statistics.clusters import Units
from harness.statistics.paired_graded import few_moved_from, moved_units
from harness.statistics.per_case import Trials
from harness.statistics.power import POWER, churn_of, detectable_drop
from harness.statistics.rates import CONFIDENCE, standard_error
from harness.statistics.search import least_drop

# Effective number of moved units from which their spread says how scores move; below, few of them decide.
_SPREAD_FROM = 5
_PRECISION = 5e-4


def detectable_mean_drop(
    units: Units,
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    reach: float = 1.0,
    power: float = POWER,
) -> float | None:
    """Smallest true mean drop that is called a regression with the given probability.

    If enough units moved, all of them fall by the same amount, and their spread stays: the normal
    approximation. If so few moved that jumps are counted, the counted variance contains the drop itself: d
    sqrt(n) = z sqrt(s^2 + d^2). If hardly any moved, the drop is assumed to consist of units that are lost
    completely, each by ``reach``: of all drops of one size these are the hardest to find.

    Args:
        units: The drops, baseline minus candidate.
        level: One-sided level at which "no drop" is rejected.
        margin: A drop is called a regression only if its interval reaches beyond; None: always if rejected.
        confidence: Two-sided, of that interval.
        reach: Drop of a unit that is lost completely.
        power: Probability of finding the drop.

    Returns:
        The drop, or None if no drop is found with this probability.
    """
    from scipy.special import ndtri

    z = float(ndtri(1 - level) + ndtri(power))
    counted = few_moved_from(units) is not None
    if not counted or (moved_units(units) >= _SPREAD_FROM and units.count > z * z):
        error = standard_error(units)
        # Compared with the spread alone, counting needs more by the drop's own part of the variance.
        own = math.sqrt(1 - z * z / units.count) if counted else 1.0
        return max(z * error / own, _reaching(margin, error, confidence, power))
    if margin is not None and margin >= reach:
        return None
    moves = units.scaled
    down = math.fsum(move for move in moves if move > 0)
    up = -math.fsum(move for move in moves if move < 0)
    share = detectable_drop(
        units.count,
        churn_of(down / reach, up / reach, units.count),
        level,
        margin=None if margin is None else margin / reach,
        confidence=confidence,
        mid=False,
        power=power,
    )
    return None if share is None else share * reach


def _reaching(margin: float | None, error: float, confidence: float, power: float) -> float:
    """The drop from which the interval's upper end is beyond the margin with this probability."""
    from scipy.special import ndtri

    if margin is None:
        return -math.inf
    return margin - float(ndtri((1 + confidence) / 2) - ndtri(power)) * error


def detectable_repeated_drop(
    trials: Sequence[Trials],
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float | None:
    """Smallest true drop that is called a regression if every case is answered several times.

    Each case's chance to pass falls by the same amount, if it can. The normal approximation of
    :func:`harness.statistics.per_case.stratified_p`: answers to one case are exchangeable under "no drop".

    Args:
        trials: Each case's passed answers and all its answers on both sides.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected.
        confidence: Two-sided, of the interval that is compared with it.
        power: Probability of finding the drop.

    Returns:
        The drop, or None if none is found with this probability.
    """
    from scipy.special import ndtri

    z_level, z_power = float(ndtri(1 - level)), float(ndtri(power))
    z_confidence = float(ndtri((1 + confidence) / 2))

    def found(fall: float) -> bool:
        shift = null = true = drop = spread = 0.0
        for each in trials:
            was = (each.baseline_passed + each.candidate_passed) / (each.baseline + each.candidate)
            now, both = max(was - fall, 0.0), each.baseline + each.candidate
            pooled = (each.baseline * was + each.candidate * now) / both
            weight = each.baseline * each.candidate / both
            noise = was * (1 - was) / each.baseline + now * (1 - now) / each.candidate
            shift += weight * (was - now)
            null += each.baseline * each.candidate / max(both - 1, 1) * pooled * (1 - pooled)
            true += weight * weight * noise
            drop += was - now
            spread += noise
        reaches = margin is None or (
            drop - margin * len(trials) + (z_confidence - z_power) * math.sqrt(spread) >= 0
        )
        return reaches and shift - z_level * math.sqrt(null) >= z_power * math.sqrt(true) and shift > 0

    fall = least_drop(found, 1.0, _PRECISION)
    return None if fall is None else _mean_fall(trials, fall)


def _mean_fall(trials: Sequence[Trials], fall: float) -> float:
    """Mean drop if each case's chance falls by this much, or to 0."""
    rates = [
        (each.baseline_passed + each.candidate_passed) / (each.baseline + each.candidate) for each in trials
    ]
    return math.fsum(min(rate, fall) for rate in rates) / len(rates)
