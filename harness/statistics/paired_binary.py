"""Pass or fail on both sides of each case: test and interval of the drop."""

import math

from harness.types import Interval

# In cases. Without it a drop at the margin passes in up to 7 % of runs where flips are few; with it in 5 %.
CONTINUITY = 0.25
_STEPS = 60  # halvings in the search for a bound: beyond a float's precision


def mcnemar_p(lost: int, gained: int, *, mid: bool = True) -> float:
    """One-sided p-value of "no drop", given the number of flipped cases.

    McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions.
    Psychometrika 12. The mid-p form counts half of the probability of the observation: Fagerland, M. W.,
    Lydersen, S. and Laake, P. (2013). The McNemar test for binary matched-pairs data. BMC Med. Res.
    Methodology 13:91. Without flips it is 1.

    Args:
        lost: Cases that the baseline passed and the candidate fails.
        gained: The reverse.
        mid: Use the mid-p form; otherwise the exact conditional test, which is conservative.
    """
    from scipy.special import bdtrc

    flips = lost + gained
    if lost == 0:
        return 1.0
    at_least = float(bdtrc(lost - 1, flips, 0.5))
    if not mid:
        return at_least
    more = float(bdtrc(lost, flips, 0.5)) if lost < flips else 0.0
    return (at_least + more) / 2


def tango_interval(
    lost: float, gained: float, n: float, confidence: float, *, continuity: float = CONTINUITY
) -> Interval:
    """Score interval of a paired drop, (lost - gained) / n.

    Tango, T. (1998). Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design. Statistics in Medicine 17, 891-908; with a continuity correction as in Chang, P. et
    al. (2024). Continuity corrected score confidence interval for the difference in proportions in paired
    data. J. Applied Statistics 51(1), 139-152, though a smaller one. It has a width above zero even if
    nothing flipped; this width is compared with a margin.

    Args:
        lost: Cases that the baseline passed and the candidate fails; effective counts may be fractions.
        gained: The reverse.
        n: All pairs, above zero.
        confidence: Two-sided.
        continuity: Correction in cases; 0 gives Tango's own interval.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    return Interval(
        estimate=(lost - gained) / n,
        low=-_upper(gained, lost, n, z, continuity),
        high=_upper(lost, gained, n, z, continuity),
        confidence=confidence,
        method="Tango score",
    )


def excludes_drop(
    lost: float, gained: float, n: float, drop: float, z: float, continuity: float = CONTINUITY
) -> bool:
    """Whether the one-sided score test rejects a true drop of this size.

    Args:
        lost: Cases lost.
        gained: Cases gained.
        n: All pairs.
        drop: The true drop in question, above -1 and below 1.
        z: Normal quantile of the level.
        continuity: Correction in cases.
    """
    return bool(_score(lost, gained, n, drop, continuity) <= -z)


def bound_without_flips(n: float, z: float, continuity: float = CONTINUITY) -> float:
    """Upper end of :func:`tango_interval` without flips, in closed form.

    Without flips the score test rejects a drop d if n d - c >= z sqrt(n d (1 - d)), a quadratic in d.

    Args:
        n: All pairs.
        z: Normal quantile of the level.
        continuity: Correction in cases.
    """
    a = n * n + z * z * n
    b = 2 * n * continuity + z * z * n
    return min((b + math.sqrt(b * b - 4 * a * continuity * continuity)) / (2 * a), 1.0)


def drop_p(
    lost: float, gained: float, n: float, drop: float = 0.0, *, continuity: float = CONTINUITY
) -> float:
    """One-sided p-value of "the true drop is at most this", by the score test that the interval inverts.

    It is the error level at which the lower end of :func:`tango_interval` would be at ``drop``, so test and
    interval never contradict each other. If all n pairs were lost, p is at least the probability of that, ((1
    + drop) / 2)^n.

    Args:
        lost: Cases lost; effective counts may be fractions.
        gained: Cases gained.
        n: All pairs.
        drop: The largest drop under the hypothesis.
        continuity: Correction in cases.
    """
    from scipy.special import ndtr

    if not -1 < drop < 1:
        return 1.0 if drop >= 1 else 0.0
    statistic = _score(gained, lost, n, -drop, continuity)
    return max(float(ndtr(statistic)), float(((1 + drop) / 2) ** n))


def _score(lost: float, gained: float, n: float, drop: float, continuity: float) -> float:
    """Tango's standardised distance of the counts from a true drop; far below 0 the drop is rejected."""
    # The nuisance parameter, a gain's probability, at its most likely value under this drop.
    a = 2 * n
    b = -lost - gained + (2 * n - lost + gained) * drop
    c = -gained * drop * (1 - drop)
    gain = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    distance = lost - gained - n * drop + continuity
    variance = n * (2 * gain + drop * (1 - drop))
    if variance <= 0:
        return math.inf if distance > 0 else -math.inf if distance < 0 else 0.0
    return distance / math.sqrt(variance)


def _upper(lost: float, gained: float, n: float, z: float, continuity: float) -> float:
    """Smallest drop that is rejected."""
    low, high = max((lost - gained) / n, -1 + 1e-12), 1.0
    if lost >= n - 1e-9:
        return 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if excludes_drop(lost, gained, n, middle, z, continuity) else (middle, high)
    return max(high, least_bound(n, z))


def least_bound(n: float, z: float) -> float:
    """Lower limit of the upper bound for n pairs: with a handful of pairs the score test is too sure.

    Even if all pairs gained, a drop is not rejected if its probability of that result, ((1 - drop) / 2)^n at
    most, is above the level.

    Args:
        n: All pairs.
        z: Normal quantile of the level.
    """
    from scipy.special import ndtr

    return float(1 - 2 * ndtr(-z) ** (1 / n))
