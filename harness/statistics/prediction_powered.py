"""A mean from many judged items, corrected by the few that people labelled too."""

import math
from collections.abc import Sequence

from harness.statistics.rates import CONFIDENCE
from harness.types import Interval


def prediction_powered_mean(
    labels: Sequence[float],
    judged: Sequence[float],
    judged_only: Sequence[float],
    confidence: float = CONFIDENCE,
) -> Interval:
    """Mean of what people would say, over all items, with an interval that holds however wrong the judge is.

    The judge's mean over the unlabelled items, plus its mean error on the labelled ones. Angelopoulos, A. et
    al. (2023), Prediction-powered inference, Science 382; the judge is weighed by how much it helps as in
    Angelopoulos, A., Duchi, J. and Zrnic, T. (2023), PPI++ (arXiv:2311.01453): a useless one is left out.
    With so few labels that normality is doubtful, Student's t takes its place.

    Args:
        labels: People's values of the labelled items, at least two.
        judged: The judge's values of the same items.
        judged_only: The judge's values of the items that nobody labelled; drawn like the labelled ones.
        confidence: Two-sided.

    Raises:
        ValueError: There are fewer than two labelled items, or not one judged value a label.
    """
    n, more = len(labels), len(judged_only)
    if n < 2 or len(judged) != n:
        raise ValueError("at least two labelled items are needed, each with the judge's value")
    from scipy.special import stdtrit

    weight = _weight(labels, judged, judged_only)
    corrections = [label - weight * own for label, own in zip(labels, judged, strict=True)]
    estimate = _mean(corrections) + (weight * _mean(judged_only) if more else 0.0)
    variance = _variance(corrections) / n
    if more > 1:
        variance += weight**2 * _variance(judged_only) / more
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * math.sqrt(variance)
    return Interval(
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        confidence=confidence,
        method=f"prediction-powered, {n} labelled, {more} judged only, weight {weight:.2f}",
    )


def _weight(labels: Sequence[float], judged: Sequence[float], judged_only: Sequence[float]) -> float:
    """The weight of the judge that makes the variance least, from 0 to 1."""
    if len(judged_only) < 2:
        return 0.0
    n, mean_label, mean_judged = len(labels), _mean(labels), _mean(judged)
    shared = math.fsum(
        (label - mean_label) * (own - mean_judged) for label, own in zip(labels, judged, strict=True)
    ) / (n - 1)
    spread = _variance([*judged, *judged_only])
    if spread == 0:
        return 0.0
    return min(max(shared / ((1 + n / len(judged_only)) * spread), 0.0), 1.0)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
