"""The record of a small gate, row by row."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from harness.comparison.findings import metric_findings
from harness.types import (
    Comparison,
    Forgetting,
    GateRecord,
    GateVerdict,
    Interval,
    MetricComparison,
    MetricSummary,
    Outcome,
    Retention,
    Verdict,
)


def interval(estimate: float, low: float, high: float, confidence: float = 0.95) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, confidence=confidence, method="made up")


def row(set_name: str, n: int, before: float, now: float, **rest: Any) -> MetricComparison:
    return MetricComparison(
        set_name=set_name,
        metric=rest.pop("metric", "pass-rate"),
        kind=rest.pop("kind", "binary"),
        n=n,
        baseline=MetricSummary(metric="pass-rate", n=n, mean=interval(before, before - 0.1, 1.0)),
        candidate=MetricSummary(metric="pass-rate", n=n, mean=interval(now, now - 0.2, now + 0.2)),
        drop=rest.pop("drop", interval(before - now, before - now - 0.15, before - now + 0.15, 0.9)),
        p_value=0.02,
        **rest,
    )


def small_record(
    invented: Callable[..., GateRecord], verdict: GateVerdict = GateVerdict.REGRESS
) -> GateRecord:
    """Three orders and two probes whose comparison is written by hand, so that only the report is tested."""
    record = invented(orders=3, probes=2, both_fail=1, lost=1, training={"seed": 1, "losses": [2.0, 1.0]})
    assert record.baseline is not None
    before = {result.key: result for result in record.baseline.results}
    lost = [
        result.key
        for result in record.run.results
        if (result.outcome, before[result.key].outcome) == (Outcome.FAILED, Outcome.PASSED)
    ]
    kept = Retention(skill="all", passed_by_baseline=2, retained=2, rate=interval(1.0, 0.34, 1.0))
    record = replace(
        record,
        comparison=Comparison(
            candidate_run=record.run.id,
            baseline_run=record.baseline.id,
            metrics=(
                row(
                    "orders", 3, 0.667, 0.333, lost=tuple(lost), margin=0.05, p_adjusted=0.04, verdict=verdict
                ),
                row("orders", 3, 0.9, 0.85, metric="rouge-l", kind="graded"),
                row("general", 2, 1.0, 1.0, margin=0.1, p_adjusted=1.0, verdict=GateVerdict.PASS),
            ),
            forgetting=Forgetting(
                overall=kept,
                by_skill=(replace(kept, skill="arithmetic"),),
                loss_change=interval(0.01, -0.02, 0.04, 0.9),
                divergence=interval(0.05, 0.03, 0.07, 0.9),
                refusals=(0, 1),
            ),
        ),
    )
    return replace(
        record,
        verdict=Verdict(outcome=verdict, findings=tuple(metric_findings(record.comparison, {}))),
    )
