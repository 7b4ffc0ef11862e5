"""A set that is far below the run that was accepted last is named, whatever this baseline shows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import Baseline, load_baseline
from harness.comparison.gate import run_gate
from harness.registry.content_metrics import MACRO_F1
from harness.types import (
    GateRecord,
    GateSettings,
    GateVerdict,
    MetricFacts,
    MetricFinding,
    Outcome,
    Verdict,
)
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html.accepted import falls, falls_line, shared_means
from reports.html.build import build_view
from reports.html.metrics import in_margins
from reports.html.sides import side_rows
from tests.comparison.test_whole_sets_set_metrics import EXPECTED, macro_f1
from tests.comparison.test_whole_sets_set_metrics import run_of as classified

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
    record = invented(both_fail=40, probes_lost=1)
    assert record.verdict is not None
    findings = [
        replace(each, verdict=GateVerdict.PASS, data=replace(each.data, margin=0.0))
        for each in record.verdict.findings
        if isinstance(each.data, MetricFinding)
    ]
    slight_first = tuple(sorted(findings, key=lambda each: each.set_name or ""))
    verdict = Verdict(outcome=GateVerdict.PASS, findings=slight_first)
    found = falls(replace(record, verdict=verdict), accepted)
    assert [each.title for each in found] == ["“orders”", "“general”"]


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
    record, name = below(invented, GateVerdict.PASS), ("orders", "rouge-l")
    assert shared_means(record, accepted)[name].drop > 0
    facts = {**record.run.metrics, "rouge-l": MetricFacts(kind="graded", higher_is_better=False)}
    turned = replace(record, run=replace(record.run, metrics=facts))
    assert shared_means(turned, replace(accepted, metrics=facts))[name].drop < 0
    # A metric that is another one since is not compared.
    assert name not in shared_means(turned, accepted)


def against_other_baseline(record: GateRecord, failed: Outcome) -> GateRecord:
    """The gate against a baseline that has this in place of each failed order."""
    assert record.baseline is not None
    results = tuple(
        replace(each, outcome=failed)
        if each.case.set_name == "orders" and each.outcome is Outcome.FAILED
        else each
        for each in record.baseline.results
    )
    baseline = replace(record.baseline, results=results)
    comparison, verdict = run_gate(record.run, baseline)
    return GateRecord(run=record.run, baseline=baseline, comparison=comparison, verdict=verdict)


def test_cases_that_this_baseline_has_no_verdict_on_hide_no_fall(
    invented: Invented, accepted: Baseline
) -> None:
    """The candidate's 100 % of the 34 others was shown with the accepted 95 % of 40."""
    record = against_other_baseline(invented(both_fail=6), Outcome.UNSCORED)
    assert record.comparison is not None
    (row,) = (
        each for each in record.comparison.metrics if (each.set_name, each.metric) == ("orders", "pass-rate")
    )
    assert (row.n, row.candidate.mean.estimate) == (34, 1.0)
    assert falls_line(record, accepted) == (
        "“orders”: 85.0\u202f%, accepted as “main”: 95.0\u202f% "
        "(10.0\u00a0pts worse on the 40 cases that both have)."
    )
    rows = {each.name: each for each in side_rows(record, EarlierRuns(accepted=accepted))}
    assert rows["orders"].accepted_change == "10.0\u00a0pts worse on the 40 cases that both have"
    assert rows["general"].accepted_change == "no change"


def test_cases_that_changed_since_make_no_fall(invented: Invented, accepted: Baseline) -> None:
    record = below(invented, GateVerdict.PASS)
    assert falls(record, accepted)
    changed = {
        key: replace(kept, sha256="0" * 64) if key.startswith("orders/") else kept
        for key, kept in accepted.cases.items()
    }
    other = replace(accepted, cases=changed)
    assert falls(record, other) == ()
    rows = {each.name: each for each in side_rows(record, EarlierRuns(accepted=other))}
    assert (rows["orders"].values[-1], rows["orders"].accepted_change) == ("95.0\u202f%", "")


def test_a_metric_of_whole_sets_falls_as_others_do(tmp_path: Path) -> None:
    gate = GateSettings(metric_margins={MACRO_F1: 0.05})
    worse = ["red" if label == "blue" else label for label in EXPECTED]
    run, before = (classified(answers, EXPECTED, gate=gate) for answers in (worse, EXPECTED))
    accepted = load_baseline(accept_run(replace(before, id="before"), "main", "first", tmp_path))
    comparison, verdict = run_gate(run, replace(run, id="same"))
    record = GateRecord(run=run, baseline=run, comparison=comparison, verdict=verdict)
    whole = macro_f1(list(zip(EXPECTED, worse, strict=True)))
    assert shared_means(record, accepted)["s", MACRO_F1].drop == pytest.approx(1 - whole)
    assert any(MACRO_F1 in each.title for each in falls(record, accepted))
