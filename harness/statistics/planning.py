"""The number of cases that a golden set needs, before any model has answered them."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from harness.statistics.clusters import CONFIDENCE
from harness.statistics.paired_binary import excludes_drop, least_bound
from harness.statistics.power import POWER, USUAL_CHURN, gain_chances, least_number, regression_power

# A larger set is unrealistic: the answer is then "none".
MOST_CASES = 1_000_000
_EXACT_UP_TO = 2000
# The most times as many clusters as there are.
_MOST_TIMES = 64
_Unit = TypeVar("_Unit")


def pass_chance(
    n: int,
    churn: float,
    margin: float,
    confidence: float = CONFIDENCE,
    *,
    drop: float = 0.0,
    within: Callable[[int, int], bool] | None = None,
) -> float:
    """Probability that a candidate passes.

    Args:
        n: Independent cases.
        churn: Probability that a case is gained by chance; it is lost with this one plus the drop.
        margin: Largest tolerated drop.
        confidence: Two-sided, of the interval that is compared with the margin.
        drop: The true drop; 0 for an equal candidate.
        within: Whether so many lost and gained cases pass, where it is not the rule of a pass rate.
    """
    import numpy as np
    from scipy.special import bdtr, ndtri

    z = float(ndtri((1 + confidence) / 2))
    if within is None and least_bound(n, z) > margin:
        return 0.0
    gains, chances = gain_chances(n, churn)
    passing = within or (lambda lost, gained: excludes_drop(lost, gained, n, margin, z))
    most = np.array(_most_losses(n, [int(gained) for gained in gains], passing))
    allowed = most >= 0
    if not bool(allowed.any()):
        return 0.0
    # Where each case is gained, none is left to be lost.
    share = min((churn + drop) / (1 - churn), 1.0) if churn < 1 else 0.0
    passes = bdtr(np.minimum(most, n - gains)[allowed].astype(float), (n - gains)[allowed], share)
    return float((chances[allowed] * passes).sum())


def _most_losses(n: int, gains: Sequence[int], passes: Callable[[int, int], bool]) -> list[int]:
    """Most losses, for each number of gains, that pass; -1 if even none does. More gains allow no fewer.

    Args:
        n: Cases.
        gains: Increasing.
        passes: Whether so many lost and gained cases pass.
    """
    found, most = [], -1
    for gained in gains:
        while most < n - gained and passes(most + 1, gained):
            most += 1
        found.append(most)
    return found


def rates_seen(lost: float, gained: float, n: float) -> tuple[float, float]:
    """How often further cases are lost and gained, after so many of n: with one more of either.

    What was seen is chance: half of the sets of 40 cases of which 2 % flip show one flip or none. Taken as it
    is, it promises numbers that settle a set in 55 to 70 % of runs instead of 80 %. Of fewer than 50 cases
    that one is the usual share of them, so that a handful without a flip needs what is said before any run.

    Args:
        lost: Cases lost.
        gained: Cases gained.
        n: All cases compared.

    Returns:
        Both probabilities.
    """
    more = min(USUAL_CHURN * n, 1.0)
    return (lost + more) / (n + 2 * more), (gained + more) / (n + 2 * more)


@lru_cache(maxsize=1024)
def cases_that_settle(
    lose: float,
    gain: float,
    margin: float,
    level: float,
    confidence: float = CONFIDENCE,
    *,
    power: float = POWER,
    least: int = 1,
) -> int | None:
    """Number of independent cases that are decided with the given probability, whichever way.

    Above 2000 cases both verdicts' probabilities are normal approximations.

    Args:
        lose: Probability that a case is lost.
        gain: Probability that one is gained; an equal candidate has both alike.
        margin: Largest tolerated drop.
        level: One-sided level at which "no drop" is rejected.
        confidence: Two-sided, of the interval that is compared with the margin.
        power: The probability.
        least: The smallest number to consider.

    Returns:
        The number, rounded up to tens; None if it is above a million.
    """
    drop = lose - gain

    def decided(cases: int) -> bool:
        if cases > _EXACT_UP_TO:
            return _normal_chance(cases, gain, drop, margin, level, confidence) >= power
        passes = pass_chance(cases, gain, margin, confidence, drop=drop)
        regresses = regression_power(cases, gain, level, margin=margin, confidence=confidence)(drop)
        return passes + regresses >= power

    return least_of_cases(decided, most=MOST_CASES, least=least)


def _normal_chance(n: int, gain: float, drop: float, margin: float, level: float, confidence: float) -> float:
    """Probability that so many cases are decided, by the normal approximation."""
    from scipy.special import ndtr, ndtri

    error = math.sqrt(max(2 * gain + drop - drop * drop, 1e-12) / n)
    passes = ndtr((margin - drop) / error - ndtri((1 + confidence) / 2))
    regresses = ndtr(drop / error - ndtri(1 - level)) if drop > 0 else 0.0
    return float(passes + regresses)


def least_of_cases(suffices: Callable[[int], bool], most: int = MOST_CASES, least: int = 1) -> int | None:
    """Smallest sufficient number of cases in tens, by bisection; small jumps in between are ignored.

    Args:
        suffices: Whether a number of cases is enough.
        most: The largest number to consider.
        least: The smallest.
    """
    tens = least_number(lambda each: suffices(each * 10), most // 10, max(math.ceil(least / 10), 1))
    return None if tens is None else tens * 10


def times_as_many(units: Sequence[_Unit], suffices: Callable[[Sequence[_Unit]], bool]) -> int | None:
    """How many times as many clusters like these are enough, by bisection.

    Args:
        units: The clusters: of each the number of cases, or the number of answers to each of its cases.
        suffices: Whether such clusters are enough.

    Returns:
        The factor, 1 or more; None if even a large one is not enough.
    """

    def enough(times: int) -> bool:
        many = tuple(units) * times
        return len(many) > 1 and suffices(many)

    return least_number(enough, _MOST_TIMES)
