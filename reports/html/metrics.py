"""The metric table: every mean with its n and interval, every drop with its margin."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from harness.comparison.pairing import mean_score, scored_metrics, stability_of
from harness.presentation.sentences import empty_metrics, instead_of_verdict, rows_without_value
from harness.statistics.clusters import mean_interval, wilson
from harness.types import (
    CaseResult,
    GateRecord,
    GateVerdict,
    Interval,
    MetricComparison,
    MetricFacts,
    MetricSummary,
    Outcome,
    Run,
)
from harness.types.golden import is_within
from reports.html import figures
from reports.html.charts import Axis, Forest, forest_axis, forest_row, own_axis
from reports.html.first_screen import Tone
from reports.html.names import PASS_RATE, metric_name
from reports.html.view import Estimate, MetricRow, MetricsView
from tunegate.figures import both_of

TONES: dict[GateVerdict, Tone] = {
    GateVerdict.PASS: "pass",
    GateVerdict.REGRESS: "regress",
    GateVerdict.INCONCLUSIVE: "inconclusive",
}


# Of scores of which nobody knows how to read them.
_UNKNOWN = MetricFacts(kind="graded")


def metrics_view(record: GateRecord) -> MetricsView:
    """The comparison's rows, or without a baseline the candidate's own scores."""
    if record.comparison is None:
        rows = [row for golden_set in record.run.golden_sets for row in _scores(record.run, golden_set.name)]
        return MetricsView(
            gated=(),
            informing=tuple(
                _plain_row(set_name, summary, binary, record.run.metrics)
                for set_name, summary, binary in rows
            ),
            compared=False,
            axis=None,
            informing_axis=None,
            confidence=_confidence(summary.mean for _, summary, _ in rows),
            drop_confidence="",
            bound_confidence="",
            methods=_methods(summary.mean for _, summary, _ in rows),
        )
    metrics, facts = record.comparison.metrics, record.run.metrics
    gated = [row for row in worst_first(metrics) if row.verdict is not None]
    informing = [row for row in metrics if row.verdict is None]
    # Separate axes: metrics for information may have only a handful of cases, whose bars would squeeze the
    # others.
    axes = [_axis(rows) for rows in (gated, informing)]
    drops = [row.drop for row in metrics]
    empty, lacking = empty_metrics(record), rows_without_value(record)

    def judged(row: MetricComparison, axis: Axis | None) -> MetricRow:
        told = lacking.get((row.set_name, row.metric))
        return _judged_row(record, row, _row(row, axis, facts), told, empty)

    means = [side.mean for row in metrics for side in (row.baseline, row.candidate)]
    return MetricsView(
        gated=tuple(judged(row, axes[0]) for row in gated),
        informing=tuple(judged(row, axes[1]) for row in informing),
        compared=True,
        axis=axes[0],
        informing_axis=axes[1],
        confidence=_confidence(means),
        drop_confidence=_confidence(drops),
        bound_confidence=_confidence(_one_sided(drop) for drop in drops),
        methods=_methods([*drops, *means]),
    )


def _judged_row(
    record: GateRecord,
    row: MetricComparison,
    shown: MetricRow,
    told: str | None,
    empty: Collection[tuple[str, str]],
) -> MetricRow:
    """The row with what most of its cases are instead of having a value; a pass that is none says so."""
    if told:
        shown = replace(shown, note="; ".join(filter(None, (told, shown.note))))
    word = instead_of_verdict(record, row, told, empty)
    return shown if word is None else replace(shown, tone="inconclusive", verdict=word)


def _axis(rows: Sequence[MetricComparison]) -> Axis | None:
    """The axis that all rates share; None where there is no rate."""
    rates = [row for row in rows if is_rate(row)]
    if not rates:
        return None
    return forest_axis((row.drop for row in rates), (row.margin for row in rates if row.margin is not None))


def _forest(row: MetricComparison, axis: Axis | None) -> Forest:
    """A rate on the axis of all rates; a score on its own, as seconds and costs share no unit with them."""
    if axis is not None and is_rate(row):
        return forest_row(axis, row.drop, row.margin)
    return forest_row(own_axis(row.drop, row.margin), row.drop, row.margin, own=True)


def worst_first(metrics: Sequence[MetricComparison]) -> list[MetricComparison]:
    """The rows by their verdict; those that are not gated come last."""
    order = [GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE, GateVerdict.PASS, None]
    return sorted(metrics, key=lambda row: order.index(row.verdict))


def is_rate(row: MetricComparison) -> bool:
    """Whether a metric is a share of cases, shown in percent, and not a score on a scale."""
    return row.kind == "binary"


def drop_text(value: float, *, rate: bool, beyond: float | None = None) -> str:
    """A drop with its unit: ``+55.0 pts`` or ``+0.123``.

    Args:
        value: The drop: a fraction, or a difference on the metric's scale.
        rate: Whether the metric is a share of cases.
        beyond: The margin beside which it is told; None for none.
    """
    return f"{_signed(value, beyond, rate=rate)}\u00a0pts" if rate else _signed(value, beyond, rate=False)


def _signed(value: float, beyond: float | None, *, rate: bool) -> str:
    """A drop with its sign, without its unit."""
    if more := _beyond(value, beyond, rate=rate):
        return f"+{more}"
    return figures.points(value) if rate else figures.difference(value)


def _beyond(value: float, margin: float | None, *, rate: bool) -> str:
    """A figure beyond the margin, in the digits that tell it from that; empty where the usual ones do."""
    usual = figures.hundredths if rate else figures.mean
    if margin is None or is_within(value, margin) or usual(value) != usual(margin):
        return ""
    scale, decimals = (100, 1) if rate else (1, 3)
    return both_of(value * scale, margin * scale, decimals)[0]


def change_text(drop: float, *, rate: bool) -> str:
    """A drop in words, which no sign can turn around: ``55.0 pts worse``, ``0.123 better``, ``no change``.

    Args:
        drop: The drop: a fraction, or a difference on the metric's scale.
        rate: Whether the metric is a share of cases.
    """
    if not _size(drop, rate=rate).strip("0."):
        return "no change"
    unit = "\u00a0pts" if rate else ""
    return f"{_size(drop, rate=rate)}{unit} {'worse' if drop > 0 else 'better'}"


def range_text(drop: Interval, *, rate: bool, beyond: float | None = None) -> str:
    """A drop's interval in words: ``2.1 better to 5.0 worse (90 % interval)``, ``exactly no change``.

    Args:
        drop: The interval.
        rate: Whether the metric is a share of cases.
        beyond: The margin beside which it is told; None for none.
    """
    low, high = (
        _beyond(bound, beyond, rate=rate) or _size(bound, rate=rate) for bound in (drop.low, drop.high)
    )
    if not f"{low}{high}".strip("0."):
        ends = "exactly no change"
    elif drop.low == drop.high:
        ends = f"exactly {high} {'worse' if drop.high > 0 else 'better'}"
    elif drop.low < 0 < drop.high:
        ends = f"{low} better to {high} worse"
    else:
        ends = f"{low} to {high} worse" if drop.high > 0 else f"{high} to {low} better"
    return f"{ends} ({_confidence([drop])} interval)"


def _size(drop: float, *, rate: bool) -> str:
    """A drop without its sign."""
    return figures.hundredths(abs(drop)) if rate else figures.mean(abs(drop))


def mean_text(value: float, *, rate: bool) -> str:
    """A mean: a rate in percent, a score unchanged.

    Args:
        value: The mean: a fraction, or a value on the metric's scale.
        rate: Whether the metric is a share of cases.
    """
    return figures.percent(value) if rate else figures.mean(value)


def margin_text(value: float, *, rate: bool, beyond: float | None = None) -> str:
    """A margin or detectable drop: ``5 pts`` or ``0.05``.

    Args:
        value: The margin: a fraction, or a difference on the metric's scale.
        rate: Whether the metric is a share of cases.
        beyond: The margin beside which another figure is told; None for none.
    """
    more = _beyond(value, beyond, rate=rate)
    if not rate:
        return more or figures.limit(value)
    return (more or figures.hundredths(value).removesuffix(".0")) + "\u00a0pts"


def in_margins(drop: float, margin: float) -> tuple[float, float]:
    """What orders drops on all scales.

    Args:
        drop: The drop.
        margin: The largest tolerated one.

    Returns:
        How many times the margin the drop is, then the drop itself: without a margin it alone orders.
    """
    if margin > 0:
        return drop / margin, drop
    return math.copysign(math.inf, drop) if drop else 0.0, drop


def drops_text(alone: float, whole: float | None, *, rate: bool, beyond: float | None = None) -> str:
    """The smallest drop that is found; in clusters up to that of a drop that takes whole ones.

    Args:
        alone: The one that takes cases one by one.
        whole: The one that takes whole clusters; None without any.
        rate: Whether the metric is a share of cases.
        beyond: The margin beside which they are told; None for none.
    """
    known = (drop for drop in (alone, whole) if drop is not None)
    ends = dict.fromkeys(margin_text(drop, rate=rate, beyond=beyond) for drop in known)
    return " to ".join(ends)


def _row(row: MetricComparison, axis: Axis | None, facts: Mapping[str, MetricFacts]) -> MetricRow:
    rate = is_rate(row)
    able, whole = row.minimum_detectable_drop, row.minimum_detectable_cluster_drop
    low, high = (_signed(bound, row.margin, rate=rate) for bound in (row.drop.low, row.drop.high))
    margin = "" if row.margin is None else margin_text(row.margin, rate=rate)
    drop = drop_text(row.drop.estimate, rate=rate)
    drawing = f"drop {drop}, interval {low} to {high}" + (f", margin {margin}" if margin else "")
    return MetricRow(
        set_name=row.set_name,
        metric=metric_name(row.metric, facts),
        note=_note(facts.get(row.metric)),
        n=figures.count(row.n),
        candidate=_estimate(row.candidate, facts, rate=rate),
        baseline=_estimate(row.baseline, facts, rate=rate),
        drop=Estimate(value=drop, interval=f"[{low}, {high}]"),
        forest=_forest(row, axis),
        drawing=drawing,
        margin=margin,
        p=figures.p_value(row.p_value if row.p_adjusted is None else row.p_adjusted),
        detects="none" if able is None else f"≥\u00a0{drops_text(able, whole, rate=rate)}",
        tone="none" if row.verdict is None else TONES[row.verdict],
        verdict="" if row.verdict is None else str(row.verdict),
        other=other_question(row.population, row.other_question),
    )


def other_question(population: Literal["sample", "cases"], verdict: GateVerdict | None) -> str:
    """The verdict for the other of the gate's two questions, in words; empty if it is unknown.

    Args:
        population: The question that was decided.
        verdict: The verdict for the other one.
    """
    if verdict is None:
        return ""
    other = "exactly these cases" if population == "sample" else "further cases like these"
    return f"on {other}: {verdict}"


def _note(facts: MetricFacts | None) -> str:
    return "lower is better" if facts is not None and not facts.higher_is_better else ""


def _estimate(summary: MetricSummary, facts: Mapping[str, MetricFacts], *, rate: bool) -> Estimate:
    low, high = _inside(summary, facts)
    low_text, high_text = ((figures.hundredths if rate else figures.mean)(each) for each in (low, high))
    return Estimate(value=mean_text(summary.mean.estimate, rate=rate), interval=f"[{low_text}, {high_text}]")


def _inside(summary: MetricSummary, facts: Mapping[str, MetricFacts]) -> tuple[float, float]:
    """The part of the interval on the metric's scale, for example rates up to one."""
    low, high = summary.mean.low, summary.mean.high
    if summary.metric == PASS_RATE:
        return max(low, 0.0), min(high, 1.0)
    known = facts.get(summary.metric)
    if known is None or known.logarithmic:
        return low, high
    return (
        low if known.least is None else max(low, known.least),
        high if known.most is None else min(high, known.most),
    )


