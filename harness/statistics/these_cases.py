"""Tests whether exactly these cases got worse: they are the whole population; only the answers are random.

A sample interval is about further cases, so it is wide if cases are few or clustered. Here only answers are
random: if they reproduce, the drop is known without error.
"""

import math
from collections.abc import Sequence

from harness.statistics.mean_drop import MeanDrop
from harness.statistics.per_case import Trials
from harness.statistics.power import POWER
from harness.types import Interval

REPRODUCED = "counted, answers reproduce"
NOISY = "normal, noise of the answers"
_ROUNDING = 1e-9


def counted_drop(drops: Sequence[float], confidence: float) -> MeanDrop:
    """The drop of cases whose answers reproduce: it is known exactly.

    Args:
        drops: Baseline minus candidate, one per case.
        confidence: Only recorded.
    """
    mean = math.fsum(drops) / len(drops)
    return MeanDrop(
        estimate=mean,
        low=mean,
        high=mean,
        high_unseen=mean,
        p_value=0.0 if mean > 0 else 1.0,
        confidence=confidence,
        method=REPRODUCED,
    )


def noisy_drop(trials: Sequence[Trials], confidence: float) -> MeanDrop:
    """The drop of cases whose answers vary.

    The variance is that of the answers inside the cases. Each case's probability is estimated with half an
    answer of either kind added (Jeffreys): one answer says little about a case, so single answers seldom
    decide. Clusters don't matter: given the cases, answers are independent.

    Args:
        trials: Each case's passed answers and all its answers on both sides; at least one on each.
        confidence: Two-sided, of the interval.
    """
    from scipy.special import ndtr, ndtri

    n = len(trials)
    mean = math.fsum(t.baseline_passed / t.baseline - t.candidate_passed / t.candidate for t in trials) / n
    variance = math.fsum(
        _variance(t.baseline_passed, t.baseline) + _variance(t.candidate_passed, t.candidate) for t in trials
    )
    error = math.sqrt(variance) / n
    half = float(ndtri((1 + confidence) / 2)) * error
    return MeanDrop(
        estimate=mean,
        low=mean - half,
        high=mean + half,
        high_unseen=mean + half,
        p_value=float(ndtr(-mean / error)),
        confidence=confidence,
        method=NOISY,
    )


def detectable_drop_of_cases(
    drop: Interval, n: int, level: float, margin: float, *, whole: bool, power: float = POWER
) -> float:
    """Smallest true drop of exactly these cases that is called a regression with the given probability.

    Args:
        drop: The measured drop: its interval says how much the answers vary.
        n: Number of cases.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop.
        whole: Whether each case is lost, gained or neither.
        power: The probability, if answers vary; if they reproduce, every drop beyond the margin is found.
    """
    from scipy.special import ndtri

    half = drop.high - drop.estimate
    if half <= 0:
        return first_drop_beyond(margin, n) if whole else margin
    z = float(ndtri((1 + drop.confidence) / 2))
    rejected = float(ndtri(1 - level) + ndtri(power)) * half / z
    return max(rejected, margin - (z - float(ndtri(power))) * half / z)


def first_drop_beyond(margin: float, n: int) -> float:
    """The smallest drop of n whole cases that is more than a margin.

    Args:
        margin: Largest tolerated drop.
        n: Number of cases.
    """
    return (math.floor(margin * n + _ROUNDING) + 1) / n


def _variance(passed: int, answers: int) -> float:
    """Of a case's mean answer."""
    chance = (passed + 0.5) / (answers + 1)
    return chance * (1 - chance) / answers
