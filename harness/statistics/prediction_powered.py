"""A mean of many judged items, corrected by the few that people labelled too."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.statistics.clusters import CONFIDENCE, group, unseen_share
from harness.types import Interval

# Of the values' size, for what is less comes from rounding.
_NO_SPREAD = 1e-9
_NO_SKEWNESS = _NO_WEIGHT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PartlyLabelledItems:
    """Items that a judge scored, of which people labelled a random part.

    Attributes:
        labels: People's values of the labelled items.
        judged: The judge's values of the same items.
        judged_only: The judge's values of the unlabelled items, from the same population as the labelled
            ones.
        clusters: Each item's cluster, the labelled ones first; a name of its own for an item without one.
            Empty: all items are independent.
    """

    labels: tuple[float, ...]
    judged: tuple[float, ...]
    judged_only: tuple[float, ...] = ()
    clusters: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimate:
    """A corrected mean before its interval.

    Attributes:
        influence: Each cluster's influence on the mean, scaled for few clusters.
        units: Number of clusters with a label.
        rare: Variance to add where labels are yes or no: that of half an error of the judge.
        unseen: Smallest half width of the interval: it allows for what few labels may have missed.
    """

    value: float
    influence: Mapping[str | int, float]
    units: int
    rare: float
    unseen: float
    method: str

    @property
    def variance(self) -> float:
        """The value's variance."""
        return math.fsum(share * share for share in self.influence.values()) + self.rare

    @property
    def skewness(self) -> float:
        """The value's skewness: the third moment of its error over the variance to the power of 3/2."""
        third = math.fsum(share**3 for share in self.influence.values())
        return third / self.variance**1.5 if self.variance > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over items: their number, and of labels, judged values, products of both and judged squares."""

    count: int = 0
    labels: float = 0.0
    judged: float = 0.0
    products: float = 0.0
    squares: float = 0.0

    @staticmethod
    def of(judged: Sequence[float], labels: Sequence[float] = ()) -> "_Sums":
        """The sums over judged values, and their labels where there are any."""
        return _Sums(
            len(judged),
            math.fsum(labels),
            math.fsum(judged),
            math.fsum(label * own for label, own in zip(labels, judged, strict=False)),
            math.fsum(own * own for own in judged),
        )

    def __add__(self, other: "_Sums") -> "_Sums":
        return self._joined(other, 1)

    def __sub__(self, other: "_Sums") -> "_Sums":
        return self._joined(other, -1)

    def _joined(self, other: "_Sums", sign: int) -> "_Sums":
        return _Sums(
            self.count + sign * other.count,
            self.labels + sign * other.labels,
            self.judged + sign * other.judged,
            self.products + sign * other.products,
            self.squares + sign * other.squares,
        )


def prediction_powered_mean(
    items: PartlyLabelledItems,
    confidence: float = CONFIDENCE,
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> Interval:
    """Mean of people's values over all items, with an interval that is valid however wrong the judge is.

    The judge's mean over the unlabelled items, plus its mean error on the labelled ones. Angelopoulos, A. et
    al. (2023), Prediction-powered inference, Science 382; the judge's weight is its usefulness, as in
    Angelopoulos, A., Duchi, J. and Zrnic, T. (2023), PPI++ (arXiv:2311.01453): a useless one gets no weight.
    With few labels Student's t is used. The variance is that of the clusters' sums, so a cluster may be
    labelled in part. The weight is learned from the same labels: the jackknife counts what each of them
    changes in it. If no label differs from the judge's value, the interval is at least as wide as the share
    of errors that so few labels may miss (the rule of three), each as large as the scale is long, or without
    an end as the labels are on average. Labels of yes or no get a score interval: near
    either end of the scale the error of a mean is neither symmetric nor well known from few labels; there
    half an error more stands for that of the weight, too.
    A judge that errs in one direction makes the error skewed at any rate: the interval is then longer on the
    side of what few labels may have missed (docs/decisions/0011-judges-that-err-one-way.md).

    Args:
        items: The items.
        confidence: Two-sided.
        least: Lower end of the values' scale: no bound is below it.
        most: Upper end of the scale.

    Raises:
        ValueError: The labelled items are in fewer than two clusters, or some have no judge's value.
    """
    found = _estimate(items, confidence, most - least)
    if set(items.labels) <= {least, most}:
        return _rate_interval(found, confidence, least, most)
    return _interval(found, confidence, least, most)


def prediction_powered_difference(
    first: PartlyLabelledItems,
    second: PartlyLabelledItems,
    confidence: float = CONFIDENCE,
    *,
    span: float = math.inf,
) -> Interval:
    """First corrected mean minus the second, of answers to the same cases.

    A cluster's (or case's) contributions to both means are subtracted before the variance is computed, so the
    comparison is paired, no matter which answers are labelled. Each side's labels must be a random part of
    that side.

    Args:
        first: One side's items; a case's cluster has the same name on both sides.
        second: The other side's.
        confidence: Two-sided.
        span: Length of the values' scale: no bound is beyond it.

    Raises:
        ValueError: A side can't be corrected, or has no names of clusters.
    """
    if not first.clusters or not second.clusters:
        raise ValueError("both sides need the names of their cases or clusters")
    one, other = (_estimate(side, confidence, span) for side in (first, second))
    difference = _Estimate(
        value=one.value - other.value,
        influence={
            cluster: one.influence.get(cluster, 0.0) - other.influence.get(cluster, 0.0)
            for cluster in {**one.influence, **other.influence}
        },
        units=min(one.units, other.units),
        rare=one.rare + other.rare,
        unseen=math.hypot(one.unseen, other.unseen),
        method=f"{one.method}; less {other.method}",
    )
    return _interval(difference, confidence, -span, span)


def _rate_interval(found: _Estimate, confidence: float, least: float, most: float) -> Interval:
    """Wilson's interval of a rate, with the number of cases that gives the estimate's variance.

    The skewness of such a rate is in it; only what is beyond that moves its ends further. Among few labels
    the judge's errors are few, and their spread is often underestimated: half an error is added.
    """
    span, units = most - least, found.units
    rate = min(max((found.value - least) / span, 0.0), 1.0)
    found = replace(found, rare=_half_an_error(span, units))
    variance = found.variance / span**2
    # Not at the ends, where a rate of 0 or 1 would seem to be known.
    inside = (rate * units + 0.5) / (units + 1)
    cases = inside * (1 - inside) / variance
    own = (1 - 2 * inside) / math.sqrt(inside * (1 - inside) * cases)
    low, high = (
        (rate + t * t / (2 * cases) + t * math.sqrt(rate * (1 - rate) / cases + (t / (2 * cases)) ** 2))
        / (1 + t * t / cases)
        for t in _reach(found, confidence, own)
    )
    unseen = found.unseen / span
    return Interval(
        estimate=least + span * rate,
        low=least + span * max(min(low, rate - unseen), 0.0),
        high=least + span * min(max(high, rate + unseen), 1.0),
        confidence=confidence,
        method=f"{found.method}, score",
    )


def _interval(found: _Estimate, confidence: float, least: float, most: float) -> Interval:
    error = math.sqrt(found.variance)
    below, above = (t * error for t in _reach(found, confidence))
    return Interval(
        estimate=min(max(found.value, least), most),
        low=max(found.value + min(below, -found.unseen), least),
        high=min(found.value + max(above, found.unseen), most),
        confidence=confidence,
        method=found.method,
    )


def _reach(found: _Estimate, confidence: float, own_skewness: float = 0.0) -> tuple[float, float]:
    """How many standard errors an interval's ends are from its estimate, the lower one negative.

    Student's quantiles, moved by the skewness: the cubic transformation of t that removes it (Hall, P.
    (1992), On the removal of skewness by transformation, Journal of the Royal Statistical Society B 54),
    solved for t. Few labels show the skewness itself roughly: a side is lengthened by all of it, and
    shortened by half.

    Args:
        found: The estimate.
        confidence: Two-sided.
        own_skewness: What the interval allows for already.
    """
    from scipy.special import stdtrit

    t = float(stdtrit(found.units - 1, (1 + confidence) / 2))
    skewness = found.skewness - own_skewness
    if abs(skewness) <= _NO_SKEWNESS:
        return -t, t
    below, above = (
        side * 3 / skewness * (math.cbrt(1 + skewness * (side * t - skewness / 6)) - 1) for side in (1, -1)
    )
    low, high = (each if each > t else (each + t) / 2 for each in (below, above))
    return -low, high


def _estimate(items: PartlyLabelledItems, confidence: float, span: float) -> _Estimate:
    n, more = len(items.labels), len(items.judged_only)
    clusters = items.clusters or tuple(range(n + more))
    if len(items.judged) != n or len(clusters) != n + more:
        raise ValueError("each labelled item needs the judge's value, and each item its cluster")
    of_labelled, of_others = clusters[:n], clusters[n:]
    units = len(set(of_labelled))
    if units < 2:
        raise ValueError("at least two labelled items are needed, in different clusters")
    # Items in one cluster have no spread that shows the error of their mean: they are not used.
    others = items.judged_only if len(set(of_others)) > 1 else ()
    of_clusters, mean_judged = _labelled_sums(items, of_labelled), _mean(items.judged)
    whole = sum(of_clusters.values(), start=_Sums())
    further = _Sums.of([own - mean_judged for own in others])
    rounding = _NO_SPREAD * max(map(abs, (*items.labels, *items.judged, *items.judged_only)))
    weight = _weight(whole, further, rounding)
    value = _mean(items.labels) + _corrected(whole, further, rounding)
    values = sorted(set(items.labels))
    is_rate = len(values) == 2 and math.isclose(values[1] - values[0], span)
    if is_rate:
        # Half an error, added below, stands for the weight's own.
        corrections = [label - weight * own for label, own in zip(items.labels, items.judged, strict=True)]
        influence = _influence(corrections, of_labelled)
    else:
        influence = _jackknife(of_clusters, whole, further, rounding)
    if weight > 0:
        for cluster, share in _influence(items.judged_only, of_others).items():
            influence[cluster] = influence.get(cluster, 0.0) + weight * share
    errors = [label - own for label, own in zip(items.labels, items.judged, strict=True)]
    unseen = 0.0
    if _spread(errors if weight > 0 else items.labels) <= rounding:
        effective = group(errors, of_labelled).effective
        largest = span if math.isfinite(span) else _mean([abs(label) for label in items.labels]) or 1.0
        unseen = unseen_share(effective, (1 - confidence) / 2) * largest
    return _Estimate(
        value=value,
        influence=influence,
        units=units,
        rare=_half_an_error(span, units) if is_rate and weight > 0 else 0.0,
        unseen=unseen,
        method=f"prediction-powered, {n} labelled, {more} judged only, weight {weight:.2f}"
        + (f", {len(set(clusters))} clusters" if len(set(clusters)) < n + more else ""),
    )


def _half_an_error(span: float, units: int) -> float:
    return 0.5 * (span / units) ** 2


def _influence(values: Sequence[float], clusters: Sequence[str | int]) -> dict[str | int, float]:
    """Each cluster's influence on the mean: the squares sum to the mean's variance."""
    mean, shares = _mean(values), dict.fromkeys(clusters, 0.0)
    for value, cluster in zip(values, clusters, strict=True):
        shares[cluster] += (value - mean) / len(values)
    scale = math.sqrt(len(shares) / (len(shares) - 1))
    return {cluster: scale * share for cluster, share in shares.items()}


def _jackknife(
    of_clusters: Mapping[str | int, "_Sums"], whole: "_Sums", others: "_Sums", rounding: float
) -> dict[str | int, float]:
    """As :func:`_influence`, by what the mean would be without each cluster's labels, its weight included."""
    without = {cluster: _corrected(whole - own, others, rounding) for cluster, own in of_clusters.items()}
    middle = _mean(list(without.values()))
    scale = math.sqrt((len(without) - 1) / len(without))
    return {cluster: scale * (middle - value) for cluster, value in without.items()}


