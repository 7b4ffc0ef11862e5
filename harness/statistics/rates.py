"""One rate or mean with its interval."""

import math
from collections.abc import Sequence

from harness.types import Interval

# Two-sided confidence of the intervals around a single mean.
CONFIDENCE = 0.95


def wilson(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a rate.

    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22.

    Args:
        successes: How many succeeded.
        n: Of how many; at least 1.
        confidence: Two-sided.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(
        estimate=rate,
        low=0.0 if successes == 0 else centre - half,
        high=1.0 if successes == n else centre + half,
        confidence=confidence,
        method="Wilson",
    )


def mean_interval(
    values: Sequence[float], clusters: Sequence[str | int], confidence: float = CONFIDENCE, span: float = 1.0
) -> Interval:
    """Interval of a mean: Student's t on the clusters' sums.

    With one case a cluster it is the ordinary t interval. With several it is the linearised ratio estimator
    (Cochran, W. G. (1977). Sampling Techniques, 3rd ed., ch. 6 and 9A): whole clusters are what was sampled.

    Where nothing varies there is no spread to estimate. A part of the population up to ``1 - alpha^(1/G)``
    may still differ unseen (the rule of three's exact form), by at most ``span``: that is the half width.

    Args:
        values: One number a case, at least one.
        clusters: Each case's cluster; a name of its own for a case without one.
        confidence: Two-sided.
        span: Largest difference that a single case can make.
    """
    from scipy.special import stdtrit

    n = len(values)
    mean = math.fsum(values) / n
    sums: dict[str | int, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums.setdefault(cluster, []).append(value)
    groups = len(sums)
    alpha = (1 - confidence) / 2
    unseen = (1 - alpha ** (1 / groups)) * span
    residuals = [math.fsum(group) - len(group) * mean for group in sums.values()]
    squares = math.fsum(residual * residual for residual in residuals)
    if groups < 2 or squares < 1e-18:
        return Interval(
            estimate=mean,
            low=mean - unseen,
            high=mean + unseen,
            confidence=confidence,
            method="rule of three",
        )
    error = math.sqrt(squares * groups / (groups - 1)) / n
    half = float(stdtrit(groups - 1, 1 - alpha)) * error
    method = "t" if groups == n else f"t over {groups} clusters"
    return Interval(estimate=mean, low=mean - half, high=mean + half, confidence=confidence, method=method)
