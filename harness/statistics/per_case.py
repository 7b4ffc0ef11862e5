"""Several answers to each case on both sides: tests whether a case got worse.

The null hypothesis is that a case's answers on both sides are interchangeable. Given how many of all its
answers passed, the number that the candidate passed is then hypergeometric, whatever the case's own rate is.
A case that always passed gives no evidence; a case that went from 5 of 5 to 0 of 5 gives much.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


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
