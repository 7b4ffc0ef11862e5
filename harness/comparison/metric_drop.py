"""Each metric's drop from baseline to candidate: interval, p-value and minimum detectable drop.

Statistics only; the verdict is decided in :mod:`harness.comparison.metric_verdicts`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from harness.comparison.pairing import PairedMetric
from harness.golden.schema import CHECK_TYPES, base_type
from harness.statistics.clustered_drop import clustered_drop, counted_drop, noisy_drop
from harness.statistics.clusters import (
    CONFIDENCE,
    MeanDrop,
    Units,
    group,
    mean_interval,
    rate_interval,
    variance_inside,
)
from harness.statistics.detectable_drops import (
    clusters_that_settle,
    detectable_cluster_drop,
    flips_as_observed,
    flips_by_chance,
)
from harness.statistics.detectable_falls import MOST_UNITS, detectable_fall_of_rates
from harness.statistics.detectable_repeated_drops import (
    detectable_averaged_drop,
    detectable_repeated_cluster_drop,
    detectable_repeated_clusters,
    detectable_repeated_drop,
)
from harness.statistics.paired_binary import Trials, above_zero, mcnemar_p, stratified_p, tango_interval
from harness.statistics.paired_graded import mean_drop
from harness.statistics.planning import cases_that_settle, rates_seen
from harness.statistics.power import POWER, churn_of, detectable_drop, detectable_mean_drop
from harness.types import Interval, MetricComparison, MetricSummary
from harness.types.golden import is_within

# Would a drop show on further cases like these, or did exactly these cases get worse?
Population: TypeAlias = Literal["sample", "cases"]

_LARGEST_LISTED = 20
_BY_CHANCE = 1e-9  # smaller differences are rounding


def compare_metric(
    paired: PairedMetric,
    confidence: float = CONFIDENCE,
    *,
    any_case_counts: bool = True,
    population: Population = "sample",
    detectable: bool = True,
    finest: float = 1.0,
) -> MetricComparison:
    """One metric's drop.

    Args:
        paired: The metric's values, at least one pair.
        confidence: Two-sided, of all intervals.
        any_case_counts: Whether a case that got worse counts even if another got better. With several answers
            per case, "no drop" then means that no case is answered worse. This can be rejected with far more
            evidence than "as many got worse as got better".
        population: Whether the drop is about further cases like these, or about exactly these cases. The
            latter is unknown for graded scores whose answers vary; then the former is used.
        detectable: Whether the detectable drop is asked for too, which takes the longest.
        finest: The level at which "no drop" is tested, which p-values of scores have to reach; 1 for any.
    """
    of_cases = _drop_of_cases(paired, confidence) if population == "cases" else None
    if of_cases is not None:
        drop, high_unseen, p_value = of_cases.interval, of_cases.high_unseen, of_cases.p_value
    else:
        found = _drop_of_sample(paired, confidence, finest, any_case_counts=any_case_counts)
        drop, high_unseen, p_value = found
    return MetricComparison(
        set_name=paired.set_name,
        metric=paired.metric,
        kind=paired.kind,
        n=len(paired.keys),
        candidate=_summary(paired, paired.candidate, confidence),
        baseline=_summary(paired, paired.baseline, confidence),
        drop=drop,
        high_unseen=high_unseen,
        population="sample" if of_cases is None else "cases",
        p_value=above_zero(p_value),
        lost=_moved(paired, 1),
        gained=_moved(paired, -1),
        minimum_detectable_drop=smallest_detectable(paired, (1 - confidence) / 2) if detectable else None,
        minimum_detectable_cluster_drop=(
            smallest_detectable_of_clusters(paired, (1 - confidence) / 2) if detectable else None
        ),
    )


def _drop_of_cases(paired: PairedMetric, confidence: float) -> MeanDrop | None:
    """The drop of exactly these cases; None if too little is known about how their answers vary."""
    if paired.reproducible:
        return counted_drop(paired.drops, confidence)
    return noisy_drop(paired.trials, confidence, paired.reruns) if paired.trials else None


def _drop_of_sample(
    paired: PairedMetric, confidence: float, finest: float, *, any_case_counts: bool
) -> tuple[Interval, float, float]:
    """The drop of further cases like these: its interval, its upper end with unseen losses, and p."""
    level = (1 - confidence) / 2
    if is_counted(paired):
        lost, gained = flips(paired)
        drop = tango_interval(lost, gained, len(paired.keys), confidence)
        high_unseen, p_value = drop.high, mcnemar_p(lost, gained)
        if p_value <= level:
            # The score test is by a hair less sure of 12 lost and 5 gained cases than the exact one.
            drop = replace(drop, low=max(drop.low, 0.0))
    else:
        found = _drop_of_units(paired, confidence, finest)
        drop, high_unseen, p_value = found.interval, found.high_unseen, found.p_value
    if paired.repeated and any_case_counts and not paired.clustered:
        p_value = max(stratified_p(paired.trials), 0.5 if drop.estimate <= 0 else 0.0)
        # Its lower end is the smallest drop that is not rejected; "no case is answered worse" is 0 and below.
        drop = replace(drop, low=max(drop.low, 0.0) if p_value <= level else min(drop.low, 0.0))
    return drop, high_unseen, p_value


def _drop_of_units(paired: PairedMetric, confidence: float, finest: float) -> MeanDrop:
    if paired.kind == "binary" and paired.clustered:
        return clustered_drop(units_of(paired), confidence)
    return mean_drop(
        units_of(paired),
        confidence,
        reach=reach_of(paired),
        span=paired.most - paired.least,
        light_tails=paired.light_tails,
        rise=rise_of(paired),
        finest=finest,
        lone=paired.lone,
    )


def smallest_detectable(
    paired: PairedMetric,
    level: float,
    margin: float | None = None,
    confidence: float = CONFIDENCE,
    *,
    least_churn: float = 0.0,
) -> float | None:
    """True drop that a comparison like this one calls a regression with probability 0.8.

    In clusters it is one whose cases are lost one by one; see :func:`smallest_detectable_of_clusters`.

    Args:
        paired: The metric's values: they give the number of cases and how much they change by chance.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: any drop beyond chance counts.
        confidence: Two-sided, of the interval that is compared with the margin.
        least_churn: Probability that a case flips one way by chance, measured by rerunning one model. It is
            used for independent cases with one answer; otherwise the drops' own spread is better.

    Returns:
        The drop, or None if no drop is found with this probability.
    """
    if is_counted(paired) and not paired.repeated:
        n, (lost, gained) = len(paired.keys), flips(paired)
        churn = max(churn_of(lost, gained, n), least_churn)
        return detectable_drop(n, churn, level, margin=margin, confidence=confidence)
    units = units_of(paired)
    if paired.kind == "binary" and (paired.clustered or _parted(paired)):
        return _detectable_of_clusters(paired, units, level, margin, confidence)
    if paired.kind == "graded":
        rise = None if paired.light_tails and not paired.lone else rise_of(paired)
        # On a scale without an end a further case may lose what others did.
        seen = 0.0 if math.isfinite(paired.most - paired.least) else max(paired.drops)
        return detectable_mean_drop(
            replace(units, inside=variance_inside(paired.drops, paired.clusters)),
            level,
            margin=margin,
            confidence=confidence,
            reach=max(reach_of(paired), seen),
            rise=rise,
            light_tails=paired.light_tails,
        )
    if paired.reruns and not paired.repeated:
        noise = _noise_of(paired, least_churn)
        return detectable_averaged_drop(
            paired.baseline, noise, level, margin=margin or 0.0, confidence=confidence
        )
    if paired.repeated:
        return detectable_repeated_drop(paired.trials, level, margin=margin, confidence=confidence)
    return detectable_mean_drop(units, level, margin=margin, confidence=confidence)


def _detectable_of_clusters(
    paired: PairedMetric, units: Units, level: float, margin: float | None, confidence: float
) -> float | None:
    """The same in clusters or of means of passes: with several answers all cases fall, else some are lost."""
    trials = paired.trials if paired.repeated else _parted(paired)
    if not paired.clustered and 1 < units.count <= MOST_UNITS:
        return detectable_fall_of_rates(trials, level, margin, confidence, rise_of(paired), POWER)
    if trials:
        return detectable_repeated_cluster_drop(
            trials, paired.clusters, units, level, margin=margin, confidence=confidence
        )
    return _detectable_flips(paired, units, level, margin, confidence, whole=False)


def _parted(paired: PairedMetric) -> tuple[Trials, ...]:
    """The passed parts of each case's value, if any value of a check that passes or fails is a mean."""
    if paired.kind == "graded" or not any(max(each) > 1 for each in paired.parts):
        return ()
    cases = zip(paired.parts, paired.baseline, paired.candidate, strict=True)
    return tuple(
        Trials(round(was * before), before, round(now * after), after) for (before, after), was, now in cases
    )


