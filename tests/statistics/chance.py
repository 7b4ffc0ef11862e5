"""What chance may do to a simulation."""


def at_most(rate, runs):
    """The largest share that so many runs may show if the true one is ``rate``: three standard deviations."""
    return rate + 3 * (rate * (1 - rate) / runs) ** 0.5
