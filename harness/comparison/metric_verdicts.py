"""The decision about each gated metric and each case: one level of error, shared over all tests of a run."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from harness.comparison.metric_drop import (
    Population,
    cases_to_settle,
    compare_metric,
    end_of_pass,
    lowest_value,
    smallest_detectable,
    smallest_detectable_of_clusters,
    unit_of_scale,
)
from harness.comparison.missing_cases import Extremes, with_missing
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.comparison.regressed_cases import (
    CaseTest,
    level_of,
    measured_churn,
    regressed_cases,
    shared_case_tests,
    shared_level,
)
from harness.registry.content_metrics import SET_METRICS
from harness.statistics.clustered_drop import detectable_drop_of_cases, detectable_set_drop, half_width
from harness.statistics.looks import WHOLE
from harness.statistics.paired_binary import weighted_holm
from harness.types import (
    GateVerdict,
    GoldenSet,
    Interval,
    MetricComparison,
    RegressedCase,
    Stability,
    Standing,
)
from harness.types.golden import ALPHA, PROBE_MARGIN, TASK_MARGIN, is_within

# A gain of less than so much of the margin is none: losses of equal texts differ with the rows beside them.
_ROUNDING_OF_BATCHES = 1e-4
# The margin is at least a thousandth of a unit; a billionth of this part of the values' size is no rounding.
_IN_MARGINS, _RESOLVED, _MOST_UNITS = 1000, 2.0**-13, 1e140
# A row's figures on the metric's own scale, but for those with an interval.
_ENDS = ("high_unseen", "high_at_best", "margin", "minimum_detectable_drop")
# A golden set's name and a metric's.
_Name = tuple[str, str]
# Rows of metrics of whole sets, given the confidence of each set's intervals.
SetRows: TypeAlias = Callable[[Mapping[str, float]], list[MetricComparison]]


def _name(of: PairedMetric | MetricComparison) -> _Name:
    return of.set_name, of.metric


def gated_margins(
    golden_sets: Sequence[GoldenSet], margin: float | None = None, forgetting_margin: float | None = None
) -> dict[_Name, float]:
    """The gated metrics, each with its tolerated drop: a run's option, else the set's own, else the default.

    Args:
        golden_sets: The sets.
        margin: The run's option for task sets, or None.
        forgetting_margin: The run's option for forgetting probes, or None.

    Returns:
        Tolerated drops by set and metric, as fractions.
    """
    margins: dict[_Name, float] = {}
    for golden_set in golden_sets:
        chosen = forgetting_margin if golden_set.probes_forgetting else margin
        default = PROBE_MARGIN if golden_set.probes_forgetting else TASK_MARGIN
        of_set = default if golden_set.gate.margin is None else golden_set.gate.margin
        margins[golden_set.name, PASS_RATE] = of_set if chosen is None else chosen
        for metric, of_metric in golden_set.gate.metric_margins.items():
            margins[golden_set.name, metric] = of_metric
    return margins


def judge_metrics(
    metrics: Sequence[PairedMetric], margins: Mapping[_Name, float], alpha: float = ALPHA
) -> list[MetricComparison]:
    """As :func:`judge`, for the metrics only.

    Args:
        metrics: The metrics' values on both sides.
        margins: Tolerated drops by set and metric.
        alpha: One-sided level of the tests.
    """
    return judge(metrics, margins, alpha)[0]


def judge(  # noqa: PLR0913 # all that one decision depends on
    metrics: Sequence[PairedMetric],
    margins: Mapping[_Name, float],
    alpha: float = ALPHA,
    *,
    regress_alpha: float | None = None,
    limits: Mapping[str, float] | None = None,
    populations: Mapping[str, Population] | None = None,
    stability: Mapping[str, Stability] | None = None,
    fractions: Mapping[str, Sequence[float]] | None = None,
    of_sets: SetRows = lambda confidence: [],
    extremes: Mapping[_Name, Extremes] | None = None,
    expected: Collection[_Name] = (),
) -> tuple[list[MetricComparison], list[RegressedCase]]:
    """Compare each metric, judge those with a margin, and find the regressed cases, at one joint level.

    Args:
        metrics: The paired values.
        margins: Largest tolerated drop by golden set and metric.
        alpha: One-sided level of each metric's bound that is compared with its margin, and of every interval.
        regress_alpha: The same of all regression tests together, if it differs: a k-th for one of k models.
        limits: Largest tolerated share of regressed cases by golden set; 0 by default.
        populations: The question for each golden set; by default about further cases like these.
        stability: The noise record of the baseline's model, by case key.
        fractions: Of sets answered look by look, the share of cases at each look; levels are the latest's.
        of_sets: The rows of metrics of whole sets, given the confidence of each set's intervals.
        extremes: What cases with a value on one side only could have been: a verdict has to hold for all.
        expected: All tests that later looks may make: each has its part of the level from the first look on.

    Returns:
        A comparison for each metric, then those of whole sets; and the regressed cases.
    """
    regress_alpha, times = (alpha, 1.0) if regress_alpha is None else (regress_alpha, alpha / regress_alpha)
    units = {(name := _name(each)): _unit(each, margins.get(name)) for each in metrics}
    metrics, margins, extremes = _in_units(units, metrics, margins, extremes or {})
    looks = {name: tuple(shares) for name, shares in (fractions or {}).items()}
    gated = [place for place, each in enumerate(metrics) if _name(each) in margins]
    chosen = {metrics[place].set_name: 0.0 for place in gated} if limits is None else limits
    confidence = {each.set_name: 1 - 2 * level_of(looks.get(each.set_name, WHOLE), alpha) for each in metrics}
    set_rows = of_sets(confidence)
    set_gated = [place for place, row in enumerate(set_rows) if _name(row) in margins]
    own = [metrics[place] for place in gated]
    waiting = len(set(expected) - {*map(_name, metrics), *map(_name, set_rows)})
    tests = shared_case_tests(own, chosen, stability or {}, regress_alpha, others=len(set_gated) + waiting)
    sets = [*(each.set_name for each in own), *(set_rows[place].set_name for place in set_gated)]
    weights, levels = shared_level(sets, tests, looks, regress_alpha, waiting)
    compared = partial(_compared, confidence=confidence, limits=chosen, populations=populations or {})
    rows = _compared_rows(metrics, dict(zip(gated, levels, strict=False)), extremes, compared)
    tested = [*(rows[place] for place in gated), *(set_rows[place] for place in set_gated)]
    adjusted = [min(p * times, 1.0) for p in _corrected(tested, tests, weights, levels)]
    for place, metric, level, p in zip(gated, own, levels, adjusted, strict=False):
        row = replace(rows[place], margin=margins[_name(metric)], p_adjusted=p)
        churn, whole = measured_churn(metric, stability or {}), looks.get(row.set_name, WHOLE)[-1] >= 1
        other = _other_question(metric, row, level, extremes, compared) if whole else None
        rows[place] = _judged(metric, row, level, churn, rejected=p <= alpha, other=other)
    for place, p, level in zip(set_gated, adjusted[len(gated) :], levels[len(gated) :], strict=False):
        set_rows[place] = _judged_set(set_rows[place], margins, p, alpha, level, metrics)
    found = zip(tests, adjusted[len(sets) :], strict=True)
    rows = [_in_own_units(row, units[_name(row)]) for row in rows]
    return [*rows, *set_rows], [case for test, p in found for case in regressed_cases(test, p, alpha, times)]


def _unit(metric: PairedMetric, margin: float | None) -> float:
    """A length of which a billionth is rounding, and neither a move nor a part of the margin.

    It is about the shortest of the scale, the mean size of the values and a thousand margins, but not so
    short that the values' own rounding counts. A power of 2, so that nothing is rounded by a division.
    """
    if metric.kind == "binary" or metric.logarithmic:
        return 1.0
    values, scale = (*metric.candidate, *metric.baseline), metric.most - metric.least
    size = math.fsum(map(abs, values)) / len(values)
    if size == 0 and not math.isfinite(scale):
        # Only the margin tells what a case may move: as much as on a scale of 1 with the default margin.
        return margin / TASK_MARGIN if margin else 1.0
    shortest = min(scale, size or scale, math.inf if margin is None else _IN_MARGINS * margin)
    # Whatever differs by many powers of 10, the sums of squares of what cases may move are still numbers.
    least, most = scale / _MOST_UNITS if math.isfinite(scale) else 0.0, unit_of_scale(metric) * _MOST_UNITS
    return math.ldexp(1.0, math.frexp(min(max(shortest, size * _RESOLVED, least), most))[1] - 1)


def _in_units(
    units: Mapping[_Name, float],
    metrics: Sequence[PairedMetric],
    margins: Mapping[_Name, float],
    extremes: Mapping[_Name, Extremes],
) -> tuple[list[PairedMetric], dict[_Name, float], dict[_Name, Extremes]]:
    """Metrics, margins and what is missing, in units of each metric's scale."""

    def scaled(metric: PairedMetric) -> PairedMetric:
        unit = units[_name(metric)]
        return replace(
            metric,
            candidate=tuple(value / unit for value in metric.candidate),
            baseline=tuple(value / unit for value in metric.baseline),
            least=metric.least / unit,
            most=metric.most / unit,
        )

    return (
        [scaled(each) for each in metrics],
        {name: margin / units.get(name, 1.0) for name, margin in margins.items()},
        {
            name: replace(each, worst=scaled(each.worst), best=scaled(each.best))
            for name, each in extremes.items()
        },
    )