def smallest_detectable_of_clusters(
    paired: PairedMetric, level: float, margin: float | None = None, confidence: float = CONFIDENCE
) -> float | None:
    """The same drop if whole clusters are lost, and single answers flip by clusters: the hardest to find.

    Args:
        paired: The metric's values.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop; None: any drop beyond chance counts.
        confidence: Two-sided, of the interval that is compared with the margin.

    Returns:
        The drop, 1 if it takes all cases; None for metrics without clusters of passes and fails.
    """
    if not paired.clustered or paired.kind != "binary":
        return None
    trials = paired.trials if paired.repeated else _parted(paired)
    if trials:
        found = detectable_repeated_clusters(
            trials, paired.clusters, level, margin=margin, confidence=confidence
        )
    else:
        found = _detectable_flips(paired, units_of(paired), level, margin, confidence, whole=True)
    return 1.0 if found is None else found


def _detectable_flips(
    paired: PairedMetric, units: Units, level: float, margin: float | None, confidence: float, *, whole: bool
) -> float | None:
    lost, gained = (math.fsum(max(sign * drop, 0.0) for drop in paired.drops) for sign in (1, -1))
    by_chance = flips_by_chance(units, lost, gained, whole=whole)
    return detectable_cluster_drop(units.sizes, by_chance, level, margin=margin, confidence=confidence)


