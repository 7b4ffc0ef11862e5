"""The reason for a verdict has figures that a person can check against the margin."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.comparison.findings import metric_findings
from harness.types import GateRecord, GateVerdict, Verdict
from reports.html.build import build_view
from reports.html.view import ReportView
from tests.reports.html.small_gate import interval, small_record


def left_open(invented: Callable[..., GateRecord], **changes: Any) -> ReportView:
    """The page of a gate that is inconclusive on orders, with 5 points allowed."""
    record = small_record(invented, GateVerdict.INCONCLUSIVE)
    assert record.comparison is not None
    first, *rest = record.comparison.metrics
    comparison = replace(record.comparison, metrics=(replace(first, **changes), *rest))
    verdict = Verdict(
        outcome=GateVerdict.INCONCLUSIVE,
        findings=tuple(metric_findings(comparison, {("orders", "pass-rate"): 2})),
    )
    return build_view(replace(record, comparison=comparison, verdict=verdict))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"drop": interval(0.02, -0.01, 0.0503), "high_unseen": 0.06},
            "the drop may be as large as 5.03\u00a0pts, with 5\u00a0pts allowed.",
        ),
        (
            {"drop": interval(0.02, -0.01, 0.07), "high_unseen": 0.07},
            "the drop may be as large as 7\u00a0pts, with 5\u00a0pts allowed.",
        ),
        (
            {"drop": interval(0.0, -0.01, 0.02), "high_unseen": 0.0504},
            "can miss rare losses of up to 5.04\u00a0pts in all.",
        ),
        (
            {"drop": interval(0.0, -0.01, 0.02), "high_unseen": 0.05004, "missing": 2},
            "is seen, but 2 cases have a value on one side only: all lost, it may be 5.004\u00a0pts.",
        ),
        (
            {
                "drop": interval(0.0, -0.01, 0.02),
                "high_unseen": 0.09,
                "missing": 1,
                "high_of_compared": 0.07,
            },
            "can miss rare losses of up to 7\u00a0pts in all, and 1 case has a value on one side only: "
            "all lost, it may be 9\u00a0pts.",
        ),
    ],
)
def test_what_is_beyond_the_margin_is_not_told_as_the_margin(
    invented: Callable[..., GateRecord], changes: dict[str, Any], said: str
) -> None:
    assert left_open(invented, **changes).verdict.lead.endswith(said)


def test_a_row_shows_what_is_just_beyond_the_margin(invented: Callable[..., GateRecord]) -> None:
    """The interval ended at 5.0 beside an allowed drop of 5, and the row was inconclusive."""
    close = {"drop": interval(0.02, -0.01, 0.0503), "minimum_detectable_drop": 0.0502}
    view = left_open(invented, **close)
    row = next(each for each in view.verdict.rows if each.name == "orders")
    assert row.interval.startswith("1.0 better to 5.03 worse (")
    assert row.detects.endswith(
        "smallest drop found: 5.02\u00a0pts; these cases can't show one of 5\u00a0pts"
    )
    assert view.metrics.gated[0].drop.interval == "[−1.0, +5.03]"
