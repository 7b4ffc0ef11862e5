"""Pass or fail on both sides of each case: tests and intervals, for one answer or several to each case.

With several answers the null hypothesis is that a case's answers on both sides are interchangeable. Given how
many of all its answers passed, the number that the candidate passed is then hypergeometric, whatever the
case's own rate is. A case that always passed gives no evidence; a case that went from 5 of 5 to 0 of 5 gives
much.
"""

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.types import Interval


def above_zero(p_value: float) -> float:
    """A p-value as it is stored: no finding is sure, and what is too small for a number is the smallest one.

    Half to the power of 1075 is 0 to a computer. A logarithm, or a correction by a factor, needs more.
    """
    return max(p_value, sys.float_info.min)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the probability of any false rejection at the level.

    Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6.
    """
    return weighted_holm(p_values, [1.0] * len(p_values))


def weighted_holm(p_values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values where the first step's level is not shared equally.

    The smallest p-value for its weight is tested at its weight's share of the level. Once it is rejected, the
    others share the whole level in the same ratio (Holm 1979, section 4).

    Args:
        p_values: The p-values.
        weights: Each one's part of the level, above zero; only their ratio counts.

    Returns:
        The adjusted p-values, in the same order.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index] / weights[index])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        shared = math.fsum(weights[each] for each in order[rank:])
        largest = max(largest, min(1.0, above_zero(p_values[index]) * (shared / weights[index])))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True, slots=True)
class Trials:
    """One case's passed answers and all its answers, on both sides."""

    baseline_passed: int
    baseline: int
    candidate_passed: int
    candidate: int


@lru_cache(maxsize=65536)
def _chances(passed: int, baseline: int, candidate: int) -> tuple[float, ...]:
    """Probability of each number of the candidate's passed answers, given how many of all answers passed."""
    total = math.comb(baseline + candidate, candidate)
    failed = baseline + candidate - passed
    return tuple(
        math.comb(passed, each) * math.comb(failed, candidate - each) / total if each <= passed else 0.0
        for each in range(candidate + 1)
    )


def _of(trials: Trials) -> tuple[float, ...]:
    passed = trials.baseline_passed + trials.candidate_passed
    return _chances(passed, trials.baseline, trials.candidate)


def case_p(trials: Trials) -> float:
    """One-sided p-value of "this case is answered no worse".

    Fisher, R. A. (1934). Statistical Methods for Research Workers, 5th ed., section 21.02.
    """
    return min(1.0, math.fsum(_of(trials)[: trials.candidate_passed + 1]))


def least_case_p(trials: Trials) -> float:
    """The smallest possible p-value of the case, given how many of all its answers passed."""
    return next((chance for chance in _of(trials) if chance > 0), 1.0)


def case_p_values(cases: Sequence[Trials]) -> list[float]:
    """P-value of each case, corrected: any false finding among all cases has at most this probability.

    For each case, sums the probabilities of a p-value this small, over it and all cases not yet found. A case
    that can't show such a p-value adds nothing, so a thousand cases that always pass cost nothing: Westfall,
    P. H. and Wolfinger, R. D. (1997). Multiple tests with discrete distributions. The American Statistician
    51(1), stepping down as Holm does. By Boole's inequality this is valid for dependent cases too.
    """
    plain = [case_p(trials) for trials in cases]
    tails = [_tail_sums(trials) for trials in cases]
    # There are only a few kinds of cases, by number of answers and of passed answers.
    left = Counter(tails)
    adjusted = [1.0] * len(cases)
    largest = 0.0
    for place in sorted(range(len(cases)), key=lambda place: plain[place]):
        reached = math.fsum(count * _chance_of(kind, plain[place]) for kind, count in left.items())
        largest = adjusted[place] = max(largest, min(1.0, reached))
        if largest >= 1.0:
            break
        left[tails[place]] -= 1
    return adjusted


def used_level(cases: Sequence[Trials], level: float) -> float:
    """How much of a level :func:`case_p_values` can use: the largest probability within it of a finding.

    A finding's probability takes few values, by how many of each case's answers passed on both sides
    together. The tests are conditional on that, so what one of them cannot use may be given to another (as in
    Tarone, R. E. (1990). A modified Bonferroni method for discrete data. Biometrics 46).

    Args:
        cases: The cases' answers on both sides.
        level: The most that it may use.

    Returns:
        The level, 0 if no case can show anything at it.
    """
    kinds = Counter(_tail_sums(trials) for trials in cases)
    possible = {tail for kind in kinds for tail in kind if tail > 0}
    reached = (
        math.fsum(count * _chance_of(kind, tail) for kind, count in kinds.items()) for tail in possible
    )
    return max((each for each in reached if each <= level), default=0.0)


