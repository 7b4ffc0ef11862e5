"""How far a mean score must fall to be found, by the gate's own rule on samples where every case fell alike.

Units keep their sizes: a sample with two clusters of half of the cases, or none, says nothing of a set with
one of them.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.statistics.clusters import Units, degrees_of_freedom
from harness.statistics.paired_binary import Trials
from harness.statistics.paired_graded import mean_drop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Up to this number of units, or degrees of freedom of many more, the rule itself is run on samples.
_BY_RULE_UP_TO = 60
_MOST_UNITS = 200
_SAMPLES = 150
_RESAMPLES = 299
_COARSE = 2e-3


def by_rule(units: Units) -> bool:
    """Whether no approximation holds for so few units, or for sizes so uneven."""
    if not 1 < units.count <= _MOST_UNITS:
        return False
    return units.count <= _BY_RULE_UP_TO or degrees_of_freedom(units) <= _BY_RULE_UP_TO


def spreads(units: Units) -> list[float]:
    """Variance of each unit's sum: of its cases by themselves, and of the whole unit.

    The variance between units is that of their means, less what cases by themselves add to it. Where that is
    more than all of it, both estimates of what cases vary by are pooled by their degrees of freedom.

    Args:
        units: The drops; at least two units.
    """
    means = [total / size for total, size in zip(units.sums, units.sizes, strict=True)]
    middle = math.fsum(means) / units.count
    seen = math.fsum((mean - middle) ** 2 for mean in means) / (units.count - 1)
    alone = math.fsum(1 / size for size in units.sizes) / units.count
    inside, between = units.inside, seen - units.inside * alone
    if between < 0:
        cases, groups = math.fsum(units.sizes), units.count
        inside = (inside * (cases - groups) + seen / alone * (groups - 1)) / (cases - 1)
        between = 0.0
    return [size * inside + size * size * between for size in units.sizes]


def detectable_fall(
    units: Units,
    level: float,
    margin: float | None,
    confidence: float,
    rise: float | None,
    power: float,
    *,
    light_tails: bool,
    guess: float,
) -> float | None:
    """The fall of all cases that the rule calls a regression in that share of samples like these units.

    Args:
        units: The drops, baseline minus candidate.
        level: One-sided level at which "no drop" is rejected.
        margin: A drop is called a regression only if its interval reaches beyond; None: always if rejected.
        confidence: Two-sided, of that interval.
        rise: As for :func:`~harness.statistics.paired_graded.mean_drop`.
        power: The share.
        light_tails: As for the same function.
        guess: Where the search begins.

    Returns:
        The fall, or None if none is found that often.
    """
    import numpy as np

    sizes, moves = np.array(units.sizes), _drawn_moves(units)

    def regresses(run: int, fall: float) -> bool:
        fallen = Units(sums=tuple((moves[run] + fall * sizes).tolist()), sizes=units.sizes)
        result = mean_drop(fallen, confidence, rise=rise, light_tails=light_tails, resamples=_RESAMPLES)
        return result.p_value <= level and (margin is None or result.high > margin)

    most = 1 + 2 * float(np.abs(moves / sizes).max()) + (margin or 0.0)
    return least_of_runs(regresses, len(moves), power, min(guess, most), most)


def _drawn_moves(units: Units) -> "NDArray[np.float64]":
    """Samples of the units' moves if nothing changed, summed by unit: (samples, units).

    Moves are drawn with replacement, in spreads of the unit that had them, and stretched to that of the unit
    that gets them.
    """
    import numpy as np

    sizes, variances = np.array(units.sizes), np.array(spreads(units))
    shares = sizes / sizes.sum()
    # A unit's own move is a part of the mean that is subtracted.
    left = variances * (1 - 2 * shares) + shares * shares * variances.sum()
    known = left > 0
    moves = (np.array(units.sums) - units.mean * sizes)[known] / np.sqrt(left[known])
    if not moves.any():
        # All units moved by the same amount.
        return np.zeros((_SAMPLES, units.count))
    moves -= moves.mean()
    moves /= math.sqrt(float((moves * moves).mean()))
    places = np.random.default_rng(0).integers(0, moves.size, (_SAMPLES, units.count))
    drawn: NDArray[np.float64] = moves[places] * np.sqrt(variances)
    return drawn


def least_of_runs(
    regresses: Callable[[int, float], bool], runs: int, power: float, guess: float, most: float
) -> float | None:
    """The smallest fall that is a regression in a share of runs: each is asked only where it isn't known yet.

    Args:
        regresses: Whether a run is one at a fall; if so, also at larger ones.
        runs: How many runs there are.
        power: The share.
        guess: Where to begin.
        most: The largest fall.

    Returns:
        The fall, or None if even the largest one isn't found that often.
    """
    kept, fallen = [0.0] * runs, [math.inf] * runs

    def found(fall: float) -> bool:
        yes, no = 0, 0
        for run in range(runs):
            if fall >= fallen[run] or (fall > kept[run] and regresses(run, fall)):
                yes, fallen[run] = yes + 1, min(fallen[run], fall)
            else:
                no, kept[run] = no + 1, max(kept[run], fall)
            if no > (1 - power) * runs or yes >= power * runs:
                break
        return yes >= power * runs

    low, high = 0.0, guess
    while not found(high):
        if high >= most:
            return None
        low, high = high, min(1.5 * high, most)
    while high - low > _COARSE:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def chances(trials: Sequence[Trials]) -> "NDArray[np.float64]":
    """Each case's chance to pass, as variable as its parts are.

    A chance of p has the variance p (1 - p), which the share of r passed of t parts understates: it is r (t -
    r) / (t (t - 1)). The chance is the one with that variance, or a half where none has so much.

    Args:
        trials: Each case's passed parts and all its parts on both sides.
    """
    import numpy as np

    passed = np.array([each.baseline_passed + each.candidate_passed for each in trials])
    parts = np.array([each.baseline + each.candidate for each in trials])
    variance = np.minimum(passed * (parts - passed) / (parts * (parts - 1)), 0.25)
    return np.asarray(0.5 + np.where(2 * passed < parts, -1, 1) * np.sqrt(0.25 - variance))


def detectable_fall_of_rates(
    trials: Sequence[Trials],
    level: float,
    margin: float | None,
    confidence: float,
    rise: float | None,
    power: float,
) -> float | None:
    """The mean drop that the rule finds that often if each case's chance to pass falls by the same amount.

    Args:
        trials: Each case's passed parts and all its parts on both sides, at least two of them.
        level: One-sided level at which "no drop" is rejected.
        margin: A drop is called a regression only if its interval reaches beyond; None: always if rejected.
        confidence: Two-sided, of that interval.
        rise: As for :func:`~harness.statistics.paired_graded.mean_drop`.
        power: The share.

    Returns:
        The drop, or None if none is found that often.
    """
    import numpy as np

    random, sizes = np.random.default_rng(0), (1.0,) * len(trials)
    before, after = np.array([(each.baseline, each.candidate) for each in trials]).T
    rates = chances(trials)
    was = random.binomial(before, rates, (_SAMPLES, len(trials))) / before
    luck = random.random((_SAMPLES, len(trials), int(after.max())))
    luck[:, np.arange(luck.shape[2]) >= after[:, None]] = math.inf

    def regresses(run: int, fall: float) -> bool:
        now = (luck[run] < (rates - fall)[:, None]).sum(axis=1) / after
        fallen = Units(sums=tuple((was[run] - now).tolist()), sizes=sizes)
        result = mean_drop(fallen, confidence, span=1.0, rise=rise, resamples=_RESAMPLES)
        return result.p_value <= level and (margin is None or result.high > margin)

    found = least_of_runs(regresses, _SAMPLES, power, 0.1, 1.0)
    return None if found is None else float(np.minimum(rates, found).mean())
