"""The size of a true drop that the gate can find, by formula; and the smallest number with a property."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.statistics.clusters import CONFIDENCE, Units, degrees_of_freedom, spreads, standard_error
from harness.statistics.detectable_falls import by_rule, detectable_fall
from harness.statistics.paired_binary import excludes_drop, mcnemar_p
from harness.statistics.paired_graded import alike_jumps, few_moved_from, jumps_p, moved_units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def least_drop(holds: Callable[[float], bool], high: float, precision: float) -> float | None:
    """The smallest drop with which something holds.

    Args:
        holds: Whether it holds; if so, also for larger drops.
        high: The largest drop.
        precision: Of the result, which holds; where that is finer than floats are there, two neighbours.

    Returns:
        The drop, or None if it doesn't hold even for the largest one.
    """
    if not holds(high):
        return None
    low = 0.0
    while high - low > precision and low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def least_number(holds: Callable[[int], bool], most: int, first: int = 1) -> int | None:
    """The smallest number with which something holds: doubled until it does, then halved.

    Args:
        holds: Whether it holds; small jumps back are ignored.
        most: The largest number to consider.
        first: The first one to try.

    Returns:
        The number, or None if it is above ``most``.
    """
    low, high = 0, first
    while not holds(high):
        low, high = high, high * 2
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


POWER = 0.8


# Share of cases that flip each way by chance when nothing changed, where nothing was observed yet.
USUAL_CHURN = 0.02


_NEGLIGIBLE = 1e-10
# The part of a flip that is added to those of a comparison.
UNSEEN_FLIPS = 0.1


_PRECISION = 5e-4


def churn_of(lost: float, gained: float, n: float, *, unseen: float = UNSEEN_FLIPS) -> float:
    """Probability that a case flips one way by chance, estimated from one comparison.

    Half of all flips, and a part of a flip more, so that a small set without any doesn't claim that none can
    be: with more, sets of few cases are said to find less than they do.
    Many more flips in one direction are a real change: then it is at most what the other direction, with
    fewer, allows within one standard error.

    Args:
        lost: Cases that were lost.
        gained: Cases that were gained.
        n: All cases.
        unseen: That part.
    """
    fewer = min(lost, gained)
    return min(((lost + gained) / 2 + unseen) / (n + 1), (fewer + math.sqrt(fewer + 1)) / n)


@lru_cache(maxsize=1024)
def detectable_drop(
    n: int,
    churn: float,
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    mid: bool = True,
    power: float = POWER,
) -> float | None:
    """Smallest true drop of a pass rate that is called a regression with the given probability.

    Each case is lost with probability ``churn + drop`` and gained with ``churn``, independently. The power is
    exact under this model: the gains are binomial, and so are the losses among the other cases.

    Args:
        n: Pairs.
        churn: Probability that a case flips by chance, each way.
        level: One-sided level at which McNemar's test rejects "no drop".
        margin: A drop is called a regression only if its interval reaches beyond; None: always if rejected.
        confidence: Two-sided, of that interval.
        mid: Use the mid-p form of the test; otherwise the exact one.
        power: Probability of finding the drop.

    Returns:
        The drop, or None if no drop is found with this probability.
    """
    found = regression_power(n, churn, level, margin=margin, confidence=confidence, mid=mid)
    if churn >= 0.5:
        return None
    return least_drop(lambda drop: found(drop) >= power, 1 - 2 * churn, _PRECISION)


def regression_power(
    n: int,
    churn: float,
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    mid: bool = True,
) -> Callable[[float], float]:
    """Probability that a true drop is called a regression, as a function of that drop.

    Args:
        n: Pairs.
        churn: As in :func:`detectable_drop`, like the other arguments.
        level: One-sided level of McNemar's test.
        margin: Largest tolerated drop.
        confidence: Two-sided, of the interval that is compared with it.
        mid: The mid-p form of the test.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))

    def regresses(lost: int, gained: int) -> bool:
        beyond = margin is None or not excludes_drop(lost, gained, n, margin, z)
        return beyond and mcnemar_p(lost, gained, mid=mid) <= level

    return power_of_counts(n, churn, regresses)


