"""A score on both sides of each case, or clusters of cases: test and interval of the drop.

A unit is a case, or a whole cluster. The evidence is in the units that moved: their spread describes many
small moves well, but not a few large ones. So the interval is a studentised bootstrap if enough units moved,
and otherwise a score interval of counted jumps. If nearly all units moved by the same amount, the same rule
is applied to the few others.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.statistics.clusters import MeanDrop, Units, unseen_share
from harness.statistics.light_tails import of_light_tails
from harness.statistics.paired_binary import drop_p, tango_interval
from harness.types import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 4999
# At most so many where the level is too small for those: enough for ten thousand tests at 5 %.
MOST_RESAMPLES = 200_000
# Effective number of moved units below which the bootstrap's tails are not reliable (by simulation).
BOOTSTRAP_FROM = 15
# The same for units that differ, if most others moved by the same amount.
ALIKE_BELOW = 8
_ROUNDING = 1e-9
_CELLS = 65_536  # numbers drawn at a time: a processor's own memory holds them, and the result is the same


def moved_units(units: Units, reference: float = 0.0) -> float:
    """Number of equally large moves with the same evidence: (sum |y|)^2 / sum y^2.

    Args:
        units: The drops.
        reference: Drop of a case that counts as no move.
    """
    moves = _moves_from(units, reference)
    absolute = math.fsum(abs(move) for move in moves)
    squares = math.fsum(move * move for move in moves)
    return absolute * absolute / squares if squares else 0.0


def few_moved_from(units: Units) -> float | None:
    """The drop that nearly all units share: 0, or the median unit's; None if many units differ from both.

    If it is not None, the units that differ are too few for a bootstrap: many resamples contain none of them.
    """
    means = sorted(total / size for total, size in zip(units.sums, units.sizes, strict=True))
    if moved_units(units) < BOOTSTRAP_FROM:
        return 0.0
    median = means[len(means) // 2]
    return median if moved_units(units, median) < ALIKE_BELOW else None


def _moves_from(units: Units, reference: float) -> list[float]:
    moves = [total - reference * size for total, size in zip(units.sums, units.sizes, strict=True)]
    return [0.0 if abs(move) < _ROUNDING else move for move in moves]


def mean_drop(  # noqa: PLR0913 # all that is known of a score's moves
    units: Units,
    confidence: float,
    *,
    reach: float = 1.0,
    span: float = math.inf,
    light_tails: bool = False,
    rise: float | None = None,
    resamples: int = RESAMPLES,
    finest: float = 1.0,
    lone: float = 0.0,
) -> MeanDrop:
    """Interval and test of the mean drop.

    ``high_unseen`` allows for losses that the sample missed: a share of up to ``1 - alpha^(1/units)`` of the
    population may be lost completely without one such loss in the sample. This protects a pass; a regression
    has to be shown by the data alone.

    Args:
        units: The drops, baseline minus candidate.
        confidence: Two-sided.
        reach: Drop of a unit that is lost completely, on the score's scale.
        span: Length of the score's scale: no bound is beyond it.
        light_tails: The moves include no rare huge ones, as those of a log-probability: no allowance for
            lost units, unless they are too few to show anything; one more large move where skewed.
        rise: How far the mean would rise if every unit gained what it can, which leaves open that further
            units gain where those that were seen fell a little; None for no such limit, as with light tails.
        resamples: Bootstrap resamples.
        finest: The level at which "no drop" is tested: p is taken from as many resamples as it needs.
        lone: With light tails, how far a unit may yet fall or rise by one of its parts, unseen.
    """
    reference, mean, level, skewed = few_moved_from(units), units.mean, (1 - confidence) / 2, -math.inf
    # Units that gained can lose that much more than the baseline could.
    exposed = 0.0 if light_tails else reach - min(0.0, mean, reference or 0.0)
    if reference is None:
        low, high, p_value = _studentised(units, confidence, resamples, finest)
    else:
        low, high, p_value = _counted_jumps(units, confidence, exposed, reference)
    if light_tails:
        found = low, high, p_value
        low, high, p_value, skewed = of_light_tails(units, confidence, found, counted=reference is not None)
        exposed = max(reach if 0.5**units.count > level else 0.0, lone and lone - min(0.0, mean))
        rise = min(rise, lone) if lone and rise is not None else None
    high_unseen = max(high, skewed, mean + unseen_share(units.effective, level) * exposed)
    counted = reference is not None and not light_tails
    limits = [] if rise is None else _gain_limits(units, rise, level, counted=counted)
    if counted:
        high_unseen = max(high_unseen, -_rare_moves([-each for each in units.scaled], reach, level)[0])
    low = min([low, *(least_low for least_low, _ in limits)])
    p_value = max([p_value, *(least_p for _, least_p in limits)])
    return MeanDrop(
        estimate=mean,
        # Units that all moved alike have no spread, and so few of them may still show no drop.
        low=max(low if p_value <= level else min(low, 0.0), -span),
        high=min(high, span),
        high_unseen=min(high_unseen, span),
        p_value=p_value,
        confidence=confidence,
        method="studentised bootstrap" if reference is None else "score of counted jumps",
    )


def _gain_limits(units: Units, rise: float, level: float, *, counted: bool) -> list[tuple[float, float]]:
    """Limits of the interval's lower end and of p, by gains that were not seen or are rare."""
    unseen = _unseen_gains(units.mean, rise, units.effective, level)
    return [unseen, _rare_moves(units.scaled, rise, level)] if counted else [unseen]