def _in_own_units(row: MetricComparison, unit: float) -> MetricComparison:
    """A row on its metric's own scale again."""

    def own(interval: Interval) -> Interval:
        ends = {name: getattr(interval, name) * unit for name in ("estimate", "low", "high")}
        return replace(interval, **ends)

    ends = {name: getattr(row, name) for name in _ENDS}
    return replace(
        row,
        candidate=replace(row.candidate, mean=own(row.candidate.mean)),
        baseline=replace(row.baseline, mean=own(row.baseline.mean)),
        drop=own(row.drop),
        **{name: end * unit for name, end in ends.items() if end is not None},
    )


def _compared_rows(
    metrics: Sequence[PairedMetric],
    gated: Mapping[int, float],
    extremes: Mapping[_Name, Extremes],
    compared: Callable[..., MetricComparison],
) -> list[MetricComparison]:
    """Each metric's row without a verdict, with what is missing, given the level of each gated one."""
    rows = []
    for place, metric in enumerate(metrics):
        compare = partial(compared, finest=gated.get(place, 1.0))
        row, extreme = compare(metric, detectable=place not in gated), extremes.get(_name(metric))
        rows.append(row if extreme is None else with_missing(row, extreme, compare))
    return rows


def _compared(
    metric: PairedMetric,
    confidence: Mapping[str, float],
    limits: Mapping[str, float],
    populations: Mapping[str, Population],
    *,
    finest: float,
    detectable: bool,
) -> MetricComparison:
    """A metric's row without a verdict; the detectable drop of a gated one depends on its margin, too."""
    return compare_metric(
        metric,
        confidence[metric.set_name],
        any_case_counts=limits.get(metric.set_name, 0.0) == 0,
        population=populations.get(metric.set_name, "sample"),
        detectable=detectable,
        finest=finest,
    )


