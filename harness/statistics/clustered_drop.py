"""Test and interval of the drop: for clusters that could have been others, or for exactly these cases.

The cases of a cluster may flip together or alone, so the spread is taken from whole clusters. It is known
from few of them if sizes differ much, and no cluster shows a loss that did not happen: both are allowed for.

If exactly these cases are the whole population, only the answers are random: if they reproduce, the drop is
known without error.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

from harness.statistics.clusters import (
    MeanDrop,
    Units,
    degrees_of_freedom,
    squared_error,
    unseen_share,
)
from harness.statistics.paired_binary import CONTINUITY, Trials, excludes_drop, least_bound, tango_interval
from harness.statistics.paired_graded import few_moved_from, mean_drop
from harness.statistics.power import POWER
from harness.types import Interval, Stability

REPRODUCED = "counted, answers reproduce"
NOISY = "normal, noise of the answers"
# Answers that a noise record of the baseline counts as, where it says how a candidate's answers vary.
RECORD_WEIGHT = 2
_NO_RECORD = Stability(passed=0, answers=0)
_COIN_TOSS = 0.25  # the largest variance of an answer
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


def noisy_drop(trials: Sequence[Trials], confidence: float, reruns: Sequence[Stability] = ()) -> MeanDrop:
    """The drop of cases whose answers vary.

    The variance is that of the answers inside the cases. Each case's probability is estimated with half an
    answer of either kind added (Jeffreys), so that cases without a flip are not believed to have none. A
    noise record adds answers of the baseline. Of the candidate it tells how much such a case varies, but
    weighs no more than RECORD_WEIGHT answers, so that one that varies more is still believed. Where most
    cases vary, that underestimates; so each side's variance is at least the unbiased one, and a single answer
    without a record, which says nothing about its own variance, has the largest. Clusters don't matter: given
    the cases, answers are independent.

    Args:
        trials: Each case's passed answers and all its answers on both sides; at least one on each.
        confidence: Two-sided, of the interval.
        reruns: The baseline's noise record of each case; empty if there is none.
    """
    n, total, steps = len(trials), 0.0, 0.0
    of_baseline: list[tuple[float, float]] = []
    of_candidate: list[tuple[float, float]] = []
    for each, more in zip(trials, reruns or [_NO_RECORD] * n, strict=True):
        passed, answers = each.baseline_passed + more.passed, each.baseline + more.answers
        total += passed / answers - each.candidate_passed / each.candidate
        steps += 1 / min(answers, each.candidate)
        record = Stability(passed=passed, answers=answers) if more.answers else _NO_RECORD
        of_baseline.append(_variances(passed, answers, _NO_RECORD))
        of_candidate.append(_variances(each.candidate_passed, each.candidate, record))
    variance = _largest_sum(of_baseline) + _largest_sum(of_candidate)
    mean, error = total / n, math.sqrt(variance) / n
    # Answers are whole: a handful of them has few different means.
    correction = CONTINUITY * steps / (n * n)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * error + correction
    return MeanDrop(
        estimate=mean,
        low=max(mean - half, -1.0),
        high=min(mean + half, 1.0),
        high_unseen=min(mean + half, 1.0),
        p_value=math.erfc((mean - correction) / error / math.sqrt(2)) / 2,
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
    half = upper_half(drop)
    if half <= 0:
        return first_drop_beyond(margin, n) if whole else margin
    return detectable_of_width(half, drop.confidence, level, margin, power=power)


def detectable_of_width(
    half: float,
    confidence: float,
    level: float,
    margin: float,
    *,
    lost_of: int | None = None,
    seen: float = 0.0,
    power: float = POWER,
) -> float:
    """The drop that a normal interval of this width finds: beyond chance, and reaching beyond the margin.

    Where cases are lost whole, a drop d adds d (1 - d) / n to the variance v of chance. So d is where d^2 =
    z^2 (v + d (1 - d) / n), and the interval reaches beyond the margin by what it is there.

    Args:
        half: Half of the width.
        confidence: Two-sided, of the interval.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop.
        lost_of: Of how many cases some are lost whole; None where a drop adds nothing to the variance.
        seen: The drop that the interval is of, whose part of the variance is not chance.
        power: Probability of finding it.
    """
    from scipy.special import ndtri

    bound, sure = float(ndtri((1 + confidence) / 2)), float(ndtri(power))
    own, square = 0.0 if lost_of is None else 1 / lost_of, float(ndtri(1 - level) + sure) ** 2
    noise = max((half / bound) ** 2 - max(seen * (1 - seen), 0.0) * own, 0.0)
    linear = square * own
    found = (linear + math.sqrt(linear * linear + 4 * (1 + linear) * square * noise)) / (2 * (1 + linear))
    at_margin = math.sqrt(noise + max(margin * (1 - margin), 0.0) * own)
    return max(found, margin - (bound - sure) * at_margin)


def upper_half(drop: Interval) -> float:
    """How far above the estimate the interval of a rate's drop reaches by chance."""
    # No rate falls by more than 1, where the interval ends then.
    return drop.high - drop.estimate if drop.high < 1 else drop.estimate - drop.low


