"""Independent units: single cases, or whole clusters of dependent cases."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Units:
    """Values summed over independent units.

    Attributes:
        sums: Each unit's sum of values.
        sizes: Each unit's weight: the number of cases (or tokens) in its sum.
    """

    sums: tuple[float, ...]
    sizes: tuple[float, ...]

    @property
    def count(self) -> int:
        """Number of independent units."""
        return len(self.sums)

    @property
    def mean(self) -> float:
        """Mean value of one case (or token)."""
        return math.fsum(self.sums) / math.fsum(self.sizes)

    @property
    def scaled(self) -> tuple[float, ...]:
        """The sums divided by the mean size: their plain mean is the mean of a case."""
        mean_size = math.fsum(self.sizes) / self.count
        return tuple(total / mean_size for total in self.sums)

    @property
    def effective(self) -> float:
        """Number of units of equal size with the same information.

        Kish, L. (1965). Survey Sampling. Wiley, section 11.7.
        """
        return math.fsum(self.sizes) ** 2 / math.fsum(size * size for size in self.sizes)


def group(values: Sequence[float], clusters: Sequence[str | int]) -> Units:
    """Sum values by cluster.

    Args:
        values: One number a case, at least one.
        clusters: Each case's cluster; a name of its own for a case without one.
    """
    members: dict[str | int, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        members.setdefault(cluster, []).append(value)
    return Units(
        sums=tuple(math.fsum(each) for each in members.values()),
        sizes=tuple(float(len(each)) for each in members.values()),
    )


def unseen_share(units: float, error: float) -> float:
    """Largest share of the population that this many draws miss with a probability above ``error``.

    It is the rule of three's exact form: Hanley, J. A. and Lippman-Hand, A. (1983). If nothing goes wrong,
    is everything all right? JAMA 249(13).

    Args:
        units: Independent draws.
        error: One-sided error probability.
    """
    return float(1 - error ** (1 / units))