def _noise_of(paired: PairedMetric, churn: float) -> float:
    """Variance of one case's drop by chance: the mean of what reruns measured and of the drops' own spread.

    A single answer varies by the churn, and the mean of several of the baseline by its part of that.
    """
    answers = math.fsum(1 + each.answers for each in paired.reruns) / len(paired.reruns)
    mean = math.fsum(paired.drops) / len(paired.drops)
    spread = math.fsum((drop - mean) ** 2 for drop in paired.drops) / max(len(paired.drops) - 1, 1)
    return (churn * (1 + 1 / answers) + spread) / 2


def cases_to_settle(paired: PairedMetric, level: float, margin: float, confidence: float) -> int | None:
    """Number of cases like these with which the gate would decide with probability 0.8, whichever way.

    Args:
        paired: A pass rate's values, or those of another metric that is 0 or 1.
        level: One-sided level at which "no drop" is rejected.
        margin: Largest tolerated drop.
        confidence: Two-sided, of the interval that is compared with the margin.

    Returns:
        The number; None if it is unknown, as for graded scores and several answers to each case, and where
        the baseline is so near the worst value that no drop can be beyond the margin.
    """
    worst = paired.least if paired.higher_is_better else paired.most
    to_lose = abs(math.fsum(paired.baseline) / len(paired.baseline) - worst)
    if paired.repeated or is_within(to_lose, margin):
        return None
    if is_counted(paired):
        rates, n = rates_seen(*flips(paired), len(paired.keys)), len(paired.keys)
        return cases_that_settle(*rates, margin, level, confidence, least=n)
    if paired.kind == "graded" or not paired.clustered:
        return None
    units, seen = units_of(paired), flips_as_observed(units_of(paired))
    times = clusters_that_settle(units.sizes, seen, level, margin=margin, confidence=confidence)
    return times and times * len(paired.keys)


def is_counted(paired: PairedMetric) -> bool:
    """Whether cases are independent and each is lost, gained or neither, so that counts are sufficient."""
    alone = paired.kind == "binary" and not paired.clustered
    return alone and all(drop in {-1.0, 0.0, 1.0} for drop in paired.drops)


def flips(paired: PairedMetric) -> tuple[int, int]:
    """Number of lost and of gained cases."""
    return sum(drop > 0 for drop in paired.drops), sum(drop < 0 for drop in paired.drops)


