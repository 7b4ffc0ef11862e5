"""Both ends and p of a mean whose moves have light tails, as those of log-probabilities over many tokens."""

import math

from harness.statistics.clusters import Units, degrees_of_freedom, squared_error

_ROUNDING = 1e-9
# Of n normal moves the skewness varies by about 6/n.
_SKEWNESS_VARIANCE = 6


def of_light_tails(
    units: Units, confidence: float, found: tuple[float, float, float], *, counted: bool
) -> tuple[float, float, float, float]:
    """Both ends and p of moves with light tails, and a limit of the end that a pass needs.

    Args:
        units: The drops.
        confidence: Two-sided.
        found: Both ends and p, by the bootstrap or by counted jumps.
        counted: Whether jumps were counted, which knows nothing of skewness.

    Returns:
        Both ends, p and the limit.
    """
    low, high, p_value = found
    # Resampled clusters of uneven sizes show their spread as badly.
    if counted or len(set(units.sizes)) > 1:
        low, high, p_value = _no_sharper_than_t(units, confidence, low, high, p_value)
    least, most, chance = _with_one_more(units, confidence)
    if counted:
        low, p_value = min(low, least), max(p_value, chance)
    return low, high, p_value, max(high, most)


def _no_sharper_than_t(
    units: Units, confidence: float, low: float, high: float, p_value: float
) -> tuple[float, float, float]:
    """Limits by Student's t: where all units move a little, few of them show their spread badly.

    Counted jumps take the spread of a dozen such moves for known: alone, they let a drop as large as the
    margin pass in 16 % of runs of 8 cases. The variance and its degrees of freedom are those of clusters of
    uneven sizes; of one cluster of 30 cases beside 20 single ones, t over their number passes it in 11 %.

    Args:
        units: The drops.
        confidence: Two-sided.
        low: Lower end by counted jumps.
        high: The upper end.
        p_value: One-sided, of "no drop".
    """
    if units.count < 2 or squared_error(units) == 0:
        return low, high, p_value
    least, most, chance = _by_t(units, confidence)
    return min(low, least), max(high, most), max(p_value, chance)


def _by_t(units: Units, confidence: float) -> tuple[float, float, float]:
    """Both ends and p by Student's t, of units that differ."""
    from scipy.special import stdtr, stdtrit

    error, freedom, mean = math.sqrt(squared_error(units)), degrees_of_freedom(units), units.mean
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return mean - half, mean + half, float(stdtr(freedom, -mean / error))


def _with_one_more(units: Units, confidence: float) -> tuple[float, float, float]:
    """Limits of both ends and of p by Student's t with one more unit, that moved as far as the furthest one.

    Few large moves beside many small ones are seen too seldom, and t is then too sure. So a skewness beyond
    its standard error of normal moves adds a further fall, for the upper end, or a further gain, for lower
    end and p. Sums of uneven clusters are skewed by their sizes, for which t has few degrees of freedom.

    Args:
        units: The drops.
        confidence: Two-sided.
    """
    mean, size = units.mean, math.fsum(units.sizes) / units.count
    moves = [total - mean * of for total, of in zip(units.sums, units.sizes, strict=True)]
    spread = math.sqrt(math.fsum(move * move for move in moves) / units.count)
    none = math.inf, -math.inf, 0.0
    if spread < _ROUNDING or len(set(units.sizes)) > 1:
        return none
    skewness = math.fsum((move / spread) ** 3 for move in moves) / units.count
    if abs(skewness) <= math.sqrt(_SKEWNESS_VARIANCE / units.count):
        return none
    furthest = max(moves) if skewness > 0 else min(moves)
    more = Units(sums=(*units.sums, mean * size + furthest), sizes=(*units.sizes, size))
    low, high, p_value = _by_t(more, confidence)
    return (math.inf, high, 0.0) if skewness > 0 else (low, -math.inf, p_value)
