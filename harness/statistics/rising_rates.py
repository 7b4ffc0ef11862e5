"""Whether a rate has risen above what a sample of earlier answers allows, watched for as long as one likes.

A test that is looked at every day at 5 % raises a false alarm sooner or later. Here the evidence is a test
martingale: whenever one stops to look, and as often, all looks together are wrong with a probability of at
most the level (Ville's inequality). Shafer, G. (2021). Testing by betting. JRSS A 184; Ramdas, A. et al.
(2023). Game-theoretic statistics and safe anytime-valid inference. Statistical Science 38.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Alternatives between the largest allowed rate and 1, evenly in log odds.
_ALTERNATIVES = 32
_LARGEST_LOG_ODDS = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """The evidence that a rate is above a limit.

    Attributes:
        evidence: The martingale's value at each window, 1 without evidence.
        alarm: Index of the first window at whose end it reached 1 / level; None if it never did.
        since: Index of the window from which on the evidence is strongest, when the alarm was raised.
    """

    evidence: tuple[float, ...]
    alarm: int | None
    since: int | None


def largest_rate(count: int, n: int, level: float) -> float:
    """One-sided upper bound of a rate by Clopper and Pearson (1934).

    It is exact also where the event is to be above the sample's own k-th largest value: the share of the
    population beyond that has the same beta distribution.

    Args:
        count: How often it happened.
        n: Out of how many, at least one.
        level: Probability that the bound is too low.
    """
    from scipy.stats import beta

    return 1.0 if count >= n else float(beta.ppf(1 - level, count + 1, n - count))


def watch_rate(windows: Sequence[tuple[int, int]], limit: float, level: float) -> Rise:
    """Test "at each time the rate is at most the limit, given all before", window by window.

    For each window k one bets from its start on that the rate is now larger: the capital is the likelihood
    ratio against the limit, averaged over larger rates, whose expectation is at most 1 for every rate within
    it. Window k has the share 1 / (k (k + 1)) of all capital, so a rise is found after it begins, at whatever
    time that is, and the expectation of all together stays at most 1.

    Args:
        windows: For each window in order of time, how often it happened and out of how many.
        limit: Largest allowed rate.
        level: Probability of an alarm at any time while the rate is within the limit.
    """
    import numpy as np

    # (alternatives, 2): what an event and its absence add; for a limit of 1 there is nothing to bet on.
    bets = np.array(_log_bets(limit) or [(0.0, 0.0)])
    # (windows, alternatives): the capital of each window's bets, without its share.
    capital = np.zeros((len(windows), len(bets)))
    shares = -np.log(np.arange(1.0, len(windows) + 1) * np.arange(2.0, len(windows) + 2) * len(bets))
    evidence: list[float] = []
    alarm = since = None
    for index, (count, n) in enumerate(windows):
        begun = capital[: index + 1]
        begun += bets @ np.array([count, n - count], dtype=float)
        logs = np.logaddexp.reduce(begun, axis=1) + shares[: index + 1]
        # With what is kept for windows to come.
        value = float(np.logaddexp.reduce([*logs, -math.log(index + 2)]))
        evidence.append(math.exp(min(value, 700.0)))
        if alarm is None and value >= -math.log(level):
            alarm, since = index, int(logs.argmax())
    return Rise(evidence=tuple(evidence), alarm=alarm, since=since)


def _log_bets(limit: float) -> list[tuple[float, float]]:
    """For each larger rate, the logarithms of what an event and its absence multiply the capital by."""
    if limit >= 1:
        return []
    # A limit of 0 is refuted by any event; the smallest float keeps its logarithm finite.
    limit = max(limit, 1e-300)
    lowest = math.log(limit) - math.log1p(-limit)
    steps = [lowest + (_LARGEST_LOG_ODDS - lowest) * (i + 1) / _ALTERNATIVES for i in range(_ALTERNATIVES)]
    rates = [1 / (1 + math.exp(-odds)) for odds in steps if odds > lowest]
    return [(math.log(rate / limit), math.log1p(-rate) - math.log1p(-limit)) for rate in rates]
