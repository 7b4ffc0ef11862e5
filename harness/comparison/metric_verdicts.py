"""The decision about each gated metric and each case: one level of error, shared over all tests of a run."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from harness.comparison.decisions import (
    Looks,
    Questions,
    SharedTests,
    decide,
    has_nothing_to_lose,
    if_there_is_so_much,
    least_p_value,
    most_to_lose,
    other_question,
    too_few,
    with_decision,
)
from harness.comparison.metric_drop import (
    Population,
    cases_to_settle,
    smallest_detectable,
    smallest_detectable_of_clusters,
    unit_of_scale,
)
from harness.comparison.missing_cases import Extremes
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.comparison.regressed_cases import measured_churn, regressed_cases, shared_case_tests
from harness.registry.content_metrics import SET_METRICS
from harness.statistics.clustered_drop import (
    detectable_drop_of_cases,
    detectable_set_drop,
    half_width,
    least_p_of_set,
)
from harness.statistics.looks import WHOLE
from harness.types import GateVerdict, GoldenSet, Interval, MetricComparison, RegressedCase, Stability
from harness.types.golden import ALPHA, PROBE_MARGIN, TASK_MARGIN, is_within

# The margin is at least a thousandth of a unit; a billionth of this part of the values' size is no rounding.
_IN_MARGINS, _RESOLVED, _MOST_UNITS = 1000, 2.0**-13, 1e140
# A row's figures on the metric's own scale, but for those with an interval.
_ENDS = ("high_unseen", "high_at_best", "high_of_compared", "margin", "minimum_detectable_drop")
# A golden set's name and a metric's.
_Name = tuple[str, str]
# Rows of metrics of whole sets, given the confidence of each set's intervals, and its question.
SetRows: TypeAlias = Callable[[Mapping[str, float], Mapping[str, Population]], list[MetricComparison]]


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
    of_sets: SetRows = lambda *_: [],
    extremes: Mapping[_Name, Extremes] | None = None,
    expected: Collection[_Name] = (),
    probes: Collection[str] = (),
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
        probes: The sets of forgetting probes: what they gain says nothing of what was kept.

    Returns:
        A comparison for each metric, then those of whole sets; and the regressed cases.
    """
    regress_alpha, times = (alpha, 1.0) if regress_alpha is None else (regress_alpha, alpha / regress_alpha)
    units = {(name := _name(each)): _unit(each, margins.get(name)) for each in metrics}
    metrics, margins, extremes = _in_units(units, metrics, margins, extremes or {})
    looks = {name: tuple(shares) for name, shares in (fractions or {}).items()}
    gated = [place for place, each in enumerate(metrics) if _name(each) in margins]
    limits = {metrics[place].set_name: 0.0 for place in gated} if limits is None else limits
    asked = Questions(alpha=alpha, limits=limits, populations=populations or {}, extremes=extremes)
    set_rows = of_sets(asked.confidences(metrics, looks), asked.populations)
    set_gated = [place for place, row in enumerate(set_rows) if _name(row) in margins]
    own = [metrics[place] for place in gated]
    waiting = len(set(expected) - {*map(_name, metrics), *map(_name, set_rows)})
    cases = shared_case_tests(own, limits, stability or {}, regress_alpha, others=len(set_gated) + waiting)
    sets = [*(each.set_name for each in own), *(set_rows[place].set_name for place in set_gated)]
    tests = SharedTests(sets=sets, cases=cases, alpha=regress_alpha, models=times, waiting=waiting)
    finest = dict(zip(gated, tests.levels(looks), strict=False))
    rows = [asked.row(each, looks, finest.get(place)) for place, each in enumerate(metrics)]
    tested = [*(rows[place] for place in gated), *(set_rows[place] for place in set_gated)]
    judged = _Decision(
        own=own, metrics=metrics, rows=tested, margins=margins, tests=tests, looks=looks, asked=asked,
        of_sets=of_sets, probes=probes, stability=stability or {},
    ).judged()  # fmt: skip
    rows, set_rows = _put(rows, gated, judged), _put(set_rows, set_gated, judged[len(gated) :])
    found = zip(cases, tests.of_rows(tested, looks)[len(sets) :], strict=True)
    rows = [_in_own_units(row, units[_name(row)]) for row in rows]
    return [*rows, *set_rows], [case for test, p in found for case in regressed_cases(test, p, alpha, times)]


