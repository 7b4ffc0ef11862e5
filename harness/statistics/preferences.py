"""Win rates: as observed, and at equal length."""

from collections.abc import Sequence

from harness.statistics.clusters import CONFIDENCE, group
from harness.statistics.paired_graded import paired_interval
from harness.statistics.tied_logistic import fit_tied
from harness.types import Interval

# Lengths whose logarithms are this close are equal.
_SPREAD = 1e-10
# The smallest and the largest difference of a comparison from a tie.
_FROM_TIE = 0.5


def win_rate(
    wins: Sequence[float], clusters: Sequence[str | int], confidence: float = CONFIDENCE
) -> Interval:
    """The rate of preferences, a tie counting half, with the interval of the gate's ``pairwise`` metric.

    Args:
        wins: 1 where the answer was preferred, 0 where the other was, 0.5 for a tie; at least one.
        clusters: Each comparison's cluster; a name of its own for one without.
        confidence: Two-sided.
    """
    drops = group([_FROM_TIE - win for win in wins], clusters)
    drop = paired_interval(drops, confidence, reach=_FROM_TIE, span=_FROM_TIE)
    return Interval(
        estimate=_FROM_TIE - drop.estimate,
        low=_FROM_TIE - drop.high,
        high=_FROM_TIE - drop.low,
        confidence=confidence,
        method=drop.method if drops.count == len(wins) else f"{drop.method} over {drops.count} clusters",
    )


def length_controlled_win_rate(
    wins: Sequence[float],
    length_ratios: Sequence[float],
    clusters: Sequence[str | int] | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The win rate that is expected if both answers have the same length.

    A logistic regression of the preference on the logarithm of the answers' length ratio, squashed by tanh
    as in Dubois, Y. et al. (2024), Length-Controlled AlpacaEval (arXiv:2404.04475), evaluated at equal
    length.

    Args:
        wins: 1 where the answer was preferred, 0 where the other was, 0.5 for a tie.
        length_ratios: Each answer's length over the other's, above 0.
        clusters: Each comparison's cluster; by default all are independent.
        confidence: Two-sided; of the intercept.

    Raises:
        ValueError: There are fewer than two comparisons, or a ratio is not above 0.
    """
    if len(wins) < 2:
        raise ValueError("a win rate needs at least two comparisons")
    if min(length_ratios) <= 0:
        raise ValueError("a length ratio has to be above 0")
    import numpy as np
    from scipy.special import expit

    y = np.asarray(wins, dtype=float)
    logs = np.log(np.asarray(length_ratios, dtype=float))
    spread = float(logs.std())
    squashed = np.tanh(logs / spread) if spread > _SPREAD else np.zeros_like(logs)
    x = np.column_stack([np.ones_like(y), squashed])  # (comparisons, 2)
    fit = fit_tied(x, y, range(len(wins)) if clusters is None else clusters, [0] * len(wins))
    intercept = float(fit.coefficients[0])
    half = fit.quantile(confidence) * fit.error(np.array([1.0, 0.0]))
    return Interval(
        estimate=float(expit(intercept)),
        low=float(expit(intercept - half)),
        high=float(expit(intercept + half)),
        confidence=confidence,
        method=f"logistic regression at equal length, t over {fit.clusters} clusters",
    )
