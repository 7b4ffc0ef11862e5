"""Agreement of raters beyond chance: Cohen's kappa, pooled over questions, and Krippendorff's alpha.

And how often two reruns of one case disagree.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal, TypeAlias

from harness.statistics.clusters import CONFIDENCE, wilson
from harness.statistics.jackknife import jackknife_error
from harness.types import Interval, Stability

Level: TypeAlias = Literal["nominal", "ordinal", "interval"]

# Of the ratings' size, for what is less comes from rounding; and of an agreement's error.
_NO_SPREAD = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """Two raters' ratings of the same items of one question.

    Attributes:
        first: One rating an item.
        second: The other rater's.
        scale: Distance from the lowest to the highest rating if distances count (weights grow with the
            square); None if ratings are only equal or different.
        clusters: Each item's cluster; a name of its own for an item without one.
    """

    first: tuple[float, ...]
    second: tuple[float, ...]
    clusters: tuple[str | int, ...]
    scale: float | None = None


def kappa(strata: Sequence[Ratings], confidence: float = CONFIDENCE) -> Interval:
    """Cohen's kappa over one or more questions: 1 is full agreement, 0 is chance.

    Observed and expected disagreement are each summed over the questions and then divided, so a question with
    few items can't dominate, and one with a single label adds no chance agreement.
    Cohen, J. (1960), Educational and Psychological Measurement 20; (1968), Psychological Bulletin 70, for
    weights; Barlow, W. et al. (1991), Biometrics 47, for strata. The interval uses the jackknife's error
    (leaving out whole clusters) in Wilson's form, which is still right near full agreement.

    Args:
        strata: Each question's ratings, at least one item in all.
        confidence: Two-sided.

    Raises:
        ValueError: All ratings are equal, so agreement by chance is certain.
    """
    rows = [
        (number, first, second)
        for number, stratum in enumerate(strata)
        for first, second in zip(stratum.first, stratum.second, strict=True)
    ]
    clusters = [cluster for stratum in strata for cluster in stratum.clusters]
    scales = [stratum.scale for stratum in strata]
    rounding = len(rows) * max((_rounding(stratum) for stratum in strata), default=0.0)

    def parts(places: Sequence[int]) -> tuple[float, float]:
        observed = expected = 0.0
        for number, scale in enumerate(scales):
            pairs = [rows[place][1:] for place in places if rows[place][0] == number]
            if pairs:
                observed += sum(_distance(first, second, scale) for first, second in pairs)
                expected += _by_chance(pairs, scale)
        return observed, expected

    def statistic(places: Sequence[int]) -> float | None:
        observed, expected = parts(places)
        return None if expected <= rounding else 1 - observed / expected

    everything = range(len(rows))
    value = statistic(everything)
    if value is None:
        raise ValueError("all ratings are equal: agreement beyond chance is not defined")
    error, units = jackknife_error(clusters, statistic)
    observed, expected = parts(everything)
    return _interval(value, observed / len(rows), expected / len(rows), (error, units), confidence)


def krippendorff_alpha(
    units: Sequence[Sequence[float | None]], level: Level = "nominal", confidence: float = CONFIDENCE
) -> Interval:
    """Krippendorff's alpha of any number of raters, with gaps.

    Krippendorff, K. (2011). Computing Krippendorff's Alpha-Reliability. The interval is kappa's.

    Args:
        units: Each item's ratings, None where a rater gave none; items with fewer than two don't count.
        level: How differences count: equal or not, ranks, or distances.
        confidence: Two-sided.

    Raises:
        ValueError: No item has two ratings, or all ratings are equal.
    """
    rated = [[value for value in unit if value is not None] for unit in units]
    rated = [values for values in rated if len(values) > 1]
    if not rated:
        raise ValueError("no item was rated twice")

    def statistic(places: Sequence[int]) -> float | None:
        found = _alpha_parts([rated[place] for place in places], level)
        return None if found is None else 1 - found[0] / found[1]

    found = _alpha_parts(rated, level)
    if found is None:
        raise ValueError("all ratings are equal: agreement beyond chance is not defined")
    error = jackknife_error(list(range(len(rated))), statistic)
    return _interval(1 - found[0] / found[1], found[0], found[1], error, confidence)


def _distance(first: float, second: float, scale: float | None) -> float:
    return float(first != second) if scale is None else ((first - second) / scale) ** 2


def _rounding(ratings: Ratings) -> float:
    """The distance of ratings that are equal but for rounding."""
    if ratings.scale is None:
        return 0.0
    size = max(map(abs, (*ratings.first, *ratings.second)), default=0.0)
    return (_NO_SPREAD * size / ratings.scale) ** 2


def _by_chance(pairs: Sequence[tuple[float, float]], scale: float | None) -> float:
    """Disagreement of all pairs if each rater's ratings were shuffled among the items."""
    firsts = Counter(first for first, _ in pairs)
    seconds = Counter(second for _, second in pairs)
    total = sum(
        n * m * _distance(first, second, scale)
        for first, n in firsts.items()
        for second, m in seconds.items()
    )
    return total / len(pairs)


def _alpha_parts(rated: Sequence[Sequence[float]], level: Level) -> tuple[float, float] | None:
    """Observed and expected disagreement, each over the largest possible; None if nothing differs."""
    counts = Counter(value for values in rated for value in values)
    delta = _differences(counts, level)
    n = counts.total()
    largest = max((delta(a, b) for a in counts for b in counts), default=0.0)
    size = max(map(abs, counts), default=0.0)
    if largest <= ((_NO_SPREAD * size) ** 2 if level == "interval" else 0.0):
        return None
    observed = sum(
        sum(delta(a, b) for a, b in permutations(values, 2)) / (len(values) - 1) for values in rated
    )
    expected = sum(counts[a] * counts[b] * delta(a, b) for a in counts for b in counts) / (n - 1)
    return observed / n / largest, expected / n / largest


def _differences(counts: Counter[float], level: Level) -> Callable[[float, float], float]:
    if level == "nominal":
        return lambda a, b: float(a != b)
    if level == "interval":
        return lambda a, b: (a - b) ** 2

    def ranks(a: float, b: float) -> float:
        between = sum(count for value, count in counts.items() if min(a, b) <= value <= max(a, b))
        return 0.0 if a == b else (between - (counts[a] + counts[b]) / 2) ** 2

    return ranks


def _interval(
    value: float, observed: float, expected: float, error: tuple[float, int], confidence: float
) -> Interval:
    """Wilson's form on the scale of disagreement, with the number of cases that gives this error."""
    spread, units = error[0] * expected, error[1]
    share = min(max(observed, 0.0), 1.0)
    effective = float(units)
    if error[0] > _NO_SPREAD and 0 < share < 1 - _NO_SPREAD:
        effective = share * (1 - share) / spread**2
    around = wilson(share * effective, effective, confidence)
    return Interval(
        estimate=value,
        low=max(1 - around.high / expected, -1.0),
        high=min(1 - around.low / expected, 1.0),
        confidence=confidence,
        method=f"jackknife over {units}, Wilson's form",
    )


def flip_rate(noted: Iterable[Stability]) -> float | None:
    """Probability that two reruns of a case disagree, over all cases; None if no case ran twice.

    The unbiased estimate of 2 p (1 - p) from k answers with s passed is 2 s (k - s) / (k (k - 1)).
    """
    chances = [
        2 * case.passed * (case.answers - case.passed) / (case.answers * (case.answers - 1))
        for case in noted
        if case.answers > 1
    ]
    return sum(chances) / len(chances) if chances else None