def flipped(paired: PairedMetric, direction: int) -> set[str]:
    """Keys of all cases that fell (1) or rose (-1).

    Args:
        paired: The metric's values on both sides.
        direction: 1 for cases that fell, -1 for cases that rose.
    """
    drops = zip(paired.keys, paired.own_drops, strict=True)
    return {key for key, drop in drops if direction * drop > _BY_CHANCE}


def units_of(paired: PairedMetric) -> Units:
    """The drops, summed by cluster."""
    return group([0.0 if abs(drop) < _BY_CHANCE else drop for drop in paired.drops], paired.clusters)


def reach_of(paired: PairedMetric) -> float:
    """How far the mean would fall if every case had its worst value.

    One more case, which can lose the whole scale, is added: if a handful of cases score low, others could
    still fall further. The worst value is 0 for a cosine; on a scale without an end it is one unit away.
    """
    floor = lowest_value(paired.metric, paired.least)
    worst = floor if paired.higher_is_better else paired.most
    if not math.isfinite(worst) or not math.isfinite(paired.most - floor):
        return unit_of_scale(paired)
    return _mean_way_to(worst, paired, paired.most - floor)


def lowest_value(metric: str, least: float) -> float:
    """The lowest value that answers have: 0 of a cosine, although its scale begins at -1.

    Args:
        metric: The check type.
        least: Lower end of its scale.
    """
    kind = CHECK_TYPES.get(base_type(metric))
    return least if kind is None or kind.lowest is None else kind.lowest


def rise_of(paired: PairedMetric) -> float:
    """How far the mean would rise if every case had its best value.

    As for :func:`reach_of`, one more case is added, which can gain the whole scale. On a scale without an end
    it is one unit, or less where the best value is nearer; of losses per token what one token may gain.
    """
    best = paired.most if paired.higher_is_better else paired.least
    unit, scale = paired.lone or unit_of_scale(paired), paired.most - paired.least
    if not math.isfinite(best):
        return unit
    if math.isfinite(scale):
        return _mean_way_to(best, paired, scale)
    return min(_mean_way_to(best, paired, unit), unit)


def unit_of_scale(paired: PairedMetric) -> float:
    """What a case may move on a scale without an end: as much as the baseline's values are on average.

    So a cost has the same verdict in any currency. Where all of those are 0, it is the candidate's mean. Of
    logarithms it is 1, and where all values are 0.

    Args:
        paired: The metric's values.
    """
    sizes = (math.fsum(map(abs, values)) / len(values) for values in (paired.baseline, paired.candidate))
    return 1.0 if paired.logarithmic else next((size for size in sizes if size > 0), 1.0)


def _mean_way_to(end: float, paired: PairedMetric, scale: float) -> float:
    """Mean distance of the baseline's values from an end, with one more case the whole scale away from it."""
    return (math.fsum(abs(value - end) for value in paired.baseline) + scale) / (len(paired.baseline) + 1)


def end_of_pass(row: MetricComparison) -> float:
    """The upper end that a pass needs within the margin."""
    return row.drop.high if row.high_unseen is None else row.high_unseen


def _moved(paired: PairedMetric, direction: int) -> tuple[str, ...]:
    """Cases that fell (1) or rose (-1): all of a pass-or-fail metric, otherwise those that changed most."""
    moves = sorted(
        (-direction * drop, key)
        for key, drop in zip(paired.keys, paired.own_drops, strict=True)
        if direction * drop > _BY_CHANCE
    )
    if paired.kind == "binary":
        return tuple(sorted(key for _, key in moves))
    return tuple(key for _, key in moves[:_LARGEST_LISTED])


def _summary(paired: PairedMetric, values: Sequence[float], confidence: float) -> MetricSummary:
    mean: Interval
    if paired.kind == "binary" and all(value in {0.0, 1.0} for value in values):
        mean = rate_interval([value == 1.0 for value in values], paired.clusters, confidence)
    else:
        ends = {"least": paired.least, "most": paired.most}
        mean = mean_interval(values, paired.clusters, confidence, **ends, unit=unit_of_scale(paired))
    return MetricSummary(metric=paired.metric, n=len(values), mean=mean)