def _unseen_gains(mean: float, rise: float, count: float, level: float) -> tuple[float, float]:
    """Limits of the interval's lower end and of p: no unit may have shown the gains that outweigh a drop.

    Where each unit that was seen fell by ``mean`` and a share q of all gains ``rise``, nothing has changed on
    the whole if q = mean / (mean + rise), and no gain is among ``count`` units with probability (1 -
    q)^count. The lower end is the drop for which that is the level.

    Args:
        mean: The observed mean drop.
        rise: What a unit can gain.
        count: Number of units.
        level: One-sided level of the lower end.
    """
    if mean <= 0 or mean + rise <= 0:
        return mean, 0.0
    return (rise + mean) * level ** (1 / count) - rise, (rise / (rise + mean)) ** count


def _rare_moves(moves: Sequence[float], most: float, level: float) -> tuple[float, float]:
    """Limits of the interval's lower end and of p where falls and rises differ in size and number.

    Falls count as jumps of one size, sum y^2 / sum y, and so do rises, with one more of the largest possible
    size, since the largest one seen is seldom the largest possible. Given the number of jumps, rises among
    them are binomial. A share q of them balances the falls if q / (1 - q) is the quotient of both sizes; p is
    the probability of no more rises than were seen, and the lower end is the drop at the largest share that
    the level allows (Clopper, C. J. and Pearson, E. S. (1934). Biometrika 26). For jumps of one size it is
    McNemar's exact test.

    Args:
        moves: Each unit's drop.
        most: What a unit can gain.
        level: One-sided level of the lower end.
    """
    from scipy.special import betainc, betaincinv

    down, up = [move for move in moves if move > 0], [-move for move in moves if move < 0]
    fallen, risen = math.fsum(down), math.fsum(up)
    if fallen <= 0 or risen + most <= 0:
        return math.inf, 0.0
    fall = math.fsum(each * each for each in down) / fallen
    rise = (math.fsum(each * each for each in up) + most * most) / (risen + most)
    falls, rises = fallen / fall, risen / rise
    share = float(betaincinv(rises + 1, falls, 1 - level))
    lowest = (falls + rises) / len(moves) * ((1 - share) * fall - share * rise)
    return lowest, float(betainc(falls, rises + 1, rise / (fall + rise)))


def jumps_p(lost: int, gained: int, n: int, reach: float, rise: float | None) -> float:
    """The p-value of :func:`mean_drop` where these moved, down by ``reach`` or up by what a unit can gain.

    Args:
        lost: Units that fell.
        gained: Units that rose.
        n: All units.
        reach: By how much one falls.
        rise: What one can gain; None for as much as it can fall, without an allowance for unseen gains.
    """
    down, up, jump = alike_jumps(lost, gained, reach, rise)
    if down <= up:
        return 1.0
    p_value = drop_p(down, up, n)
    if rise is None:
        return p_value
    p_value = max(p_value, _unseen_gains((down - up) * jump / n, rise, n, 0.5)[1])
    if lost + gained < BOOTSTRAP_FROM:
        moves = [reach] * lost + [-min(reach, rise)] * gained
        p_value = max(p_value, _rare_moves(moves, rise, 0.5)[1])
    return p_value


def alike_jumps(lost: int, gained: int, reach: float, rise: float | None) -> tuple[float, float, float]:
    """Such moves as jumps of one size, as they are counted.

    Args:
        lost: Units that fell.
        gained: Units that rose.
        reach: By how much one falls.
        rise: What one can gain; None for as much as it can fall.

    Returns:
        How many jumps fell and how many rose, and their size.
    """
    up = reach if rise is None else min(reach, rise)
    largest = reach if lost else up
    moved = lost * reach + gained * up + largest
    jump = (lost * reach**2 + gained * up**2 + largest**2) / moved
    return lost * reach / jump, gained * up / jump, jump