def half_width(drop: Interval) -> float:
    """Half the width of an interval."""
    return (drop.high - drop.low) / 2


def detectable_set_drop(
    halves: tuple[float, float | None],
    sizes: Sequence[float],
    confidence: float,
    level: float,
    margin: float,
    *,
    seen: tuple[float, float] = (0.0, 0.0),
) -> float:
    """The drop of a whole set's figure that is found; 1 if none is.

    It has to be found without the cluster that has most cases, too, of which no margin is asked.

    Args:
        halves: Half the width of the drop's interval, and of that without this cluster; None without one.
        sizes: Each cluster's number of cases.
        confidence: Two-sided, of the intervals.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop.
        seen: Both drops that were seen, whose part of the variance is not chance.
    """
    largest = majority(sizes)
    if least_p_of_set(sizes) > level:
        return 1.0  # no drop is shown by so few
    cases = round(sum(sizes))
    able = detectable_of_width(halves[0], confidence, level, margin, lost_of=cases, seen=seen[0])
    if largest is not None and halves[1] is not None:
        others = cases - round(sizes[largest])
        alone = detectable_of_width(halves[1], confidence, level, 0.0, lost_of=others, seen=seen[1])
        able = max(able, alone)
    return min(able, 1.0)


def first_drop_beyond(margin: float, n: int) -> float:
    """The smallest drop of n whole cases that is more than a margin.

    Args:
        margin: Largest tolerated drop.
        n: Number of cases.
    """
    return (math.floor(margin * n + _ROUNDING) + 1) / n


def _largest_sum(estimates: Sequence[tuple[float, float]]) -> float:
    """The larger of two estimates, each summed over the cases."""
    return max(math.fsum(first for first, _ in estimates), math.fsum(second for _, second in estimates))


def _variances(passed: int, answers: int, record: Stability) -> tuple[float, float]:
    """Of a case's mean answer: with half an answer of either kind added, and without bias.

    Args:
        passed: Passed answers.
        answers: All answers.
        record: Answers that say how such a case varies, but are none of them; none if nothing is known.
    """
    rate = record.passed / record.answers if record.answers else 0.0
    weight = min(record.answers, RECORD_WEIGHT)
    chance = (passed + weight * rate + 0.5) / (answers + weight + 1)
    known = Stability(passed=passed, answers=answers) if answers > 1 else record
    unbiased = _COIN_TOSS
    if known.answers > 1:
        unbiased = known.passed * (known.answers - known.passed) / (known.answers * (known.answers - 1))
    return chance * (1 - chance) / answers, unbiased / answers


METHOD = "t over clusters"


_NO_SPREAD = 1e-12


def clustered_drop(units: Units, confidence: float) -> MeanDrop:
    """Interval and test of the mean drop over clusters.

    The ratio estimator with the bias-reduced variance CR2 and Satterthwaite's degrees of freedom, both for
    cases that are independent: Bell, R. M. and McCaffrey, D. F. (2002). Bias reduction in standard errors for
    linear regression with multi-stage samples. Survey Methodology 28(2). For clusters of one size it is
    Student's t over clusters. If nearly all clusters moved by the same amount, or none moved, there is no
    spread to measure, and jumps are counted.

    Args:
        units: The drops, baseline minus candidate: each cluster's sum and number of cases.
        confidence: Two-sided.
    """
    unseen = unseen_bound(units, confidence)
    squares = squared_error(units) if units.count > 1 else 0.0
    if squares <= _NO_SPREAD:
        return _all_alike(units, confidence, unseen)
    if few_moved_from(units) not in {None, 0.0}:
        return mean_drop(units, confidence, span=1.0)
    from scipy.special import stdtr, stdtrit

    freedom, error = degrees_of_freedom(units), math.sqrt(squares)
    half = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    bounds = (max(units.mean - half, -1.0), min(units.mean + half, 1.0))
    # If signs are random, all clusters fall with this probability: no spread may claim more.
    least = 0.5**units.count
    p_value = max(float(stdtr(freedom, -units.mean / error)), least)
    if least > (1 - confidence) / 2:
        bounds = (min(bounds[0], 0.0), bounds[1])
    return _result(units, confidence, bounds, max(bounds[1], unseen), p_value=p_value)


