"""The number of cases that a golden set needs, before any model has answered them."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from harness.statistics.clusters import CONFIDENCE
from harness.statistics.paired_binary import excludes_drop, least_bound
from harness.statistics.power import POWER, gain_chances, least_number, regression_power

# A larger set is unrealistic: the answer is then "none".
MOST_CASES = 20_000
_MOST_TO_SETTLE = 1_000_000
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


@lru_cache(maxsize=256)
def cases_to_pass(
    margin: float, churn: float, power: float = POWER, confidence: float = CONFIDENCE
) -> int | None:
    """Number of independent cases with which an equal candidate passes with the given probability.

    Args:
        margin: The largest drop that is tolerated, a fraction.
        churn: Probability that a case flips one way by chance.
        power: Probability of passing that is wanted.
        confidence: Of the interval that has to stay within the margin.

    Returns:
        The number, rounded up to tens; None if it is above MOST_CASES.
    """
    if margin <= 0:
        return None
    return least_of_cases(lambda n: pass_chance(n, churn, margin, confidence) >= power)


@lru_cache(maxsize=256)
def cases_to_detect(
    drop: float,
    churn: float,
    level: float,
    *,
    margin: float | None = None,
    power: float = POWER,
    confidence: float = CONFIDENCE,
) -> int | None:
    """Number of independent cases with which a true drop is called a regression with the given probability.

    Args:
        drop: The true drop.
        churn: Probability that a case flips by chance, each way.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: any drop beyond chance is a regression.
        power: The probability.
        confidence: Two-sided, of the interval that is compared with the margin.

    Returns:
        The number, rounded up to tens; None if it is above MOST_CASES.
    """
    if not 0 < drop <= 1 - 2 * churn:
        return None

    def finds(n: int) -> bool:
        return regression_power(n, churn, level, margin=margin, confidence=confidence)(drop) >= power

    return least_of_cases(finds)


@lru_cache(maxsize=1024)
def cases_that_settle(
    lost: float, gained: float, n: int, margin: float, level: float, confidence: float = CONFIDENCE
) -> int | None:
    """Number of cases with which such a set is decided with probability 0.8, whichever way.

    Further cases are lost and gained as often as these. Above 2000 cases both probabilities are normal
    approximations.

    Args:
        lost: Cases lost.
        gained: Cases gained.
        n: Pairs compared so far.
        margin: Largest tolerated drop.
        level: One-sided level at which "no drop" is rejected.
        confidence: Two-sided, of the interval that is compared with the margin.

    Returns:
        The number, rounded up to tens; None if it is above MOST_CASES.
    """
    gain, drop = gained / n, (lost - gained) / n

    def decided(cases: int) -> bool:
        if cases > _EXACT_UP_TO:
            return _normal_chance(cases, gain, drop, margin, level, confidence) >= POWER
        passes = pass_chance(cases, gain, margin, confidence, drop=drop)
        regresses = regression_power(cases, gain, level, margin=margin, confidence=confidence)(drop)
        return passes + regresses >= POWER

    return least_of_cases(decided, most=_MOST_TO_SETTLE, least=n)


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