def _labelled_sums(items: PartlyLabelledItems, clusters: Sequence[str | int]) -> dict[str | int, "_Sums"]:
    """Each cluster's sums over its labelled items, about the means of all."""
    mean_label, mean_judged = _mean(items.labels), _mean(items.judged)
    found: dict[str | int, _Sums] = {}
    for label, own, cluster in zip(items.labels, items.judged, clusters, strict=True):
        found[cluster] = found.get(cluster, _Sums()) + _Sums.of([own - mean_judged], [label - mean_label])
    return found


def _weight(labelled: "_Sums", others: "_Sums", rounding: float) -> float:
    """The judge's weight, from 0 to 1: that of least variance for independent items, otherwise near it.

    Args:
        labelled: Of the labelled items.
        others: Of the items that only the judge scored.
        rounding: Standard deviation of the judge's values that is none.
    """
    if not others.count or labelled.count < 2:
        return 0.0
    n, both = labelled.count, labelled + others
    shared = (labelled.products - labelled.labels * labelled.judged / n) / (n - 1)
    spread = (both.squares - both.judged**2 / both.count) / (both.count - 1)
    if spread <= rounding**2:
        return 0.0
    weight = shared / ((1 + n / others.count) * spread)
    return 0.0 if weight <= _NO_WEIGHT else min(weight, 1.0)


def _corrected(labelled: "_Sums", others: "_Sums", rounding: float) -> float:
    """The corrected mean of these labels; see :func:`_weight`."""
    weight = _weight(labelled, others, rounding)
    value = (labelled.labels - weight * labelled.judged) / labelled.count
    return value + weight * others.judged / others.count if weight > 0 else value


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)