def drop_beyond_majority(units: Units, confidence: float) -> tuple[MeanDrop, MeanDrop | None]:
    """As :func:`clustered_drop`, where a drop has to show without a unit that has most cases, too.

    The luck of such a unit moves the whole figure, and what others show beside it says too little of its
    spread. Without a true drop the others alone are called one at the level, whatever the large one does.

    Args:
        units: The drops.
        confidence: Two-sided.

    Returns:
        The drop, and that without this unit; None if there is none.
    """
    found, largest = clustered_drop(units, confidence), majority(units.sizes)
    if largest is None or units.count < 2:
        return found, None
    others = [place for place in range(units.count) if place != largest]
    rest = Units(
        sums=tuple(units.sums[place] for place in others), sizes=tuple(units.sizes[place] for place in others)
    )
    alone = clustered_drop(rest, confidence)
    p_value = max(found.p_value, alone.p_value)
    low = found.low if p_value <= (1 - confidence) / 2 else min(found.low, 0.0)
    return replace(found, low=low, p_value=p_value), alone


def majority(sizes: Sequence[float]) -> int | None:
    """The place of the unit that has more than half of all cases; None if none has."""
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    return largest if 2 * sizes[largest] > math.fsum(sizes) else None


def least_p_of_set(sizes: Sequence[float]) -> float:
    """The p-value of :func:`drop_beyond_majority` if all units fell: those beside a majority alone."""
    return 0.5 ** (len(sizes) - (len(sizes) > 1 and majority(sizes) is not None))


def _all_alike(units: Units, confidence: float, unseen: float) -> MeanDrop:
    """All clusters moved by the same amount, or none moved: only their number is known of others."""
    mean, error = units.mean, (1 - confidence) / 2
    if mean == 0:
        # No case flipped: neither a loss nor a gain is excluded.
        return _result(units, confidence, (-unseen, unseen), unseen, p_value=1.0)
    # Clusters that the sample missed have moved as far the other way.
    others = 2 * abs(mean) * unseen_share(units.count, error)
    bounds = (max(mean - others, -1.0), min(mean + others, 1.0))
    p_value = 0.5**units.count if mean > 0 else 1.0
    return _result(units, confidence, bounds, max(bounds[1], unseen), p_value=p_value)


def unseen_bound(units: Units, confidence: float) -> float:
    """Upper bound of the drop that also allows for a whole cluster's loss that the sample missed.

    Moves count as jumps of one typical size, as in :mod:`harness.statistics.paired_graded`, and one more jump
    is added to them: that of a whole cluster, of the size in which a case is found on average. The more small
    moves are seen, the less it weighs; without any it is the exact rule for clusters that are lost whole.

    Args:
        units: The drops.
        confidence: Two-sided, of the interval whose upper end this is.
    """
    lost, gained, jump = _jumps(units)
    return min(tango_interval(lost, gained, units.count, confidence, continuity=0.0).high * jump, 1.0)


def excludes_unseen(units: Units, margin: float, confidence: float) -> bool:
    """Whether :func:`unseen_bound` is within the margin, without a search for the bound.

    Args:
        units: The drops.
        margin: Largest tolerated drop, above 0.
        confidence: Two-sided.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    lost, gained, jump = _jumps(units)
    if margin >= 1:
        return True
    if lost - gained >= units.count * margin / jump or least_bound(units.count, z) * jump > margin:
        return False
    return margin >= jump or excludes_drop(lost, gained, units.count, margin / jump, z, continuity=0.0)


def _jumps(units: Units) -> tuple[float, float, float]:
    """Lost and gained jumps of one size, and this size, in cases' drops."""
    mean_size = math.fsum(units.sizes) / units.count
    moves = units.scaled
    whole = math.fsum(size * size for size in units.sizes) / math.fsum(units.sizes) / mean_size
    down = math.fsum(move for move in moves if move > 0)
    up = -math.fsum(move for move in moves if move < 0)
    jump = (math.fsum(move * move for move in moves) + whole * whole) / (down + up + whole)
    return down / jump, up / jump, jump


def _result(
    units: Units, confidence: float, bounds: tuple[float, float], unseen: float, *, p_value: float
) -> MeanDrop:
    return MeanDrop(
        estimate=units.mean,
        low=bounds[0],
        high=bounds[1],
        high_unseen=unseen,
        p_value=p_value,
        confidence=confidence,
        method=METHOD,
    )
