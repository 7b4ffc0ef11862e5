"""Pass or fail on both sides of each case: is there a drop, and how large may it be?"""

import math

from harness.types import Interval


def mcnemar_p(lost: int, gained: int) -> float:
    """One-sided exact p-value of "no drop": the chance of at least so many losses among the flips.

    McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions.
    Psychometrika 12; the conditional binomial form. No flips give 1.

    Args:
        lost: Cases that the baseline passed and the candidate fails.
        gained: The reverse.
    """
    from scipy.special import bdtrc

    flips = lost + gained
    return 1.0 if lost == 0 else float(bdtrc(lost - 1, flips, 0.5))


def tango_interval(lost: int, gained: int, n: int, confidence: float) -> Interval:
    """Score interval of a paired drop, (lost - gained) / n.

    Tango, T. (1998). Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design. Statistics in Medicine 17, 891-908. It keeps its level in small samples and has a
    width above zero when nothing flipped, which is what a margin is held against.

    Args:
        lost: Cases that the baseline passed and the candidate fails.
        gained: The reverse.
        n: All pairs; at least 1.
        confidence: Two-sided.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    estimate = (lost - gained) / n

    def score(drop: float) -> float:
        # The nuisance probability of a gain, estimated under the hypothesised drop.
        a = 2 * n
        b = -lost - gained + (2 * n - lost + gained) * drop
        c = -gained * drop * (1 - drop)
        gain = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = n * (2 * gain + drop * (1 - drop))
        difference = lost - gained - n * drop
        if variance <= 0:
            return math.copysign(math.inf, difference) if difference else 0.0
        return difference / math.sqrt(variance)

    def bound(target: float, low: float, high: float) -> float:
        # Infinite at the ends: a finite stand-in keeps the root finder going.
        def shifted(drop: float) -> float:
            return max(min(score(drop), 1e6), -1e6) - target

        if shifted(low) * shifted(high) > 0:
            return low if target > 0 else high
        return float(brentq(shifted, low, high, xtol=1e-10))

    edge = 1 - 1e-9
    return Interval(
        estimate=estimate,
        low=-1.0 if gained == n else bound(z, -edge, estimate),
        high=1.0 if lost == n else bound(-z, estimate, edge),
        confidence=confidence,
        method="Tango",
    )


def detectable_drop(n: int, churn: float, alpha: float, power: float = 0.8) -> float | None:
    """Smallest true drop that the exact test finds with the given power, or None if there is none.

    Each case is lost with probability ``churn + drop`` and gained with ``churn``. The power is exact: the
    number of flips is binomial, and so are the losses among them.

    Args:
        n: Pairs.
        churn: Probability that a case flips in the good direction by chance; so many flip back.
        alpha: One-sided level of the test.
        power: Probability with which the drop shall be found.
    """
    import numpy as np
    from scipy.special import bdtr, gammaln, xlogy

    flips = np.arange(n + 1)
    needed = np.array(_losses_that_reject(n, alpha))

    def found(drop: float) -> float:
        flip = 2 * churn + drop
        log_flips = (
            gammaln(n + 1) - gammaln(flips + 1) - gammaln(n - flips + 1)
            + xlogy(flips, flip) + xlogy(n - flips, 1 - flip)
        )  # fmt: skip
        share = (churn + drop) / flip
        reject = 1 - bdtr(np.maximum(needed - 1, 0).astype(float), flips, share)
        reject[needed > flips] = 0.0
        return float((np.exp(log_flips) * reject).sum())

    low, high = 0.0, 1 - 2 * churn
    if high <= 0 or found(high) < power:
        return None
    while high - low > 5e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= power else (middle, high)
    return high


def _losses_that_reject(n: int, alpha: float) -> list[int]:
    """Least losses at which the exact test rejects, for 0 to n flips; more than the flips where none do."""
    from scipy.special import bdtrc

    needed, losses = [], 1
    for flips in range(n + 1):
        # One flip more never lowers the number of losses needed.
        while losses <= flips and bdtrc(losses - 1, flips, 0.5) > alpha:
            losses += 1
        needed.append(losses if losses <= flips else flips + 1)
    return needed