def power_of_counts(n: int, churn: float, regresses: Callable[[int, int], bool]) -> Callable[[float], float]:
    """Probability that a true drop is called a regression, as a function of that drop, by any rule of counts.

    Args:
        n: Number of cases.
        churn: Probability that a case flips by chance, each way.
        regresses: Whether so many lost and gained cases are a regression; more lost ones still are.
    """
    import numpy as np
    from scipy.special import bdtrc

    gains, chance = gain_chances(n, churn)
    needed = np.array([_least_losses(n, int(gained), regresses) for gained in gains])
    rest = n - gains
    possible = needed <= rest

    def found(drop: float) -> float:
        share = min((churn + drop) / (1 - churn), 1.0) if churn < 1 else 0.0
        reject = bdtrc((needed[possible] - 1).astype(float), rest[possible], share)
        return float((chance[possible] * reject).sum())

    return found


def gain_chances(n: int, churn: float) -> "tuple[NDArray[np.int_], NDArray[np.float64]]":
    """Numbers of cases gained by chance with their probabilities, without very improbable ones.

    Args:
        n: Number of cases.
        churn: Probability that a case is gained by chance.

    Returns:
        The numbers, and the probability of each.
    """
    import numpy as np
    from scipy.special import gammaln, xlogy

    gains = np.arange(n + 1)
    chance = np.exp(
        gammaln(n + 1) - gammaln(gains + 1) - gammaln(n - gains + 1)
        + xlogy(gains, churn) + xlogy(n - gains, 1 - churn)
    )  # fmt: skip
    likely = chance > _NEGLIGIBLE
    return gains[likely], chance[likely]


def _least_losses(n: int, gained: int, regresses: Callable[[int, int], bool]) -> int:
    """Fewest losses that are a regression, given the gains; more than all cases if none are."""
    low, high = 1, n - gained + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if regresses(middle, gained) else (middle + 1, high)
    return low


# Number of moved units from which their spread says how scores move; below, few of them decide. The normal
# approximation needs an effective number.
_SPREAD_FROM = 5
_BY_CHANCE = 1e-9  # smaller moves are rounding
_ALL_FLIP = 0.5
# Quantiles of the estimated error over which its distribution is taken.
_POINTS = 64


def detectable_mean_drop(
    units: Units,
    level: float,
    *,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    reach: float = 1.0,
    rise: float | None = None,
    light_tails: bool = False,
    power: float = POWER,
) -> float | None:
    """Smallest true mean drop that is called a regression with the given probability.

    If enough units moved, all of them fall by the same amount, and their spread stays: found by the rule
    itself on samples of them, of many units by Student's t. If so few moved that jumps are counted, the
    counted variance contains the drop itself: d sqrt(n) = z sqrt(s^2 + d^2). If hardly any moved, the drop is
    assumed to consist of units that are lost completely, each by ``reach``: of all drops of one size these
    are the hardest to find.

    Args:
        units: The drops, baseline minus candidate.
        level: One-sided level at which "no drop" is rejected.
        margin: A drop is called a regression only if its interval reaches beyond; None: always if rejected.
        confidence: Two-sided, of that interval.
        reach: Drop of a unit that is lost completely.
        rise: What a unit can gain, as for :func:`~harness.statistics.paired_graded.mean_drop`; with light
            tails by one of its parts.
        light_tails: As for the same function.
        power: Probability of finding the drop.

    Returns:
        The drop, or None if no drop is found with this probability.
    """
    from scipy.special import ndtri

    z_power = float(ndtri(power))
    z = float(ndtri(1 - level)) + z_power
    moved = sum(abs(total) > _BY_CHANCE for total in units.sums)
    limits = (level, margin, confidence)
    if moved >= _SPREAD_FROM and by_rule(units):
        guess = drop_by_t(_error(units), degrees_of_freedom(units), *limits, power)
        return detectable_fall(units, *limits, rise, power, light_tails=light_tails, guess=guess)
    counted = few_moved_from(units) is not None
    if counted and (moved_units(units) < _SPREAD_FROM or units.count <= z * z):
        return _detectable_losses(units, level, margin, confidence, reach, rise, power)
    unseen = -math.inf if rise is None else rise * (level ** (-1 / units.effective) - 1)
    if not counted:
        return drop_by_t(_error(units), degrees_of_freedom(units), *limits, power, least=unseen)
    error = standard_error(units)
    # Compared with the spread alone, counting needs more by the drop's own part of the variance.
    own = math.sqrt(1 - z * z / units.count)
    return max(z * error / own, unseen + z_power * error, _reaching(margin, error, confidence, power))