def _put(
    rows: Sequence[MetricComparison], places: Sequence[int], judged: Sequence[MetricComparison]
) -> list[MetricComparison]:
    """Rows with the judged ones in their places."""
    found = dict(zip(places, judged, strict=False))
    return [found.get(place, row) for place, row in enumerate(rows)]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """All gated metrics, and the tests that share the level.

    Attributes:
        own: The gated metrics that have values by case.
        metrics: All metrics.
        rows: The rows of the gated ones, then those of whole sets.
    """

    own: Sequence[PairedMetric]
    metrics: Sequence[PairedMetric]
    rows: Sequence[MetricComparison]
    margins: Mapping[_Name, float]
    tests: SharedTests
    looks: Looks
    asked: Questions
    of_sets: SetRows
    probes: Collection[str]
    stability: Mapping[str, Stability]

    def judged(self) -> list[MetricComparison]:
        """Each row with its verdict and the figures beside it."""
        levels, adjusted = self.tests.levels(self.looks), self.tests.of_rows(self.rows, self.looks)
        few = too_few(self._units(), self._least_p_values(), self.tests, self.looks)
        found = []
        for place, compared in enumerate(self.rows):
            margin, gains_count = self.margins[_name(compared)], compared.set_name not in self.probes
            row = replace(compared, nothing_to_lose=self._has_nothing_to_lose(place, margin))
            row = with_decision(row, margin, adjusted[place], self.asked.alpha, gains_count=gains_count)
            # At an early look there are more cases to come.
            if self.looks.get(row.set_name, WHOLE)[-1] >= 1:
                why = None if row.nothing_to_lose else few[place]
                row = replace(row, other_question=self._other_question(place, row), too_few=why)
            if place < len(self.own):
                churn = measured_churn(self.own[place], self.stability)
                found.append(_with_figures(self.own[place], row, levels[place], churn))
            else:
                found.append(_with_figures_of_set(row, self._sizes(row), levels[place]))
        return found

    def _has_nothing_to_lose(self, place: int, margin: float) -> bool:
        if place < len(self.own):
            return has_nothing_to_lose(self.own[place], margin)
        # Metrics of whole sets are shares.
        row = self.rows[place]
        mean = row.baseline.mean.estimate
        return is_within(most_to_lose(row.metric, mean, (0.0, 1.0), higher_is_better=True), margin)

    def _other_question(self, place: int, row: MetricComparison) -> GateVerdict | None:
        """The verdict for a pass rate's other question; None if it can't be answered."""
        if row.metric != PASS_RATE:
            return None
        found = other_question(place, self.rows, self._ask, self.tests, self.looks, self.asked.alpha)
        if found is None:
            return None
        other, margin = replace(found[0], nothing_to_lose=row.nothing_to_lose), self.margins[_name(row)]
        return decide(other, margin, rejected=found[1], gains_count=row.set_name not in self.probes)

    def _ask(self, place: int, population: Population, looks: Looks, level: float) -> MetricComparison:
        """The row of a test if its set were asked a question."""
        if place < len(self.own):
            return self.asked.row(self.own[place], looks, level, population)
        name = _name(self.rows[place])
        populations = {**self.asked.populations, name[0]: population}
        rows = self.of_sets(self.asked.confidences(self.metrics, looks), populations)
        return next(row for row in rows if _name(row) == name)

    def _units(self) -> list[int]:
        """The number of independent cases or clusters of each metric."""
        of_sets = (len(self._sizes(row)) for row in self.rows[len(self.own) :])
        return [*(len(set(metric.clusters)) for metric in self.own), *of_sets]

    def _least_p_values(self) -> list[float]:
        """Of each test if all its cases got worse; nothing is known of one about exactly its cases."""
        found = [
            least_p_value(each, any_case_counts=self.asked.any_case_counts(each.set_name))
            for each in self.own
        ]
        found += [least_p_of_set(self._sizes(row)) for row in self.rows[len(self.own) :]]
        rows = zip(found, self.rows, strict=True)
        return [least if row.population == "sample" else 0.0 for least, row in rows]

    def _sizes(self, row: MetricComparison) -> list[int]:
        """The number of cases of each cluster of a whole set's metric."""
        name = row.set_name, SET_METRICS[row.metric]
        clusters = next((each.clusters for each in self.metrics if _name(each) == name), range(row.n))
        return list(Counter(clusters).values())


def _with_figures(
    metric: PairedMetric, row: MetricComparison, level: float, churn: float
) -> MetricComparison:
    """A judged row with the drop that it could have detected, and what would settle it."""
    margin = row.margin or 0.0
    more = None
    if row.verdict is GateVerdict.INCONCLUSIVE and row.population == "sample" and not row.missing:
        more = cases_to_settle(metric, level, margin, row.drop.confidence)
        # So many didn't: the run was one of the others, which no number of further cases describes.
        more = more if more is None or more > row.n else None
    able, of_clusters = None, None
    if row.too_few is None:
        able = _detectable(metric, row, level, churn)
    if able is not None and row.population == "sample":
        of_clusters = smallest_detectable_of_clusters(metric, level, margin, row.drop.confidence)
        # Where much was lost, its spread counts as noise of a drop that takes cases one by one.
        of_clusters = None if of_clusters is None else max(of_clusters, able)
    return replace(
        row,
        cases_to_settle=more,
        minimum_detectable_drop=able,
        minimum_detectable_cluster_drop=of_clusters,
    )


def _with_figures_of_set(row: MetricComparison, sizes: Sequence[int], level: float) -> MetricComparison:
    """The judged row of a whole set's metric with the drop that it could have detected."""
    margin = row.margin or 0.0
    if row.population == "cases":
        able = detectable_drop_of_cases(row.drop, row.n, level, margin, whole=False)
    else:
        others = row.drop_of_others
        halves = half_width(row.drop), None if others is None else half_width(others)
        seen = row.drop.estimate, 0.0 if others is None else others.estimate
        able = detectable_set_drop(halves, sizes, row.drop.confidence, level, margin, seen=seen)
    able = able if able < 1 and row.too_few is None else math.inf
    return replace(row, minimum_detectable_drop=able if is_within(able, row.baseline.mean.estimate) else None)


def _detectable(metric: PairedMetric, row: MetricComparison, level: float, churn: float) -> float | None:
    """The smallest drop that such a row calls a regression in most runs, for the question that it answers."""
    margin = row.margin or 0.0
    able: float | None
    if row.population == "cases":
        whole = row.kind == "binary" and not metric.repeated
        able = detectable_drop_of_cases(row.drop, row.n, level, margin, whole=whole)
    else:
        able = smallest_detectable(metric, level, margin, row.drop.confidence, least_churn=churn)
    return if_there_is_so_much(metric, able)
