"""A set that is far below the run that was accepted last is named, whatever this baseline shows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import Baseline, load_baseline
from harness.types import Finding, GateRecord, GateVerdict, MetricFacts, MetricFinding, Verdict
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html.accepted import accepted_drop, falls, falls_line
from reports.html.build import build_view
from reports.html.metrics import in_margins

Invented = Callable[..., GateRecord]


@pytest.fixture
def accepted(invented: Invented, tmp_path: Path) -> Baseline:
    """A run that passed 38 of 40 orders and all probes."""
    run = replace(invented().run, id="20260101-000000-aaaa")
    return load_baseline(accept_run(run, "main", "first", tmp_path, allow_dirty=True))


def below(invented: Invented, verdict: GateVerdict) -> GateRecord:
    """A gate whose baseline passes no order either, so that none could be lost."""
    record = invented(both_fail=40)
    assert record.verdict is not None
    findings = tuple(
        replace(each, verdict=verdict) if each.set_name == "orders" else each
        for each in record.verdict.findings
    )
    return replace(record, verdict=Verdict(outcome=verdict, findings=findings))


@pytest.mark.parametrize("verdict", [GateVerdict.PASS, GateVerdict.INCONCLUSIVE])
def test_a_fall_is_said_under_the_lead_and_comes_next(
    invented: Invented, accepted: Baseline, verdict: GateVerdict
) -> None:
    record = below(invented, verdict)
    view = build_view(record, EarlierRuns(accepted=accepted)).verdict
    assert view.accepted == "“orders”: 0.0\u202f%, accepted as “main”: 95.0\u202f% (95.0\u00a0pts worse)."
    assert view.next_step is not None
    assert view.next_step.title == "Compare it with the run accepted as “main” first."
    assert view.next_step.command == "pytest --model=adapters/orders --gate-baseline=main"
    assert {row.name: row.accepted_change for row in view.rows} == {
        "orders": "95.0\u00a0pts worse",
        "general": "no change",
    }
    alone = build_view(record, NO_EARLIER_RUNS).verdict
    assert alone.accepted == ""
    assert alone.next_step is not None
    assert not alone.next_step.title.startswith("Compare")


def test_of_metrics_without_a_margin_the_largest_drop_is_the_worst() -> None:
    drops = [(0.001, 0.0), (0.4, 0.0), (0.0, 0.0), (-0.5, 0.0), (0.3, 0.1)]
    assert sorted(drops, key=lambda each: in_margins(*each), reverse=True) == [
        (0.4, 0.0),
        (0.001, 0.0),
        (0.3, 0.1),
        (0.0, 0.0),
        (-0.5, 0.0),
    ]


def test_the_worst_fall_comes_first_where_no_drop_is_allowed(invented: Invented, accepted: Baseline) -> None:
    """Each drop is infinitely many times a margin of 0, so the first one counted as the worst."""
    record = below(invented, GateVerdict.PASS)
    assert record.verdict is not None
    (finding,) = (each for each in record.verdict.findings if each.set_name == "orders")
    assert isinstance(finding.data, MetricFinding)
    finding = replace(finding, data=replace(finding.data, margin=0.0))
    (kept,) = (
        each
        for each in accepted.summaries
        if (each.set_name, each.summary.metric) == ("orders", finding.metric)
    )
    slight_mean = replace(kept.summary.mean, estimate=0.01)
    slight = replace(kept, set_name="slight", summary=replace(kept.summary, mean=slight_mean))
    accepted = replace(accepted, summaries=(*accepted.summaries, slight))
    findings = (replace(finding, set_name="slight"), finding)
    found = falls(replace(record, verdict=Verdict(outcome=GateVerdict.PASS, findings=findings)), accepted)
    assert ["slight" in each.text for each in found] == [False, True]


def test_a_regression_is_the_headline_and_not_said_twice(invented: Invented, accepted: Baseline) -> None:
    record = below(invented, GateVerdict.REGRESS)
    view = build_view(record, EarlierRuns(accepted=accepted)).verdict
    assert view.accepted == ""
    assert view.next_step is not None
    assert view.next_step.title == "Reject it."


def test_less_than_the_allowed_drop_is_no_fall(invented: Invented, accepted: Baseline) -> None:
    assert falls(invented(both_fail=4), accepted) == ()  # 90 after 95 %, with 5 points allowed


def test_a_set_that_changed_since_says_so(invented: Invented, accepted: Baseline) -> None:
    other = tuple(replace(each, content_sha256="0" * 64) for each in accepted.golden_sets)
    line = falls_line(below(invented, GateVerdict.PASS), replace(accepted, golden_sets=other))
    assert line.endswith("(95.0\u00a0pts worse; the set has changed since).")


def test_a_partial_run_is_not_compared(invented: Invented, accepted: Baseline) -> None:
    record = below(invented, GateVerdict.PASS)
    part = replace(record, run=replace(record.run, collected=500))
    assert falls(part, accepted) == ()
    assert {row.accepted_change for row in build_view(part, EarlierRuns(accepted=accepted)).verdict.rows} == {
        ""
    }


def test_where_lower_is_better_a_rise_is_a_fall(invented: Invented, accepted: Baseline) -> None:
    record = invented()
    assert record.verdict is not None
    first = record.verdict.findings[0]
    assert isinstance(first.data, MetricFinding)
    facts = {**record.run.metrics, "pass-rate": MetricFacts(kind="graded", higher_is_better=False)}
    record = replace(record, run=replace(record.run, metrics=facts))
    low = Finding(
        verdict=first.verdict,
        set_name="orders",
        metric="pass-rate",
        data=replace(first.data, candidate=0.25),
    )
    assert accepted_drop(record, accepted, low) == pytest.approx(-0.7)
