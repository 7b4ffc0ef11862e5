"""How far a mean score must fall to be found, by the gate's own rule on samples where every case fell alike.

Units keep their sizes: a sample with two clusters of half of the cases, or none, says nothing of a set with
one of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.statistics.clusters import Units, degrees_of_freedom, spreads
from harness.statistics.paired_binary import Trials
from harness.statistics.paired_graded import ALIKE_BELOW, BOOTSTRAP_FROM, MOST_RESAMPLES, RESAMPLES, mean_drop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Up to this number of units, or degrees of freedom of many more, the rule itself is run on samples.
_BY_RULE_UP_TO = 60
MOST_UNITS = 200
# So many samples, fewer where that takes long: of many units, and of few, most of whose samples are counted
# one by one. The share of them that regress is known to 2 or 3 points.
_SAMPLES = 400
_COUNTED, _COUNTED_BELOW = 200, 30
_CELLS = 40_000
# Of the fall, or of the largest one where none is too small.
_PRECISION, _LEAST, _ROUNDING = 0.005, 1e-5, 1e-9
# Scales on which changes are smaller get so many times these as room for the search.
_USUAL, _ROOM = 0.01, 20.0
# Resamples of samples that differ at each fall, where the level is no small one.
_OF_RATES = 1999


def resamples_at(level: float, usual: int) -> int:
    """How many resamples can reject at a level: of fewer than 1 / level none is rare enough.

    Args:
        level: One-sided.
        usual: How many are drawn at levels that are no smaller than usual.
    """
    most = RESAMPLES if level * (RESAMPLES + 1) >= 1 else MOST_RESAMPLES
    return min(max(usual, math.ceil(2 / level)), most) if level > 0 else RESAMPLES


def by_rule(units: Units) -> bool:
    """Whether no approximation holds for so few units, or for sizes so uneven."""
    few = units.count <= _BY_RULE_UP_TO
    return 1 < units.count <= MOST_UNITS and (few or degrees_of_freedom(units) <= _BY_RULE_UP_TO)


def _samples(units: int) -> int:
    """How many samples of so many units are judged."""
    return _COUNTED if units < _COUNTED_BELOW else min(_SAMPLES, _CELLS // units)


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
        rise: As for :class:`Rule`, like light_tails.
        power: The share.
        light_tails: See there.
        guess: Where the search begins.

    Returns:
        The fall, or None if none is found that often.
    """
    import numpy as np

    sizes, moves = np.array(units.sizes), _drawn_moves(units)
    rule = Rule(level, margin, confidence, rise, light_tails=light_tails)
    # A fall of all cases moves a resample as it moves the sample.
    extremes = rule.extremes(moves, sizes, resamples_at(level, RESAMPLES))

    def regresses(runs: "NDArray[np.int_]", fall: float) -> "NDArray[np.bool_]":
        return rule.regresses(moves[runs] + fall * sizes, sizes, extremes[:, runs])

    moved, allowed = float(np.abs(moves / sizes).max()), margin or 0.0
    # A fall of 1 would leave no digit of a cost of millionths.
    scale = moved + allowed + (rise or 0.0)
    # So few units may not show as large gains, of more than 1 where that is half of what values are.
    unseen = 0.0 if rise is None else rise * (level ** (-1 / units.effective) - 1)
    most = max(1.0 if scale >= _USUAL or not scale else _ROOM * scale, unseen) + 2 * moved + allowed
    # Units that all moved alike have no error, and without a margin nothing to begin the search with.
    return least_of_runs(regresses, len(moves), power, min(max(guess, _LEAST * most), most), most)


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of :func:`~harness.statistics.paired_graded.mean_drop`, for many samples at once.

    Attributes:
        level: One-sided level at which "no drop" is rejected.
        margin: A drop is called a regression only if its interval reaches beyond; None: always if rejected.
        confidence: Two-sided, of that interval.
        rise: As for that function, like the following; with light tails no more than what moves alone.
        light_tails: As for that function.
    """

    level: float
    margin: float | None
    confidence: float
    rise: float | None
    light_tails: bool = False

    def extremes(
        self, sums: "NDArray[np.float64]", sizes: "NDArray[np.float64]", resamples: int = RESAMPLES
    ) -> "NDArray[np.float64]":
        """For each sample, which quotient rejects "no drop", and which one ends the interval: (2, samples).

        Args:
            sums: Each sample's drops, summed by unit: (samples, units).
            sizes: Number of cases of each unit.
            resamples: The first of those that the rule draws.
        """
        import numpy as np

        quotients = _quotients(sums, sizes, min(resamples, RESAMPLES))
        steep = np.quantile(quotients, (1 - self.confidence) / 2, axis=1)
        # Of the quotients, this many may be as large as the observed one; where more are drawn, no usual one.
        larger = math.floor(self.level * (resamples + 1) * (1 + 1e-12)) - 1
        if larger < 0:
            return np.stack([np.full(len(sums), math.inf), steep])
        largest = np.partition(quotients, -1 - larger, axis=1)[:, -1 - larger :]
        least = largest.max(axis=1) if resamples > RESAMPLES else -math.inf
        for begin in range(RESAMPLES, resamples, RESAMPLES):
            more = _quotients(sums, sizes, min(RESAMPLES, resamples - begin), begin)
            largest = np.partition(np.hstack([largest, more]), -1 - larger, axis=1)[:, -1 - larger :]
        return np.stack([np.maximum(largest.min(axis=1), least), steep])

    def regresses(
        self, sums: "NDArray[np.float64]", sizes: "NDArray[np.float64]", extremes: "NDArray[np.float64]"
    ) -> "NDArray[np.bool_]":
        """Which samples regress.

        Args:
            sums: Each sample's drops, summed by unit: (samples, units).
            sizes: Number of cases of each unit.
            extremes: Of these samples, or of ones that differ by a fall of all cases.
        """
        import numpy as np

        (needed, steep), total = extremes, sizes.sum()
        means = sums.sum(axis=1) / total
        spread = np.sqrt(((sums - means[:, None] * sizes) ** 2).sum(axis=1)) / total
        low, high = needed * spread, means - steep * spread
        if self.light_tails and len(set(sizes.tolist())) > 1:
            low, high = self._no_sharper_than_t(sums, sizes, low, high)
        if self.rise is not None:
            # Where gains that outweigh the drop may be unseen.
            effective = total * total / (sizes * sizes).sum()
            low = np.maximum(low, self.rise * (self.level ** (-1 / effective) - 1))
        found = (means > low) & (means > 0)
        if self.margin is not None:
            found &= high > self.margin
        for run in np.flatnonzero(_counted(sums, sizes)):
            found[run] = self._regresses(Units(sums=tuple(sums[run].tolist()), sizes=tuple(sizes.tolist())))
        return np.asarray(found)

    def _no_sharper_than_t(
        self,
        sums: "NDArray[np.float64]",
        sizes: "NDArray[np.float64]",
        low: "NDArray[np.float64]",
        high: "NDArray[np.float64]",
    ) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """The least drop that is rejected and the interval's end, no nearer than Student's t has them."""
        import numpy as np
        from scipy.special import stdtrit

        shares, means = sizes / sizes.sum(), sums.sum(axis=1) / sizes.sum()
        deviations = sums / sizes.sum() - means[:, None] * shares
        errors = np.sqrt((deviations * deviations / (1 - shares)).sum(axis=1))
        freedom = degrees_of_freedom(Units(sums=(0.0,) * len(sizes), sizes=tuple(sizes.tolist())))
        needed, bound = (
            float(stdtrit(freedom, chance)) for chance in (1 - self.level, (1 + self.confidence) / 2)
        )
        return np.maximum(low, needed * errors), np.maximum(high, means + bound * errors)

    def _regresses(self, units: Units) -> bool:
        rise, tails, level = self.rise, self.light_tails, self.level
        found = mean_drop(units, self.confidence, rise=rise, light_tails=tails, lone=rise or 0, finest=level)
        return found.p_value <= level and (self.margin is None or found.high > self.margin)


def _counted(sums: "NDArray[np.float64]", sizes: "NDArray[np.float64]") -> "NDArray[np.bool_]":
    """Which samples have too few moved units for a bootstrap."""
    import numpy as np

    middle = np.sort(sums / sizes, axis=1)[:, len(sizes) // 2]
    few = _moved(sums) < BOOTSTRAP_FROM
    return np.asarray(few | (_moved(sums - middle[:, None] * sizes) < ALIKE_BELOW))


def _moved(moves: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """As :func:`~harness.statistics.paired_graded.moved_units`, of each sample."""
    import numpy as np

    absolute = np.abs(moves)
    absolute[absolute < _ROUNDING] = 0.0
    squares = (absolute * absolute).sum(axis=1)
    return np.asarray(absolute.sum(axis=1) ** 2 / np.maximum(squares, 1e-300))


def _quotients(
    sums: "NDArray[np.float64]", sizes: "NDArray[np.float64]", resamples: int, begin: int = 0
) -> "NDArray[np.float64]":
    """The studentised bootstrap of each sample: (samples, resamples).

    All samples are resampled alike. The sum of a resample's squared deviations from its own mean m is that
    of y^2 - 2 m y z + m^2 z^2, with y a unit's deviation from the sample's mean and z its size.
    """
    import numpy as np

    drawn = _times_drawn(len(sizes), resamples, begin)
    total, size_squares = drawn @ sizes, drawn @ (sizes * sizes)
    moves = sums - sums.sum(axis=1, keepdims=True) / sizes.sum() * sizes
    means = moves @ drawn.T / total
    squares = (moves * moves) @ drawn.T - 2 * means * ((moves * sizes) @ drawn.T)
    squares += means * means * size_squares
    errors = np.sqrt(np.maximum(squares, 0.0)) / total
    spread = np.sqrt((moves * moves).sum(axis=1, keepdims=True)) / sizes.sum()
    return np.asarray(means / np.maximum(errors, np.maximum(1e-3 * spread, 1e-300)))


@lru_cache(maxsize=4)
def _times_drawn(units: int, resamples: int, begin: int) -> "NDArray[np.float64]":
    """How often each resample of the rule, from one on, has each unit: (resamples, units)."""
    import numpy as np

    drawn = np.random.default_rng(0).integers(0, units, size=(begin + resamples, units))[begin:]
    places = drawn + units * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * units).reshape(resamples, units).astype(float)


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
        return np.zeros((_samples(units.count), units.count))
    moves -= moves.mean()
    moves /= math.sqrt(float((moves * moves).mean()))
    places = np.random.default_rng(0).integers(0, moves.size, (_samples(units.count), units.count))
    return np.asarray(moves[places] * np.sqrt(variances))


def least_of_runs(
    regresses: "Callable[[NDArray[np.int_], float], NDArray[np.bool_]]",
    runs: int,
    power: float,
    guess: float,
    most: float,
) -> float | None:
    """The smallest fall that is a regression in a share of runs: each is asked only where it isn't known yet.

    Args:
        regresses: Which of these runs are one at a fall; if so, also at larger ones.
        runs: How many runs there are.
        power: The share.
        guess: Where to begin.
        most: The largest fall.

    Returns:
        The fall, or None if even the largest one isn't found that often.
    """
    import numpy as np

    kept, fallen = np.zeros(runs), np.full(runs, math.inf)

    def found(fall: float) -> bool:
        unknown = np.flatnonzero((kept < fall) & (fall < fallen))
        if unknown.size:
            gone = regresses(unknown, fall)
            fallen[unknown[gone]], kept[unknown[~gone]] = fall, fall
        return int((fallen <= fall).sum()) >= power * runs

    low, high = 0.0, guess
    while not found(high):
        if high >= most:
            return None
        low, high = high, min(1.5 * high, most)
    while high - low > max(_PRECISION * high, _LEAST * most):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def chances(trials: Sequence[Trials]) -> "NDArray[np.float64]":
    """Each case's chance to pass, as variable as its parts are.

    A chance of p has the variance p (1 - p), which the share of r passed of t parts understates: it is r (t -
    r) / (t (t - 1)). The chance is the one with that variance, or a half where none has so much. That of
    other cases that varied is then larger, so that all together are as variable as they were.

    Args:
        trials: Each case's passed parts and all its parts on both sides.
    """
    import numpy as np

    passed = np.array([each.baseline_passed + each.candidate_passed for each in trials])
    parts = np.array([each.baseline + each.candidate for each in trials])
    variance = passed * (parts - passed) / (parts * (parts - 1))
    known = np.minimum(variance, 0.25)
    others = (known > 0) & (known < 0.25)
    if others.any():
        # What no chance can vary by, since it was luck, is missing in others.
        missing = (variance - known).sum() / known[others].sum()
        known[others] = np.minimum(known[others] * (1 + missing), 0.25)
    return np.asarray(0.5 + np.where(2 * passed < parts, -1, 1) * np.sqrt(0.25 - known))


def falling_answers(
    trials: Sequence[Trials], samples: int
) -> "tuple[NDArray[np.float64], Callable[[NDArray[np.int_], float], NDArray[np.float64]]]":
    """Samples of answers whose cases' chances to pass fall by the same amount, if they can.

    Args:
        trials: Each case's passed parts and all its parts on both sides, at least two of them.
        samples: How many.

    Returns:
        Each case's chance, and the drops of given samples at a fall: (samples, cases).
    """
    import numpy as np

    random = np.random.default_rng(0)
    before, after = np.array([(each.baseline, each.candidate) for each in trials]).T
    rates = chances(trials)
    was = random.binomial(before, rates, (samples, len(trials))) / before
    luck = random.random((samples, len(trials), int(after.max())))
    luck[:, np.arange(luck.shape[2]) >= after[:, None]] = math.inf

    def drops(runs: "NDArray[np.int_]", fall: float) -> "NDArray[np.float64]":
        return np.asarray(was[runs] - (luck[runs] < (rates - fall)[:, None]).sum(axis=2) / after)

    return rates, drops


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

    sizes, samples = np.ones(len(trials)), _samples(len(trials))
    rule = Rule(level, margin, confidence, rise)
    rates, fallen = falling_answers(trials, samples)

    def regresses(runs: "NDArray[np.int_]", fall: float) -> "NDArray[np.bool_]":
        drops = fallen(runs, fall)
        return rule.regresses(drops, sizes, rule.extremes(drops, sizes, resamples_at(level, _OF_RATES)))

    found = least_of_runs(regresses, samples, power, 0.1, 1.0)
    return None if found is None else float(np.minimum(rates, found).mean())