def _error(units: Units) -> float:
    """Standard error of the mean, from the spread that units of these sizes have."""
    return math.sqrt(math.fsum(spreads(units))) / math.fsum(units.sizes)


def drop_by_t(
    error: float,
    freedom: float,
    level: float,
    margin: float | None,
    confidence: float,
    power: float,
    *,
    least: float = -math.inf,
) -> float:
    """The drop that Student's t finds: beyond chance and beyond the margin together.

    The estimated error varies: a small one shows the drop, but leaves the interval's end within the margin.
    So the probability of both is the mean over that estimate's distribution.

    Args:
        error: Standard error of the mean drop.
        freedom: Degrees of freedom of its estimate.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected.
        confidence: Two-sided, of the interval that is compared with it.
        power: Probability of finding the drop.
        least: An observed drop below is never rejected.
    """
    from scipy.special import ndtr

    wanted = wanted_by_t(error, freedom, level, margin, confidence, least=least)
    if error == 0:
        return float(wanted.max())
    most = float(wanted.max()) + 10 * error
    found = least_drop(lambda drop: float(ndtr((drop - wanted) / error).mean()) >= power, most, 1e-6 * error)
    return most if found is None else found


def wanted_by_t(
    error: float,
    freedom: float,
    level: float,
    margin: float | None,
    confidence: float,
    *,
    least: float = -math.inf,
) -> "NDArray[np.float64]":
    """How large the observed drop has to be, at quantiles of the estimated error that are equally likely.

    Args:
        error: Standard error of the mean drop.
        freedom: Degrees of freedom of its estimate.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: always a regression if rejected.
        confidence: Two-sided, of the interval that is compared with it.
        least: An observed drop below is never rejected.
    """
    import numpy as np
    from scipy.special import stdtrit

    needed, bound = (float(stdtrit(freedom, chance)) for chance in (1 - level, (1 + confidence) / 2))
    estimates = error * _relative_errors(freedom)
    wanted: NDArray[np.float64] = np.maximum(needed * estimates, least)
    return wanted if margin is None else np.maximum(wanted, margin - bound * estimates)


@lru_cache(maxsize=64)
def _relative_errors(freedom: float) -> "NDArray[np.float64]":
    """Quantiles of an estimated error, in true errors."""
    import numpy as np
    from scipy.special import gammaincinv

    chances = (np.arange(_POINTS) + 0.5) / _POINTS
    errors: NDArray[np.float64] = np.sqrt(2 * gammaincinv(freedom / 2, chances) / freedom)
    return errors


def _detectable_losses(
    units: Units,
    level: float,
    margin: float | None,
    confidence: float,
    reach: float,
    rise: float | None,
    power: float,
) -> float | None:
    """The drop that consists of units that are lost completely."""
    from scipy.special import ndtri

    n, moves = units.count, units.scaled
    if margin is not None and margin >= reach:
        return None
    down = math.fsum(move for move in moves if move > 0)
    up = -math.fsum(move for move in moves if move < 0)
    gain = reach if rise is None else min(reach, rise)
    churn = churn_of(down / reach, up / gain if gain > 0 else 0.0, n)
    z = float(ndtri((1 + confidence) / 2))
    if churn >= _ALL_FLIP:
        return None

    def regresses(lost: int, gained: int) -> bool:
        fallen, risen, jump = alike_jumps(lost, gained, reach, rise)
        beyond = margin is None or (margin < jump and not excludes_drop(fallen, risen, n, margin / jump, z))
        return beyond and jumps_p(lost, gained, n, reach, rise) <= level

    found = power_of_counts(n, churn, regresses)
    share = least_drop(lambda drop: found(drop) >= power, 1 - 2 * churn, _PRECISION)
    # As many gain by chance as lose, but a gain may be smaller.
    return None if share is None else share * reach + churn * (reach - gain)


def _reaching(margin: float | None, error: float, confidence: float, power: float) -> float:
    """The drop from which the interval's upper end is beyond the margin with this probability."""
    from scipy.special import ndtri

    if margin is None:
        return -math.inf
    return margin - float(ndtri((1 + confidence) / 2) - ndtri(power)) * error
