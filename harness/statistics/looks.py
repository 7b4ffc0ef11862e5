"""A gate with several looks: the levels of each look, and how often and how early it decides.

At each look the whole rule is applied to the cases so far, a part of a random order, at that look's own
levels (:func:`harness.statistics.spending.boundary_levels`). Both levels are spent in the same shape, that of
Pocock: its boundaries stay near one level, between 1 and 2 %, where the tests of few cases are known to keep
their level; the other shape would ask them for tails that no bootstrap and no handful of clusters knows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.statistics.detectable_drops import Flips, drawn_drops, verdicts_of
from harness.statistics.paired_binary import excludes_drop, least_bound, mcnemar_p
from harness.statistics.spending import SpendingShape, boundary_levels, even_looks, look_levels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHAPE: SpendingShape = "pocock"
# The looks of a set that is answered at once.
WHOLE = (1.0,)
RUNS = 4000
# Independent cases or clusters of a set, below which no look is taken before the last.
LEAST_UNITS = 20
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class LookChances:
    """What a gate with looks does, as probabilities.

    Attributes:
        regress: It calls a regression, at any look.
        passes: It passes, at any look.
        share: The mean share of the cases that are answered.
    """

    regress: float
    passes: float
    share: float


def level_at(fractions: Sequence[float], alpha: float) -> float:
    """The level at which one hypothesis is tested at the latest look.

    Args:
        fractions: The share of the planned cases at each look so far, in increasing order.
        alpha: The hypothesis' level over all looks.
    """
    if len(fractions) == 1:
        return part_at(fractions, alpha)
    return boundary_levels(tuple(fractions), alpha, SHAPE)[-1]


def part_at(fractions: Sequence[float], alpha: float) -> float:
    """The part of the level for a test at the latest look whose dependence on earlier looks is unknown.

    Args:
        fractions: The share of the planned cases at each look so far, in increasing order.
        alpha: The hypothesis' level over all looks.
    """
    return look_levels(fractions, alpha, SHAPE)[-1]


def look_sizes(sizes: Sequence[float], looks: int) -> tuple[int, ...]:
    """How many of the clusters, in their order, are answered at each look.

    Each look ends with the first cluster that reaches its even share of the cases. A look that would have
    fewer than LEAST_UNITS clusters is left out, since it could decide nothing and would spend a part of the
    level.

    Args:
        sizes: Number of cases of each cluster, in the order in which they are answered.
        looks: Planned number of looks.

    Returns:
        A number for each look, each at least that before; 0 for a look that is left out, all for the last.
    """
    total, so_far, number, ends = math.fsum(sizes), 0.0, 0, []
    for share in even_looks(looks):
        while number < len(sizes) and so_far < share * total - _ROUNDING:
            so_far, number = so_far + sizes[number], number + 1
        ends.append(number if number >= LEAST_UNITS or number == len(sizes) else 0)
    return tuple(ends)


def look_chances(
    sizes: Sequence[float], flips: Flips, alpha: float, level: float, *, margin: float, looks: int
) -> LookChances:
    """How often and how early a pass rate is decided, by simulation.

    Args:
        sizes: Number of cases of each cluster, in the order in which they are answered; 1 for a single case.
        flips: How cases flip.
        alpha: One-sided level of the bound that is compared with the margin, over all looks.
        level: One-sided level at which "no drop" is rejected, over all looks.
        margin: Largest tolerated drop.
        looks: Planned number of looks.
    """
    import numpy as np

    drops = drawn_drops(sizes, flips, RUNS)  # (runs, clusters)
    total, ends = math.fsum(sizes), sorted({*look_sizes(sizes, looks)} - {0})
    fractions = [math.fsum(sizes[:end]) / total for end in ends]
    going, used = np.ones(RUNS, dtype=bool), np.ones(RUNS)
    regresses, passes = 0, 0
    for number, end in enumerate(ends, 1):
        at = fractions[:number]
        refused, within = _verdicts(
            drops[going, :end], sizes[:end], level_at(at, level), margin, 1 - 2 * level_at(at, alpha)
        )
        regresses, passes = regresses + int(refused.sum()), passes + int(within.sum())
        places = np.flatnonzero(going)[refused | within]
        used[places], going[places] = at[-1], False
        if not going.any():
            break
    return LookChances(regress=regresses / RUNS, passes=passes / RUNS, share=float(used.mean()))


def _verdicts(
    drops: "NDArray[np.float64]", sizes: Sequence[float], level: float, margin: float, confidence: float
) -> "tuple[NDArray[np.bool_], NDArray[np.bool_]]":
    """Which of the simulated runs regress, and which pass."""
    if max(sizes) > 1:
        return verdicts_of(drops, sizes, level, margin=margin, confidence=confidence)
    import numpy as np
    from scipy.special import ndtri

    n, z = len(sizes), float(ndtri((1 + confidence) / 2))
    flips = np.stack([(drops > 0).sum(axis=1), (drops < 0).sum(axis=1)], axis=1)
    kinds, places = np.unique(flips, axis=0, return_inverse=True)
    can_pass = least_bound(n, z) <= margin
    within = np.array([can_pass and excludes_drop(lost, gained, n, margin, z) for lost, gained in kinds])
    refused = np.array([mcnemar_p(int(lost), int(gained)) <= level for lost, gained in kinds])
    beyond = np.array([not excludes_drop(lost, gained, n, margin, z) for lost, gained in kinds])
    return (refused & beyond)[places.ravel()], within[places.ravel()]
