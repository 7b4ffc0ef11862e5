"""A pass says nothing where the baseline is so near the worst value that no drop could be beyond the margin."""

from dataclasses import replace

import pytest

from harness.comparison.findings import nothing_to_lose_findings
from harness.comparison.gate import run_gate
from harness.comparison.metric_verdicts import judge
from harness.comparison.pairing import PairedMetric
from harness.presentation.sentences import sentence_of, sentences_of
from harness.registry.metric import compared_scale
from harness.types import (
    Finding,
    GateSettings,
    GoldenSet,
    MetricFacts,
    NothingToLoseFinding,
    Outcome,
)
from tests.comparison.conftest import OPEN, PASS, scored

RATE = MetricFacts(kind="binary")


def judged(before, now, *, metric="pass-rate", margin=0.05, facts=RATE, probes=()):
    """The row of 50 cases that all score alike on each side."""
    least, most = compared_scale(facts)
    paired = PairedMetric(
        set_name="orders",
        metric=metric,
        kind=facts.kind,
        keys=tuple(f"orders/{place}" for place in range(50)),
        candidate=(now,) * 50,
        baseline=(before,) * 50,
        clusters=tuple(range(50)),
        higher_is_better=facts.higher_is_better,
        least=least,
        most=most,
    )
    ((row,), _) = judge([paired], {("orders", metric): margin}, probes=probes)
    return row


def found_of(before, now, **settings):
    """The finding about a row; None where something could be lost."""
    row = judged(before, now, **settings)
    facts = {} if row.metric == "pass-rate" else {row.metric: settings["facts"]}
    return next(iter(nothing_to_lose_findings([row], facts)), None)


def test_nothing_to_lose_names_what_the_baseline_passes():
    """At the margin exactly nothing more can be lost; 2.5 of 50 cases are 0.05."""
    assert found_of(0.05, 0.05) == Finding(
        verdict=OPEN,
        set_name="orders",
        metric="pass-rate",
        data=NothingToLoseFinding(passed=2.5, n=50, margin=0.05),
    )
    assert found_of(0.06, 0.06) is None
    assert found_of(1 / 150, 1 / 150).data.passed == 0.33


def test_the_row_itself_is_inconclusive():
    """It was a pass in the JSON file, the export and the reasons of the gate, of a run that was inconclusive."""
    row = judged(0.05, 0.05, margin=0.1)
    assert (row.verdict, row.nothing_to_lose, row.drop.high < 0.1) == (OPEN, True, True)
    row = judged(0.2, 0.2, margin=0.1)
    assert (row.verdict, row.nothing_to_lose) == (PASS, False)


def test_rounding_does_not_lift_the_baseline_above_the_margin():
    assert 0.1 + 0.2 > 0.3
    assert found_of(0.1 + 0.2, 0.3, margin=0.3) is not None


@pytest.mark.parametrize(("mean", "counts"), [(0.9e-10, True), (1.1e-10, False)])
def test_a_margin_below_a_billionth_is_compared_in_its_own_size(mean, counts):
    facts = MetricFacts(kind="graded", most=1e-9)
    found = found_of(mean, mean, metric="similar", margin=1e-10, facts=facts)
    assert (found is not None) is counts
    assert found is None or f"within {mean:.3g} of the worst" in sentence_of(found)


@pytest.mark.parametrize("unit", [1e-10, 1.0, 1e8])
def test_where_no_drop_is_tolerated_only_the_worst_value_leaves_nothing_to_lose(unit):
    facts = MetricFacts(kind="graded", most=None)
    for mean, counts in ((0.0, True), (0.2 * unit, False)):
        found = found_of(mean, mean, metric="mine", margin=0.0, facts=facts)
        assert (found is not None) is counts


def test_what_was_gained_is_a_pass_but_not_of_forgetting_probes():
    """The baseline passes 1 of 50 probes and the candidate 25: of what was kept they say nothing."""
    assert judged(0.02, 0.5).verdict is PASS
    assert found_of(0.02, 0.5) is None
    assert judged(0.02, 0.5, probes={"orders"}).verdict is OPEN
    assert found_of(0.02, 0.5, probes={"orders"}) is not None


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
    found = found_of(mean, mean, metric="score", facts=facts)
    assert (found is not None) is counts


def test_a_cosine_near_0_is_near_its_worst_value():
    facts = MetricFacts(kind="graded", least=-1.0)
    assert found_of(0.04, 0.04, metric="similar", facts=facts) is not None


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
