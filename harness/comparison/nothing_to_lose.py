"""Metrics of which the baseline is so near the worst value that no drop could be beyond the margin."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from harness.comparison.metric_drop import is_within, standing, worst_value
from harness.comparison.pairing import PASS_RATE
from harness.registry.content_metrics import SET_METRICS
from harness.registry.metric import compared_scale
from harness.types import (
    Finding,
    GateVerdict,
    GoldenSet,
    MetricComparison,
    MetricFacts,
    NothingToLoseFinding,
    Standing,
)


def nothing_to_lose_findings(
    rows: Sequence[MetricComparison],
    golden_sets: Iterable[GoldenSet] = (),
    facts: Mapping[str, MetricFacts] = MappingProxyType({}),
) -> list[Finding]:
    """Metrics that passed although the baseline is too near their worst value for a drop beyond the margin.

    One on which the candidate is shown to be better is not included: it gained. Forgetting probes are, since
    what is gained there says nothing of what was kept.

    Args:
        rows: The judged metrics.
        golden_sets: The candidate's sets; they say which contain probes.
        facts: How to read each metric's values.
    """
    probes = {golden_set.name for golden_set in golden_sets if golden_set.probes_forgetting}
    return [
        Finding(
            verdict=GateVerdict.INCONCLUSIVE,
            set_name=row.set_name,
            metric=row.metric,
            data=NothingToLoseFinding(
                passed=round(_most_to_lose(row, facts) * row.n, 2), n=row.n, margin=row.margin
            ),
        )
        for row in rows
        if row.verdict is GateVerdict.PASS
        and row.margin is not None
        and is_within(_most_to_lose(row, facts), row.margin)
        and (row.set_name in probes or standing(row) is not Standing.BETTER)
    ]


def _most_to_lose(row: MetricComparison, facts: Mapping[str, MetricFacts]) -> float:
    """How far a metric's mean can fall from the baseline's; without limit on a scale without an end."""
    mean, of_metric = row.baseline.mean.estimate, facts.get(row.metric)
    if of_metric is None:
        # Passes, and the metrics of whole sets, are shares.
        return mean if row.metric in {PASS_RATE, *SET_METRICS} else math.inf
    worst = worst_value(*compared_scale(of_metric), higher_is_better=of_metric.higher_is_better)
    return abs(mean - worst)
