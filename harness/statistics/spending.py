"""How the level of one test is divided over several looks at data that still comes in.

Each look may spend a part of the level; the parts add up to the whole. A rule "stop at the first look whose
p-value is at most its part" then raises a false alarm with at most the level's probability, however the looks
depend on each other (Bonferroni's inequality): no joint distribution is needed, and the looks may even be at
different models. Looks at one growing sample depend on each other in a known way, and may use more:
:func:`boundary_levels`.

Lan, K. K. G. and DeMets, D. L. (1983). Discrete sequential boundaries for clinical trials. Biometrika 70.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, TypeAlias

# Of the numerical integration: points, standard deviations to either side, halvings in each search.
_NODES, _REACH, _HALVINGS = 400, 9.0, 60

# The shapes are named after the boundaries that they resemble.
SpendingShape: TypeAlias = Literal["obrien-fleming", "pocock"]


def spent(fraction: float, alpha: float, shape: SpendingShape) -> float:
    """The part of a one-sided level that is spent up to a fraction of the information.

    Lan and DeMets (1983): 2 - 2 Phi(z / sqrt(t)) with z the normal quantile at 1 - alpha / 2, which spends
    almost nothing early, as O'Brien and Fleming (1979) do; and alpha ln(1 + (e - 1) t), which is nearly even,
    as Pocock (1977) is.

    Args:
        fraction: Information so far as a share of the planned, such as cases answered of all cases. Beyond 1
            counts as 1.
        alpha: The whole level, between 0 and 1.
        shape: The spending function.

    Returns:
        From 0 at fraction 0 to ``alpha`` at 1.
    """
    if fraction <= 0:
        return 0.0
    if fraction >= 1:
        return alpha
    if shape == "pocock":
        return alpha * math.log1p((math.e - 1) * fraction)
    from scipy.special import ndtr, ndtri

    return 2 * float(ndtr(float(ndtri(alpha / 2)) / math.sqrt(fraction)))


def look_levels(fractions: Sequence[float], alpha: float, shape: SpendingShape) -> tuple[float, ...]:
    """The level of each look: what the spending function adds since the look before.

    Args:
        fractions: Share of the planned information at each look, in increasing order.
        alpha: The whole one-sided level.
        shape: The spending function.

    Returns:
        One level per look; they add up to ``alpha`` if the last fraction is 1.

    Raises:
        ValueError: The fractions don't increase from above 0 to at most 1.
    """
    rising = all(earlier < later for earlier, later in pairwise([0.0, *fractions]))
    if not fractions or not rising or fractions[-1] > 1:
        raise ValueError(f"looks must increase from above 0 to at most 1: {list(fractions)}")
    total = [0.0, *(spent(fraction, alpha, shape) for fraction in fractions)]
    return tuple(later - earlier for earlier, later in pairwise(total))


def even_looks(count: int) -> tuple[float, ...]:
    """The fractions of evenly spaced looks, the last at 1."""
    return tuple((number + 1) / count for number in range(count))


@lru_cache(maxsize=256)
def boundary_levels(fractions: tuple[float, ...], alpha: float, shape: SpendingShape) -> tuple[float, ...]:
    """The level of each look's own test, with which all looks together have the whole level.

    Looks at one growing sample depend on each other, so each may be tested at more than its part. The
    standardised sum of independent cases is a Brownian motion at the looks (Lan and DeMets, 1983), and each
    boundary is where its part is just spent by samples that no earlier look stopped (Armitage, P., McPherson,
    C. K. and Rowe, B. C. (1969). Repeated significance tests on accumulating data. JRSS A 132). A boundary
    depends on earlier looks only, not on how many will follow.

    Args:
        fractions: As in :func:`look_levels`.
        alpha: The whole one-sided level.
        shape: The spending function.

    Returns:
        One level per look, at least that of :func:`look_levels`.
    """
    import numpy as np
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    levels: list[float] = []
    places, masses, before = np.zeros(1), np.ones(1), 0.0  # where the motion is, and how probably
    for fraction, part in zip(fractions, look_levels(fractions, alpha, shape), strict=True):
        step, scale = math.sqrt(fraction - before), math.sqrt(fraction)
        low, high = -_REACH * scale, _REACH * scale
        for _ in range(_HALVINGS):
            boundary = (low + high) / 2
            crossed = float((masses * ndtr((places - boundary) / step)).sum())
            low, high = (boundary, high) if crossed > part else (low, boundary)
        # The first look's test is exactly its part.
        levels.append(float(ndtr(-high / scale)) if levels else part)
        if len(levels) == len(fractions):
            break
        half = (high + _REACH * scale) / 2
        reached = half * nodes + high - half
        density = np.exp(-(((reached[:, None] - places) / step) ** 2) / 2) / (step * math.sqrt(2 * math.pi))
        places, masses, before = reached, density @ masses * half * weights, fraction
    return tuple(levels)