def counted_case_ps(cases: Sequence[Trials]) -> tuple[float, list[float]]:
    """P-value of "no case is answered worse", by how many cases show the least that any can; and each case's.

    Where so many cases can show it that one by chance is no surprise, several still are. If nothing changed
    their number is a sum of independent draws, whose law is exact. A case's own p-value is that of the
    hardest set of cases with it in which nothing else changed (Marcus, R., Peritz, E. and Gabriel, K. R.
    (1976). On closed testing procedures. Biometrika 63): it alone with all that did not show it, so that lost
    cases never count against each other.

    Args:
        cases: The cases' answers on both sides.

    Returns:
        The p-value, and one for each case.
    """
    chances, least = _least_chances(cases)
    shows = [case_p(trials) <= least * (1 + 1e-9) for trials in cases]
    tails = _count_tails(chances)
    others = math.fsum(chance for chance, shown in zip(chances, shows, strict=True) if not shown)
    own = [min(chance + others, 1.0) if shown else 1.0 for chance, shown in zip(chances, shows, strict=True)]
    return tails[sum(shows)], own


def counted_level(cases: Sequence[Trials], level: float) -> float:
    """How much of a level :func:`counted_case_ps` can use, as :func:`used_level`.

    Args:
        cases: The cases' answers on both sides.
        level: The most that it may use.
    """
    return max((tail for tail in _count_tails(_least_chances(cases)[0]) if tail <= level), default=0.0)


def _least_chances(cases: Sequence[Trials]) -> tuple[list[float], float]:
    """Each case's probability of the least p-value that any of them can show, and this p-value."""
    least = min(least_case_p(trials) for trials in cases)
    return [_chance_of(_tail_sums(trials), least) for trials in cases], least


def _count_tails(chances: Sequence[float]) -> list[float]:
    """Probability of at least 0, 1, ... events that are independent."""
    import numpy as np

    law = np.ones(1)
    for chance in chances:
        if chance > 0:
            law = np.convolve(law, [1 - chance, chance])
    return [float(each) for each in np.minimum(np.cumsum(law[::-1])[::-1], 1.0)]


@lru_cache(maxsize=65536)
def _tail_sums_of(passed: int, baseline: int, candidate: int) -> tuple[float, ...]:
    sums, total = [], 0.0
    for chance in _chances(passed, baseline, candidate):
        total += chance
        sums.append(total)
    return tuple(sums)


def _tail_sums(trials: Trials) -> tuple[float, ...]:
    """The possible p-values of the case; each is its own probability."""
    return _tail_sums_of(trials.baseline_passed + trials.candidate_passed, trials.baseline, trials.candidate)


def _chance_of(tails: tuple[float, ...], p_value: float) -> float:
    """Probability of a p-value as small as this."""
    reached = [tail for tail in tails if 0 < tail <= p_value * (1 + 1e-9)]
    return reached[-1] if reached else 0.0


def stratified_p(cases: Sequence[Trials]) -> float:
    """One-sided mid-p value of "no case is answered worse", from all cases together.

    Compares the sum of the candidate's passed answers with its exact distribution over the cases: Cochran, W.
    G. (1954). Some methods for strengthening the common chi-squared tests. Biometrics 10; Mantel, N. and
    Haenszel, W. (1959). J. National Cancer Institute 22. With one answer per side it is McNemar's mid-p test.
    """
    import numpy as np

    distribution, surplus, informative = np.ones(1), 0, False
    for trials in cases:
        passed = trials.baseline_passed + trials.candidate_passed
        if 0 < passed < trials.baseline + trials.candidate:
            distribution = np.convolve(distribution, _of(trials))
            surplus += trials.candidate_passed
            informative = True
    if not informative:
        return 1.0
    return min(1.0, float(distribution[:surplus].sum() + distribution[surplus] / 2))


# In cases. Without it a drop at the margin passes in up to 7 % of runs where flips are few; with it in 5 %.
CONTINUITY = 0.25


_STEPS = 60  # halvings in the search for a bound: beyond a float's precision


def mcnemar_p(lost: int, gained: int, *, mid: bool = True) -> float:
    """One-sided p-value of "no drop", given the number of flipped cases.

    McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions.
    Psychometrika 12. The mid-p form counts half of the probability of the observation: Fagerland, M. W.,
    Lydersen, S. and Laake, P. (2013). The McNemar test for binary matched-pairs data. BMC Med. Res.
    Methodology 13:91. Without flips it is 1.

    Args:
        lost: Cases that the baseline passed and the candidate fails.
        gained: The reverse.
        mid: Use the mid-p form; otherwise the exact conditional test, which is conservative.
    """
    from scipy.special import bdtrc

    flips = lost + gained
    if lost == 0:
        return 1.0
    at_least = float(bdtrc(lost - 1, flips, 0.5))
    if not mid:
        return at_least
    more = float(bdtrc(lost, flips, 0.5)) if lost < flips else 0.0
    return (at_least + more) / 2