def paired_interval(
    units: Units,
    confidence: float,
    *,
    reach: float = 1.0,
    span: float = math.inf,
    resamples: int = RESAMPLES,
) -> Interval:
    """Interval of the mean drop, as in :func:`mean_drop`.

    Args:
        units: The drops, baseline minus candidate.
        confidence: Two-sided.
        reach: Drop of a unit that is lost completely.
        span: Length of the score's scale.
        resamples: Bootstrap resamples.
    """
    return mean_drop(units, confidence, reach=reach, span=span, resamples=resamples).interval


def _counted_jumps(
    units: Units, confidence: float, reach: float, reference: float
) -> tuple[float, float, float]:
    """Tango's interval and p-value; each move from the reference counts as jumps of one typical size.

    The size that keeps mean and variance is sum y^2 / sum |y| (Bohm, G. and Zech, G. (2014). Statistics of
    weighted Poisson events and its applications. Nucl. Instrum. Meth. A 748). One more jump of the largest
    size is added, as in Fay, M. P. and Feuer, E. J. (1997). Confidence intervals for directly standardized
    rates. Statistics in Medicine 16: the sample's largest move is seldom the largest possible.
    """
    mean_size = math.fsum(units.sizes) / units.count
    moves = [move / mean_size for move in _moves_from(units, reference)]
    down = math.fsum(move for move in moves if move > 0)
    up = -math.fsum(move for move in moves if move < 0)
    largest = max(abs(move) for move in moves)
    jump = reach
    if largest > 0:
        jump = (math.fsum(move * move for move in moves) + largest * largest) / (down + up + largest)
    if jump == 0.0:
        # All units moved by the same amount, and there is no allowance for unseen ones.
        return reference, reference, 0.5**units.count if reference > 0 else 1.0
    counted = tango_interval(down / jump, up / jump, units.count, confidence)
    p_value = 1.0 if units.mean <= 0 else drop_p(down / jump, up / jump, units.count, -reference / jump)
    # Where moves from the reference can't reach 0, the number of units still says how sure it can be.
    p_value = max(p_value, 0.5**units.count)
    return reference + counted.low * jump, reference + counted.high * jump, p_value


def _studentised(
    units: Units, confidence: float, resamples: int, finest: float
) -> tuple[float, float, float]:
    """Bootstrap-t over units, of the linearised ratio estimator: interval, and p-value of "no drop".

    Efron, B. and Tibshirani, R. J. (1993). An Introduction to the Bootstrap. Chapman & Hall, sections 12.5
    and 16.4. The observed quotient is counted too, so that no p-value is 0 (Phipson, B. and Smyth, G. K.
    (2010). Permutation p-values should never be zero. SAGMB 9(1)). The seed is fixed: the same scores give
    the same interval. Where no quotient reaches the observed one, p may still be above the level of a test
    among many; then p alone is taken from more resamples, until it is below or can't be any more (Besag, J.
    and Clifford, P. (1991). Sequential Monte Carlo p-values. Biometrika 78).
    """
    import numpy as np

    random = np.random.default_rng(0)
    sums, sizes = np.array(units.sums), np.array(units.sizes)
    mean, spread = _mean_and_error(sums[None, :], sizes[None, :])
    # Units of one size have it in every resample, and once is enough.
    alike = len(set(units.sizes)) == 1

    def quotients(count: int) -> "Iterator[NDArray[np.float64]]":
        rows = max(1, _CELLS // units.count)
        for start in range(0, count, rows):
            drawn = random.integers(0, units.count, size=(min(rows, count - start), units.count))
            means, errors = _mean_and_error(sums.take(drawn), sizes[None, :1] if alike else sizes.take(drawn))
            # A resample of one repeated unit has no spread; it must not count as infinitely certain.
            yield (means - mean) / np.maximum(errors, 1e-3 * spread)

    found = np.concatenate(list(quotients(resamples)))
    error = (1 - confidence) / 2
    steep, shallow = np.quantile(found, [error, 1 - error])
    total, reached = found.size, int((found >= mean / spread).sum())
    if not reached and finest * (1 + total) < 1:
        # Enough that one of them may go beyond.
        for more in quotients(min(math.ceil(2 / finest), MOST_RESAMPLES) - total):
            total, reached = total + more.size, reached + int((more >= mean / spread).sum())
            if reached > 1:
                break
    p_value = (1 + reached) / (1 + total)
    return float(mean[0] - shallow * spread[0]), float(mean[0] - steep * spread[0]), p_value


def _mean_and_error(
    sums: "NDArray[np.float64]", sizes: "NDArray[np.float64]"
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Mean and standard error of each row; one size in a row stands for all of its units."""
    import numpy as np

    total = sizes.sum(axis=1) * (sums.shape[1] // sizes.shape[1])  # (resamples, units) -> (resamples,)
    mean = sums.sum(axis=1) / total
    squares = sums - mean[:, None] * sizes
    squares *= squares
    return mean, np.sqrt(squares.sum(axis=1)) / total