def _corrected(
    rows: Sequence[MetricComparison],
    tests: Sequence[CaseTest],
    weights: Sequence[float],
    levels: Sequence[float],
) -> list[float]:
    """The p-values by Holm's correction. At a look each counts as much more as its level is smaller there."""
    p_values = [*(row.p_value for row in rows), *(test.p_value for test in tests)]
    scaled = [p * (weight / level) for p, weight, level in zip(p_values, weights, levels, strict=False)]
    # What no look has reached is not rejected yet.
    waiting = [1.0] * (len(weights) - len(scaled))
    return weighted_holm([*scaled, *waiting], weights)[: len(scaled)]


def _judged(
    metric: PairedMetric,
    row: MetricComparison,
    level: float,
    churn: float,
    *,
    rejected: bool,
    other: GateVerdict | None,
) -> MetricComparison:
    """A gated metric's row with its verdict, the other question's, and the drop it could have detected."""
    margin = row.margin or 0.0
    verdict = _decide(row, margin, rejected=rejected)
    more = None
    if verdict is GateVerdict.INCONCLUSIVE and row.population == "sample" and not row.missing:
        more = cases_to_settle(metric, level, margin, row.drop.confidence)
    able, of_clusters = _detectable(metric, row, level, churn), None
    if able is not None and row.population == "sample":
        of_clusters = smallest_detectable_of_clusters(metric, level, margin, row.drop.confidence)
        # Where much was lost, its spread counts as noise of a drop that takes cases one by one.
        of_clusters = None if of_clusters is None else max(of_clusters, able)
    return replace(
        row,
        cases_to_settle=more,
        minimum_detectable_drop=able,
        minimum_detectable_cluster_drop=of_clusters,
        verdict=verdict,
        other_question=other,
    )


