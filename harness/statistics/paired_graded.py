"""A graded score on both sides of each case: is there a drop, and how large may it be?"""

import math
from collections.abc import Sequence

from harness.types import Interval

_EXACT_UP_TO = 14  # 2^14 sign patterns are enumerated; beyond that they are drawn
_RESAMPLES = 9999
# Below so many clusters the bootstrap's intervals are too narrow; Student's t holds its level better.
_BOOTSTRAP_FROM = 20


def sign_flip_p(drops: Sequence[float], clusters: Sequence[str | int]) -> float:
    """One-sided p-value of "no drop": the chance of so large a sum if each cluster's sign were a coin's.

    Fisher, R. A. (1935). The Design of Experiments, section 21. Exact for few clusters, else by random signs;
    the observed pattern is counted in, so that the p-value is valid (Phipson and Smyth 2010).

    Args:
        drops: Baseline minus candidate, one a case.
        clusters: Each case's cluster; whole clusters change their sign.
    """
    import numpy as np

    sums: dict[str | int, float] = {}
    for drop, cluster in zip(drops, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + drop
    moved = np.array([total for total in sums.values() if total != 0.0])
    if moved.size == 0:
        return 1.0
    observed = moved.sum() - 1e-12 * np.abs(moved).sum()
    if moved.size <= _EXACT_UP_TO:
        patterns = (np.arange(2**moved.size)[:, None] >> np.arange(moved.size)) & 1
        return float(((2 * patterns - 1) @ moved >= observed).mean())
    random = np.random.default_rng(moved.size)
    signs = random.integers(0, 2, size=(_RESAMPLES, moved.size)) * 2 - 1
    return float((1 + (signs @ moved >= observed).sum()) / (1 + _RESAMPLES))


def paired_interval(
    drops: Sequence[float], clusters: Sequence[str | int], confidence: float, span: float
) -> Interval:
    """Interval of the mean drop: bias-corrected accelerated bootstrap over clusters, t for few of them.

    Efron, B. (1987). Better bootstrap confidence intervals. JASA 82. The seed is fixed: the same scores give
    the same interval.

    Args:
        drops: Baseline minus candidate, one a case.
        clusters: Each case's cluster; whole clusters are resampled.
        confidence: Two-sided.
        span: Largest drop that a single case can have.
    """
    import numpy as np

    from harness.statistics.rates import mean_interval

    plain = mean_interval(drops, clusters, confidence, span)
    sums: dict[str | int, list[float]] = {}
    for drop, cluster in zip(drops, clusters, strict=True):
        sums.setdefault(cluster, []).append(drop)
    if len(sums) < _BOOTSTRAP_FROM or plain.method == "rule of three":
        return plain
    from scipy.stats import bootstrap

    totals = np.array([math.fsum(group) for group in sums.values()])
    sizes = np.array([float(len(group)) for group in sums.values()])

    def ratio(total: np.ndarray, size: np.ndarray, axis: int = -1) -> np.ndarray:
        quotient: np.ndarray = total.sum(axis=axis) / size.sum(axis=axis)
        return quotient

    result = bootstrap(
        (totals, sizes),
        ratio,
        paired=True,
        vectorized=True,
        confidence_level=confidence,
        n_resamples=4999,
        method="BCa",
        rng=np.random.default_rng(0),
    )
    low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        return plain
    return Interval(
        estimate=plain.estimate, low=low, high=high, confidence=confidence, method="BCa bootstrap"
    )


def detectable_drop(drops: Sequence[float], alpha: float, power: float = 0.8) -> float | None:
    """Smallest true mean drop found with the given power, by the normal approximation; None below 5 pairs."""
    from scipy.special import ndtri

    n = len(drops)
    if n < 5:
        return None
    mean = math.fsum(drops) / n
    deviation = math.sqrt(math.fsum((drop - mean) ** 2 for drop in drops) / (n - 1))
    return float(ndtri(1 - alpha) + ndtri(power)) * deviation / math.sqrt(n) if deviation else None
