"""The size of a true drop that the gate can find."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.statistics.clusters import Units
from harness.statistics.paired_binary import excludes_drop, mcnemar_p
from harness.statistics.paired_graded import few_moved_from
from harness.statistics.rates import CONFIDENCE, standard_error

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POWER = 0.8
# Share of cases that flip each way by chance when nothing changed: assumed if fewer were observed, or none in
# a set that is too small to show them.
LEAST_CHURN = 0.02
UNSEEN_CHURN = 0.05
_NEGLIGIBLE = 1e-10
_PRECISION = 5e-4


def churn_of(lost: float, gained: float, n: float) -> float:
    """Probability that a case flips one way by chance, estimated from one comparison.

    The direction with fewer flips is taken to contain no real change. The smaller of two counts is too small
    on average, so its standard error is added.

    Args:
        lost: Cases that were lost.
        gained: Cases that were gained.
        n: All cases.
    """
    fewer = min(lost, gained)
    likely = (fewer + math.sqrt(fewer + 1)) / n
    return max(likely if fewer else min(likely, UNSEEN_CHURN), LEAST_CHURN)


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
    low, high = 0.0, 1 - 2 * churn
    if high <= 0 or found(high) < power:
        return None
    while high - low > _PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high


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
    import numpy as np
    from scipy.special import bdtrc, ndtri

    z = float(ndtri((1 + confidence) / 2))

    def regresses(lost: int, gained: int) -> bool:
        beyond = margin is None or not excludes_drop(lost, gained, n, margin, z)
        return beyond and mcnemar_p(lost, gained, mid=mid) <= level

    gains, chance = gain_chances(n, churn)
    needed = np.array([_least_losses(n, int(gained), regresses) for gained in gains])
    rest = n - gains
    possible = needed <= rest

    def found(drop: float) -> float:
        share = min((churn + drop) / (1 - churn), 1.0)
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


def cases_that_settle(
    lost: float, gained: float, n: int, margin: float, confidence: float = CONFIDENCE
) -> int | None:
    """Rough number of cases that exclude a drop beyond the margin, if further cases flip as often as these.

    Args:
        lost: Cases lost.
        gained: Cases gained.
        n: Pairs compared so far.
        margin: Largest tolerated drop.
        confidence: Two-sided, of the interval that is compared with the margin.

    Returns:
        The number, rounded up to tens; None if even ten thousand times the cases would not be enough.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))

    def settles(cases: int) -> bool:
        share = cases / n
        return excludes_drop(lost * share, gained * share, cases, margin, z)

    low, high = n, n
    while not settles(high):
        low, high = high, high * 2
        if high > n * 10_000:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return math.ceil(high / 10) * 10


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

    If enough units moved, it is the normal approximation with their spread. If few moved, the spread is
    unknown, and the drop is assumed to consist of units that are lost completely, each by ``reach``: of all
    drops of one size these are the hardest to find.

    Args:
        units: The drops, baseline minus candidate.
        level: One-sided level at which the sign-flip test rejects "no drop".
        margin: A drop is called a regression only if its interval reaches beyond; None: always if rejected.
        confidence: Two-sided, of that interval.
        reach: Drop of a unit that is lost completely.
        power: Probability of finding the drop.

    Returns:
        The drop, or None if no drop is found with this probability.
    """
    from scipy.special import ndtri

    if few_moved_from(units) is None:
        spread = standard_error(units)
        rejected = float(ndtri(1 - level) + ndtri(power)) * spread
        reaching = -math.inf
        if margin is not None:
            reaching = margin - float(ndtri((1 + confidence) / 2) - ndtri(power)) * spread
        return max(rejected, reaching)
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