def tango_interval(
    lost: float, gained: float, n: float, confidence: float, *, continuity: float = CONTINUITY
) -> Interval:
    """Score interval of a paired drop, (lost - gained) / n.

    Tango, T. (1998). Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design. Statistics in Medicine 17, 891-908; with a continuity correction as in Chang, P. et
    al. (2024). Continuity corrected score confidence interval for the difference in proportions in paired
    data. J. Applied Statistics 51(1), 139-152, though a smaller one. It has a width above zero even if
    nothing flipped; this width is compared with a margin.

    Args:
        lost: Cases that the baseline passed and the candidate fails; effective counts may be fractions.
        gained: The reverse.
        n: All pairs, above zero.
        confidence: Two-sided.
        continuity: Correction in cases; 0 gives Tango's own interval.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    return Interval(
        estimate=(lost - gained) / n,
        low=-_upper(gained, lost, n, z, continuity),
        high=_upper(lost, gained, n, z, continuity),
        confidence=confidence,
        method="Tango score",
    )


def excludes_drop(
    lost: float, gained: float, n: float, drop: float, z: float, continuity: float = CONTINUITY
) -> bool:
    """Whether the one-sided score test rejects a true drop of this size.

    Args:
        lost: Cases lost.
        gained: Cases gained.
        n: All pairs.
        drop: The true drop in question, above -1 and below 1.
        z: Normal quantile of the level.
        continuity: Correction in cases.
    """
    return bool(_score(lost, gained, n, drop, continuity) <= -z)


def bound_without_flips(n: float, z: float, continuity: float = CONTINUITY) -> float:
    """Upper end of :func:`tango_interval` without flips, in closed form, without a numerical library.

    Without flips the score test rejects a drop d if n d - c >= z sqrt(n d (1 - d)), a quadratic in d. A
    single pair has the larger :func:`least_bound`.

    Args:
        n: All pairs.
        z: Normal quantile of the level.
        continuity: Correction in cases.
    """
    a = n * n + z * z * n
    b = 2 * n * continuity + z * z * n
    bound = (b + math.sqrt(b * b - 4 * a * continuity * continuity)) / (2 * a)
    return min(max(bound, least_bound(n, z)), 1.0)


def drop_p(
    lost: float, gained: float, n: float, drop: float = 0.0, *, continuity: float = CONTINUITY
) -> float:
    """One-sided p-value of "the true drop is at most this", by the score test that the interval inverts.

    It is the error level at which the lower end of :func:`tango_interval` would be at ``drop``, so test and
    interval never contradict each other. If all n pairs were lost, p is at least the probability of that, ((1
    + drop) / 2)^n.

    Args:
        lost: Cases lost; effective counts may be fractions.
        gained: Cases gained.
        n: All pairs.
        drop: The largest drop under the hypothesis.
        continuity: Correction in cases.
    """
    from scipy.special import ndtr

    if not -1 < drop < 1:
        return 1.0 if drop >= 1 else 0.0
    statistic = _score(gained, lost, n, -drop, continuity)
    return max(float(ndtr(statistic)), float(((1 + drop) / 2) ** n))


def _score(lost: float, gained: float, n: float, drop: float, continuity: float) -> float:
    """Tango's standardised distance of the counts from a true drop; far below 0 the drop is rejected."""
    # The nuisance parameter, a gain's probability, at its most likely value under this drop.
    a = 2 * n
    b = -lost - gained + (2 * n - lost + gained) * drop
    c = -gained * drop * (1 - drop)
    gain = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    distance = lost - gained - n * drop + continuity
    variance = n * (2 * gain + drop * (1 - drop))
    if variance <= 0:
        return math.inf if distance > 0 else -math.inf if distance < 0 else 0.0
    return distance / math.sqrt(variance)


def _upper(lost: float, gained: float, n: float, z: float, continuity: float) -> float:
    """Smallest drop that is rejected."""
    low, high = max((lost - gained) / n, -1 + 1e-12), 1.0
    if lost >= n - 1e-9:
        return 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if excludes_drop(lost, gained, n, middle, z, continuity) else (middle, high)
    return max(high, least_bound(n, z))


def least_bound(n: float, z: float) -> float:
    """Lower limit of the upper bound for n pairs: with a handful of pairs the score test is too sure.

    Even if all pairs gained, a drop is not rejected if its probability of that result, ((1 - drop) / 2)^n at
    most, is above the level.

    Args:
        n: All pairs.
        z: Normal quantile of the level.
    """
    # The standard library's, so that the lint imports no numerical library.
    below = math.erfc(z / math.sqrt(2)) / 2
    return 1 - 2 * math.pow(below, 1 / n)
