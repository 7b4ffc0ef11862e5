"""Independent units, single cases or whole clusters of them, and the interval of a rate or mean."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.types import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDrop:
    """A mean drop with its interval and its test, which always agree.

    p is at most the error level if and only if the interval is above 0.

    Attributes:
        estimate: The mean drop of a case.
        low: Lower end of the two-sided interval.
        high: Upper end, from the data alone.
        high_unseen: Upper end that also allows for losses that no unit shows: a pass needs it to be within
            the margin.
        p_value: One-sided, of "no drop".
        confidence: Two-sided, of the interval.
        method: Name of the method.
    """

    estimate: float
    low: float
    high: float
    high_unseen: float
    p_value: float
    confidence: float
    method: str

    @property
    def interval(self) -> Interval:
        """The estimate with both ends, from the data alone."""
        return Interval(
            estimate=self.estimate,
            low=self.low,
            high=self.high,
            confidence=self.confidence,
            method=self.method,
        )


@dataclass(frozen=True, slots=True)
class Units:
    """Values summed over independent units.

    Attributes:
        sums: Each unit's sum of values.
        sizes: Each unit's weight: the number of cases (or tokens) in its sum.
        inside: Variance of a case's value about its own unit's mean; 0 for single cases, or where it is
            unknown and units move as one.
    """

    sums: tuple[float, ...]
    sizes: tuple[float, ...]
    inside: float = 0.0

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


def joined(marks: Iterable[Iterable[object]]) -> tuple[int, ...]:
    """A number for each item, equal for those that have a mark in common, by themselves or through others.

    Args:
        marks: Each item's marks, which are hashable.
    """
    parents: list[int] = []

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    first: dict[object, int] = {}
    for place, own in enumerate(marks):
        parents.append(place)
        for mark in own:
            earlier = first.setdefault(mark, place)
            parents[root(place)] = root(earlier)
    return tuple(map(root, range(len(parents))))


def group(values: Sequence[float], clusters: Sequence[str | int]) -> Units:
    """Sum values by cluster.

    Args:
        values: One number a case, at least one.
        clusters: Each case's cluster; a name of its own for a case without one.
    """
    if len(set(clusters)) == len(values) == len(clusters):
        # Most sets have single cases, and many of them.
        return Units(sums=tuple(float(each) for each in values), sizes=(1.0,) * len(values))
    members: dict[str | int, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        members.setdefault(cluster, []).append(value)
    return Units(
        sums=tuple(math.fsum(each) for each in members.values()),
        sizes=tuple(float(len(each)) for each in members.values()),
    )


def variance_inside(values: Sequence[float], clusters: Sequence[str | int]) -> float:
    """Variance of a value about its own cluster's mean; 0 without clusters.

    Args:
        values: One number a case.
        clusters: Each case's cluster.
    """
    units = group(values, clusters)
    if units.count == len(values):
        return 0.0
    squares = math.fsum(value * value for value in values)
    between = math.fsum(part * part / size for part, size in zip(units.sums, units.sizes, strict=True))
    return max(squares - between, 0.0) / (len(values) - units.count)


def unseen_share(units: float, error: float) -> float:
    """Largest share of the population that this many draws miss with a probability above ``error``.

    It is the rule of three's exact form: Hanley, J. A. and Lippman-Hand, A. (1983). If nothing goes wrong,
    is everything all right? JAMA 249(13).

    Args:
        units: Independent draws.
        error: One-sided error probability.
    """
    return float(1 - error ** (1 / units))


# Two-sided confidence of every interval that is shown: each bound alone then has 95 %, the level at which #
# the gate decides.
CONFIDENCE = 0.90


# Of the values' size, for what is less comes from rounding.
_NO_SPREAD = 1e-12


def wilson(successes: float, n: float, confidence: float = CONFIDENCE) -> Interval:
    """Interval of a rate.

    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22.

    Args:
        successes: Number of successes.
        n: Number of trials, above zero.
        confidence: Two-sided.
    """
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(
        estimate=rate,
        low=0.0 if successes == 0 else centre - half,
        high=1.0 if successes == n else centre + half,
        confidence=confidence,
        method="Wilson",
    )


def rate_interval(
    passed: Sequence[bool], clusters: Sequence[str | int], confidence: float = CONFIDENCE
) -> Interval:
    """Interval of a pass rate: Wilson's, with the cases divided by the clusters' design effect.

    Rao, J. N. K. and Scott, A. J. (1992). A simple method for the analysis of clustered binary data.
    Biometrics 48. If all cases agree, each cluster counts as one case.

    Args:
        passed: One outcome per case, at least one.
        clusters: Each case's cluster; a name of its own for a case without one.
        confidence: Two-sided.
    """
    n = len(passed)
    units = group([float(each) for each in passed], clusters)
    if units.count == n:
        return wilson(sum(passed), n, confidence)
    rate = units.mean
    if 0 < rate < 1 and units.count > 1:
        squares = math.fsum(
            (total - size * rate) ** 2 for total, size in zip(units.sums, units.sizes, strict=True)
        )
        design_effect = squares / (n * rate * (1 - rate)) * units.count / (units.count - 1)
        effective = n / max(design_effect, 1.0)
    else:
        effective = units.effective
    interval = wilson(rate * effective, effective, confidence)
    return Interval(
        estimate=rate,
        low=0.0 if rate == 0 else interval.low,
        high=1.0 if rate == 1 else interval.high,
        confidence=confidence,
        method=f"Wilson over {units.count} clusters",
    )


def mean_interval(
    values: Sequence[float],
    clusters: Sequence[str | int],
    confidence: float = CONFIDENCE,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    unit: float | None = None,
) -> Interval:
    """Interval of a mean score: Student's t, over clusters if there are any.

    Args:
        values: One number per case, at least one.
        clusters: Each case's cluster; a name of its own for a case without one.
        confidence: Two-sided.
        least: Lower end of the score's scale: no bound is below it.
        most: Upper end of the score's scale.
        unit: On a scale without an end, the largest difference that one case can make; by default as much
            as the values are on average.
    """
    span = most - least if math.isfinite(most - least) else unit
    return ratio_interval(group(values, clusters), confidence, span=span, least=least, most=most)


def ratio_interval(
    units: Units,
    confidence: float = CONFIDENCE,
    *,
    span: float | None = None,
    least: float = -math.inf,
    most: float = math.inf,
) -> Interval:
    """Interval of a mean over units of unequal size: the linearised ratio estimator with Student's t.

    Cochran, W. G. (1977). Sampling Techniques, 3rd ed., chapters 6 and 9A. With units of size one it is the
    ordinary t interval. If the units don't differ, there is no spread to estimate; then the share of the
    population that they may have missed counts with the whole ``span``.

    Args:
        units: The sums and sizes.
        confidence: Two-sided.
        span: Largest difference that one case can make; by default as much as the values are on average, so
            that a cost has the same interval in any currency, and 1 if all are 0.
        least: Lower end of the scale: no bound is below it.
        most: Upper end of the scale.
    """
    from scipy.special import stdtrit

    error = (1 - confidence) / 2
    mean, spread = units.mean, standard_error(units)
    size = max(abs(total) / weight for total, weight in zip(units.sums, units.sizes, strict=True))
    if spread > _NO_SPREAD * size:
        half, method = float(stdtrit(units.count - 1, 1 - error)) * spread, f"t over {units.count}"
    else:
        if span is None:
            span = math.fsum(map(abs, units.sums)) / math.fsum(units.sizes) or 1.0
        half, method = unseen_share(units.effective, error) * span, "rule of three"
    return Interval(
        estimate=mean,
        low=max(mean - half, least),
        high=min(mean + half, most),
        confidence=confidence,
        method=method,
    )


def standard_error(units: Units) -> float:
    """Standard error of the mean from the units' spread; 0 if they don't differ."""
    if units.count < 2:
        return 0.0
    mean = units.mean
    squares = math.fsum(
        (total - size * mean) ** 2 for total, size in zip(units.sums, units.sizes, strict=True)
    )
    return math.sqrt(squares * units.count / (units.count - 1)) / math.fsum(units.sizes)


def degrees_of_freedom(units: Units) -> float:
    """Satterthwaite's degrees of freedom of the spread; for clusters of one size their number less one.

    With w a cluster's share of the cases and b = w^2 / (1 - w), they are 1 / (sum w^2 + (sum b)^2 - sum b^2):
    twice the squared mean of the variance over its own variance, for independent cases.

    Args:
        units: At least two clusters.
    """
    total = math.fsum(units.sizes)
    shares = [size / total for size in units.sizes]
    corrected = [share * share / (1 - share) for share in shares]
    return 1 / (
        math.fsum(share * share for share in shares)
        + math.fsum(corrected) ** 2
        - math.fsum(each * each for each in corrected)
    )


def squared_error(units: Units) -> float:
    """CR2 variance of the mean: each cluster's deviation, corrected for its own share of the mean.

    Args:
        units: At least two clusters.
    """
    total, mean = math.fsum(units.sizes), units.mean
    return math.fsum(
        ((part - mean * size) / total) ** 2 / (1 - size / total)
        for part, size in zip(units.sums, units.sizes, strict=True)
    )


def spreads(units: Units) -> list[float]:
    """Variance of each unit's sum: of its cases by themselves, and of the whole unit.

    The variance between units is that of their means, less what cases by themselves add to it. Where that is
    more than all of it, both estimates of what cases vary by are pooled by their degrees of freedom.
    Most samples show less than there is, so what they show is divided by what the middle one does.

    Args:
        units: The drops; at least two units.
    """
    means = [total / size for total, size in zip(units.sums, units.sizes, strict=True)]
    middle = math.fsum(means) / units.count
    seen = math.fsum((mean - middle) ** 2 for mean in means) / (units.count - 1)
    alone = math.fsum(1 / size for size in units.sizes) / units.count
    inside, between, freedom = units.inside, seen - units.inside * alone, units.count - 1.0
    if between < 0:
        cases, groups = math.fsum(units.sizes), units.count
        inside = (inside * (cases - groups) + seen / alone * (groups - 1)) / (cases - 1)
        between, freedom = 0.0, cases - 1
    shown = shown_by_middle(freedom)
    return [(size * inside + size * size * between) / shown for size in units.sizes]


def shown_by_middle(freedom: float) -> float:
    """The share of a variance that the middle sample shows.

    Args:
        freedom: Degrees of freedom of its estimate.
    """
    from scipy.special import chdtri

    return float(chdtri(freedom, 0.5)) / freedom
