"""A pass says nothing where the baseline is so near the worst value that no drop could be beyond the margin."""

from dataclasses import replace

import pytest

from harness.comparison.findings import nothing_to_lose_findings
from harness.comparison.gate import run_gate
from harness.presentation.sentences import sentence_of, sentences_of
from harness.types import (
    Finding,
    GateSettings,
    GoldenSet,
    Interval,
    MetricComparison,
    MetricFacts,
    MetricSummary,
    NothingToLoseFinding,
    Outcome,
)
from tests.comparison.conftest import OPEN, PASS, scored


def row(before, now, *, metric="pass-rate", margin=0.05):
    """A metric of 50 cases that passed."""
    means = [
        Interval(estimate=mean, low=mean, high=mean, confidence=0.9, method="by hand")
        for mean in (now, before)
    ]
    drop = before - now
    return MetricComparison(
        set_name="orders",
        metric=metric,
        kind="binary" if metric == "pass-rate" else "graded",
        n=50,
        candidate=MetricSummary(metric=metric, n=50, mean=means[0]),
        baseline=MetricSummary(metric=metric, n=50, mean=means[1]),
        drop=Interval(estimate=drop, low=drop - 0.04, high=drop + 0.04, confidence=0.9, method="by hand"),
        p_value=0.3,
        margin=margin,
        verdict=PASS,
    )


def test_nothing_to_lose_names_what_the_baseline_passes():
    """At the margin exactly nothing more can be lost; 2.5 of 50 cases are 0.05."""
    (found,) = nothing_to_lose_findings([row(0.05, 0.05), row(0.06, 0.06)], (), {})
    assert found == Finding(
        verdict=OPEN,
        set_name="orders",
        metric="pass-rate",
        data=NothingToLoseFinding(passed=2.5, n=50, margin=0.05),
    )
    (third,) = nothing_to_lose_findings([row(1 / 150, 1 / 150)], (), {})
    assert third.data.passed == 0.33


def test_rounding_does_not_lift_the_baseline_above_the_margin():
    assert 0.1 + 0.2 > 0.3
    assert len(nothing_to_lose_findings([row(0.1 + 0.2, 0.3, margin=0.3)], (), {})) == 1


@pytest.mark.parametrize(("mean", "counts"), [(0.9e-10, True), (1.1e-10, False)])
def test_a_margin_below_a_billionth_is_compared_in_its_own_size(mean, counts):
    of_score = row(mean, mean, metric="similar", margin=1e-10)
    facts = {"similar": MetricFacts(kind="graded", most=1e-9)}
    found = nothing_to_lose_findings([of_score], (), facts)
    assert bool(found) is counts
    assert [f"within {mean:.3g} of the worst" in sentence_of(each) for each in found] == [True] * counts


@pytest.mark.parametrize("unit", [1e-10, 1.0, 1e8])
def test_where_no_drop_is_tolerated_only_the_worst_value_leaves_nothing_to_lose(unit):
    facts = {"mine": MetricFacts(kind="graded", most=None)}
    for mean, counts in ((0.0, True), (0.2 * unit, False)):
        of_score = row(mean, mean, metric="mine", margin=0.0)
        assert bool(nothing_to_lose_findings([of_score], (), facts)) is counts


def test_what_was_gained_is_a_pass_but_not_of_forgetting_probes():
    """The baseline passes 1 of 50 probes and the candidate 25 others: of what was kept they say nothing."""
    better = row(0.02, 0.5)
    assert nothing_to_lose_findings([better], (), {}) == []
    probes = GoldenSet(name="orders", path="orders.yaml", probes_forgetting=True)
    assert len(nothing_to_lose_findings([better], [probes], {})) == 1


@pytest.mark.parametrize(
    ("facts", "mean", "counts"),
    [
        (MetricFacts(kind="graded"), 0.04, True),
        (MetricFacts(kind="graded"), 0.06, False),
        # A cosine is never really below 0.
        (MetricFacts(kind="graded", least=-5.0, most=0.0), -0.1, False),
        (MetricFacts(kind="graded", least=-5.0, most=0.0), -4.97, True),
        (MetricFacts(kind="graded", higher_is_better=False), 0.97, True),
        (MetricFacts(kind="graded", higher_is_better=False), 0.5, False),
        (MetricFacts(kind="graded", higher_is_better=False, most=None), 0.0, False),
        (MetricFacts(kind="graded", least=None), 0.0, False),
    ],
)
def test_a_graded_metric_near_its_worst_value(facts, mean, counts):
    found = nothing_to_lose_findings([row(mean, mean, metric="score")], (), {"score": facts})
    assert bool(found) is counts


def test_a_cosine_near_0_is_near_its_worst_value():
    facts = {"similar": MetricFacts(kind="graded", least=-1.0)}
    assert nothing_to_lose_findings([row(0.04, 0.04, metric="similar")], (), facts)


def test_scores_that_are_all_zero_are_no_pass(make_result, make_run):
    """Both models score 0 in 200 cases without a pass rate: nothing was held."""
    gates = {"s": GateSettings(metric_margins={"rouge-l": 0.05})}
    run = make_run(scored(make_result, [0.0] * 200, Outcome.UNSCORED), gates=gates)
    verdict = run_gate(run, run)[1]
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0] == (
        "s: the baseline has rouge-l within 0 of the worst, no more than the margin of 0.05 allows to lose: "
        "choose cases on which it is better, or a smaller margin"
    )
    good = make_run(scored(make_result, [0.8] * 200, Outcome.UNSCORED), gates=gates)
    assert run_gate(good, good)[1].outcome is PASS


def test_more_of_the_same_cases_settle_nothing_where_none_can_be_lost(make_run, make_result):
    """3 of 80 are below the margin: at 170 cases the set was said to have nothing to lose, not to be settled."""
    gate = GateSettings(margin=0.05)
    sets = (GoldenSet(name="orders", path="orders.yaml", gate=gate),)
    sides = [make_run([make_result(f"orders/{n}", n < passed) for n in range(80)]) for passed in (2, 3)]
    candidate, baseline = (replace(run, golden_sets=sets) for run in sides)
    comparison, verdict = run_gate(candidate, baseline)
    assert comparison.metrics[0].cases_to_settle is None
    told = sentences_of(verdict)
    assert not any("would settle it" in line for line in told)
    assert any(
        "the baseline passes 3 of 80 cases, no more than the margin of 0.05 allows to lose" in line
        for line in told
    )