def _sizes_of_set(row: MetricComparison, metrics: Sequence[PairedMetric]) -> list[int]:
    """The number of cases of each cluster of a whole set's metric."""
    check = SET_METRICS[row.metric]
    clusters = [each.clusters for each in metrics if _name(each) == (row.set_name, check)]
    return list(Counter(clusters[0]).values()) if clusters else [1] * row.n


def _judged_set(
    row: MetricComparison,
    margins: Mapping[_Name, float],
    p_adjusted: float,
    alpha: float,
    level: float,
    metrics: Sequence[PairedMetric],
) -> MetricComparison:
    """The row of a whole set's metric with its verdict and the drop it could have detected."""
    margin = margins[_name(row)]
    if row.population == "cases":
        able = detectable_drop_of_cases(row.drop, row.n, level, margin, whole=False)
    else:
        others, sizes = row.drop_of_others, _sizes_of_set(row, metrics)
        halves = half_width(row.drop), None if others is None else half_width(others)
        seen = row.drop.estimate, 0.0 if others is None else others.estimate
        able = detectable_set_drop(halves, sizes, row.drop.confidence, level, margin, seen=seen)
    return replace(
        row,
        margin=margin,
        p_adjusted=p_adjusted,
        verdict=_decide(row, margin, rejected=p_adjusted <= alpha),
        minimum_detectable_drop=able if able < 1 and is_within(able, row.baseline.mean.estimate) else None,
    )


def _detectable(metric: PairedMetric, row: MetricComparison, level: float, churn: float) -> float | None:
    """The smallest drop that such a row calls a regression in most runs, for the question that it answers."""
    margin = row.margin or 0.0
    able: float | None
    if row.population == "cases":
        whole = row.kind == "binary" and not metric.repeated
        able = detectable_drop_of_cases(row.drop, row.n, level, margin, whole=whole)
    else:
        able = smallest_detectable(metric, level, margin, row.drop.confidence, least_churn=churn)
    # What the baseline does not have can't be lost.
    worst = lowest_value(metric.metric, metric.least) if metric.higher_is_better else metric.most
    most = abs(math.fsum(metric.baseline) / len(metric.baseline) - worst)
    return able if able is not None and is_within(able, most, unit=1.0) else None


def _other_question(
    metric: PairedMetric,
    row: MetricComparison,
    level: float,
    extremes: Mapping[_Name, Extremes],
    compared: Callable[..., MetricComparison],
) -> GateVerdict | None:
    """The verdict for a pass rate's other question, with what is missing; None if it can't be answered.

    It is left open while its set's cases are not all answered.
    """
    if metric.metric != PASS_RATE:
        return None
    asked: Population = "sample" if row.population == "cases" else "cases"
    ask = partial(compared, populations={row.set_name: asked}, finest=level)
    other = ask(metric, detectable=False)
    if other.population != asked:
        return None
    if (extreme := extremes.get(_name(row))) is not None:
        other = with_missing(other, extreme, ask)
    return _decide(other, row.margin or 0.0, rejected=other.p_value <= level)


def _decide(row: MetricComparison, margin: float, *, rejected: bool) -> GateVerdict:
    """A pass needs the bound that allows for unseen losses; a regression is shown by the data alone.

    Both hold whatever is missing: the pass at its worst, the regression at its best. The row is in units of
    its scale, which tell rounding where no drop is tolerated, or one far below them.
    """
    if is_within(end_of_pass(row), margin, unit=1.0) and not row.missing_unlimited:
        return GateVerdict.PASS
    high = row.drop.high if row.high_at_best is None else min(row.drop.high, row.high_at_best)
    beyond = rejected and not is_within(high, margin, unit=1.0)
    return GateVerdict.REGRESS if beyond else GateVerdict.INCONCLUSIVE


def standing(row: MetricComparison) -> Standing | None:
    """What is also shown about a metric that passed; None if it did not pass.

    *Better*: the end that a pass needs within the margin is below zero, so also with unseen losses and with
    what is missing. *Equal*: the interval is within the margin on both sides, which is two one-sided tests
    (Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the power approach. J.
    Pharmacokinetics and Biopharmaceutics 15). Each bound alone is wrong in 5 %.
    """
    if row.verdict is not GateVerdict.PASS or row.margin is None:
        return None
    if end_of_pass(row) < -_ROUNDING_OF_BATCHES * row.margin:
        return Standing.BETTER
    return Standing.EQUAL if row.drop.low >= -row.margin else Standing.NO_WORSE