def _scores(run: Run, set_name: str) -> list[tuple[str, MetricSummary, bool]]:
    """A set's pass rate and mean scores, if there is no baseline; of several answers to a case their mean."""
    results = [result for result in run.results if result.case.set_name == set_name]
    decided = [result for result in results if result.outcome in {Outcome.PASSED, Outcome.FAILED}]
    passed = [each.passed / each.answers for each in map(stability_of, decided)]
    rows = [(set_name, _summary(PASS_RATE, decided, passed), True)] if decided else []
    for metric in scored_metrics(results):
        facts = run.metrics.get(metric)
        means = [(result, mean_score(result, metric, facts or _UNKNOWN)) for result in results]
        scored = [(result, mean) for result, mean in means if mean is not None]
        if not scored:
            continue
        summary = _summary(metric, [result for result, _ in scored], [mean for _, mean in scored], facts)
        rows.append((set_name, summary, facts is not None and facts.kind == "binary"))
    return rows


def _summary(
    metric: str, results: Sequence[CaseResult], values: Sequence[float], facts: MetricFacts | None = None
) -> MetricSummary:
    clusters = [result.case.cluster or place for place, result in enumerate(results)]
    zeros_and_ones = all(value in {0.0, 1.0} for value in values)
    if zeros_and_ones and len(set(clusters)) == len(values):
        mean = wilson(round(math.fsum(values)), len(values))
    elif facts is None or facts.logarithmic:
        mean = mean_interval(values, clusters, unit=1.0)
    else:
        least, most = (math.inf if end is None else end for end in (facts.least, facts.most))
        mean = mean_interval(values, clusters, least=-least if math.isinf(least) else least, most=most)
    return MetricSummary(metric=metric, n=len(values), mean=mean)


def _plain_row(
    set_name: str, summary: MetricSummary, rate: bool, facts: Mapping[str, MetricFacts]
) -> MetricRow:
    return MetricRow(
        set_name=set_name,
        metric=metric_name(summary.metric, facts),
        note=_note(facts.get(summary.metric)),
        n=figures.count(summary.n),
        candidate=_estimate(summary, facts, rate=rate),
    )


def _confidence(intervals: Iterable[Interval]) -> str:
    known = dict.fromkeys(f"{interval.confidence * 100:.3g}\u00a0%" for interval in intervals)
    return " or ".join(known)


def _one_sided(interval: Interval) -> Interval:
    """The interval with the confidence of each end alone."""
    return replace(interval, confidence=(1 + interval.confidence) / 2)


def _methods(intervals: Iterable[Interval]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(interval.method for interval in intervals))
