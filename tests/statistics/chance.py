"""What chance may do to a simulation, and the gate's rule for independent passes and fails, by counts."""

from functools import cache

from harness.statistics.paired_binary import mcnemar_p, tango_interval

MARGIN = 0.05
p_of = cache(mcnemar_p)


@cache
def highest(lost, gained, n):
    """Upper bound of the drop."""
    return tango_interval(lost, gained, n, 0.9).high


def regresses(lost, gained, n, level=0.05):
    """Whether the gate calls it a regression; test_error_rates.py shows that it says the same."""
    return p_of(lost, gained) <= level and highest(lost, gained, n) > MARGIN


def at_most(rate, runs):
    """The largest share that so many runs may show if the true one is ``rate``: three standard deviations."""
    return rate + 3 * (rate * (1 - rate) / runs) ** 0.5
