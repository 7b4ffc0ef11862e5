"""The verdict's sentences: figures that a person can check, and what to do next."""

import math
import re
from dataclasses import replace
from typing import get_args

import pytest

from harness.comparison.decisions import standing
from harness.comparison.findings import metric_findings, retention_findings
from harness.comparison.metric_drop import compare_metric
from harness.comparison.metric_verdicts import judge_metrics
from harness.comparison.pairing import PairedMetric
from harness.presentation.sentences import _WRITERS, sentence_of
from harness.types import (
    Comparison,
    Finding,
    FindingData,
    Forgetting,
    GateVerdict,
    Interval,
    NoVerdictFinding,
    Outcome,
    Standing,
    TripwireFinding,
)


def judged(lost, gained, n, verdict, **changes):
    clusters = tuple(range(n))
    row = compare_metric(
        PairedMetric(
            set_name="orders",
            metric="pass-rate",
            kind="binary",
            keys=tuple(f"orders/{place}" for place in clusters),
            candidate=tuple(0.0 if place < lost else 1.0 for place in clusters),
            baseline=tuple(0.0 if lost <= place < lost + gained else 1.0 for place in clusters),
            clusters=clusters,
        )
    )
    return replace(row, margin=0.05, p_adjusted=row.p_value, verdict=verdict, **changes)


def describe_row(row, clusters):
    """The sentence about one judged metric."""
    comparison = Comparison(candidate_run="now", baseline_run="then", metrics=(row,))
    (finding,) = metric_findings(comparison, {(row.set_name, row.metric): clusters})
    return sentence_of(finding)


def test_every_kind_of_finding_has_a_writer():
    assert set(_WRITERS) == set(get_args(FindingData))


def test_a_regression_names_the_drop_the_evidence_and_the_flips():
    assert describe_row(judged(8, 1, 40, GateVerdict.REGRESS), 40) == (
        "orders pass-rate fell: 0.975 → 0.800, drop +0.175 [+0.054, +0.309], n=40, p=0.011; 8 cases lost, 1 gained"
    )


def test_of_what_is_better_when_low_a_drop_is_a_rise():
    """A perplexity that fell would be a better one."""
    keys = tuple(f"orders/{place}" for place in range(40))
    values = {"candidate": (0.6,) * 40, "baseline": (0.2,) * 40, "higher_is_better": False}
    paired = PairedMetric(
        set_name="orders", metric="perplexity", kind="graded", keys=keys, clusters=keys, **values
    )
    row = replace(compare_metric(paired), margin=0.05, p_adjusted=0.001, verdict=GateVerdict.REGRESS)
    assert describe_row(row, 40).startswith("orders perplexity rose: 0.200 → 0.600, drop +0.400 [")


def test_a_cost_of_millionths_is_told_in_its_digits():
    keys = tuple(f"orders/{place}" for place in range(40))
    costs = {"candidate": (6e-6,) * 40, "baseline": (2e-6,) * 40, "higher_is_better": False, "most": math.inf}
    paired = PairedMetric(set_name="orders", metric="cost", kind="graded", keys=keys, clusters=keys, **costs)
    row = replace(compare_metric(paired), margin=1e-7, p_adjusted=0.001, verdict=GateVerdict.REGRESS)
    assert describe_row(row, 40).startswith("orders cost rose: 2e-06 → 6e-06, drop +4e-06 [")


@pytest.mark.parametrize("unit", [1e-10, 1e-8, 1e-6, 1.0, 1e8])
@pytest.mark.parametrize("fall", [0.3, 3e-7])
def test_no_drop_is_told_as_nothing(unit, fall):
    """Of values of 5 a fall by 3e-7 beyond a margin of 1e-7 was 5.000 to 5.000 and +0.000, and in no unit less."""
    keys = tuple(f"orders/{place}" for place in range(40))
    baseline = tuple((5 + place / 100) * unit for place in range(40))
    paired = PairedMetric(
        set_name="orders",
        metric="cost",
        kind="graded",
        keys=keys,
        clusters=keys,
        baseline=baseline,
        candidate=tuple(value - fall * (1 + place % 2 / 10) * unit for place, value in enumerate(baseline)),
        most=math.inf,
        light_tails=True,
    )
    (row,) = judge_metrics([paired], {("orders", "cost"): fall * unit / 3})
    assert row.verdict is GateVerdict.REGRESS
    said = describe_row(row, 40)
    before, now, drop, low, high = map(float, re.findall(r"(?<![\w=])[-+]?\d[\d.]*(?:e[-+]\d+)?", said)[:5])
    assert 0 < now < before
    assert 0 < low < drop < high
    assert drop == pytest.approx(1.05 * fall * unit, rel=0.01)
    assert len(said) < 160


def test_a_pass_says_what_is_excluded():
    assert describe_row(judged(0, 1, 90, GateVerdict.PASS), 90) == (
        "orders pass-rate passes: 0.989 → 1.000, drop -0.011 [-0.053, +0.024], n=90: a drop of more than 0.05 is excluded"
    )


def test_a_pass_says_what_more_is_shown():
    """Equal: no change of the margin either way. Better: it gained for certain, whatever is unseen or missing."""
    equal, better = judged(0, 0, 90, GateVerdict.PASS), judged(0, 12, 90, GateVerdict.PASS)
    assert standing(equal) is Standing.EQUAL
    assert describe_row(equal, 90).endswith("n=90: a change of more than 0.05 either way is excluded")
    assert standing(better) is Standing.BETTER
    assert describe_row(better, 90).endswith(f"n=90: it is better, by {-better.drop.high:.3f} at least")
    assert standing(judged(0, 1, 90, GateVerdict.PASS)) is Standing.NO_WORSE
    assert standing(judged(0, 12, 90, GateVerdict.INCONCLUSIVE)) is None
    # Losses of the same texts differ by a ten-millionth with the rows of their batch.
    rounded = replace(better, drop=replace(better.drop, low=-1e-7, high=-1e-8), high_unseen=-1e-8)
    assert standing(rounded) is Standing.EQUAL


def test_what_may_be_lost_unseen_or_missing_is_no_gain():
    """A hundred cases of which 12 were gained, and eight without a value: with those lost, it may have fallen by 0.03."""
    row = judged(0, 12, 90, GateVerdict.PASS, high_unseen=0.03, missing=8)
    assert standing(row) is Standing.NO_WORSE
    assert describe_row(row, 90).endswith(
        "a drop of more than 0.05 is excluded, also if all 8 cases with a value on one side only were lost"
    )
    assert standing(replace(row, high_unseen=-0.01)) is Standing.BETTER
    assert "it is better, by 0.010 at least, also if all 8 cases" in describe_row(
        replace(row, high_unseen=-0.01), 90
    )


def test_a_gain_that_an_earlier_version_took_for_sure_is_told_as_no_loss():
    (finding,) = metric_findings(
        Comparison(candidate_run="now", baseline_run="then", metrics=(judged(0, 12, 90, GateVerdict.PASS),)),
        {},
    )
    stored = replace(finding, data=replace(finding.data, standing=Standing.BETTER, high_unseen=0.03))
    assert sentence_of(stored).endswith("a drop of more than 0.05 is excluded")


def test_an_inconclusive_metric_says_what_it_could_see_and_what_would_settle_it():
    row = judged(2, 1, 60, GateVerdict.INCONCLUSIVE, cases_to_settle=190)
    assert describe_row(row, 60) == (
        "orders pass-rate is inconclusive: 0.983 → 0.967, drop +0.017 [-0.049, +0.087], n=60: a drop of more than 0.05 is "
        "not excluded; a true drop of 0.13 or more would be detected; about 190 such cases would settle it in 80 % of runs or more"
    )


def test_what_small_figures_leave_open_is_not_nothing():
    """A cost of millionths of which rare losses, or cases without a value, may take as many."""
    cost = {"kind": "graded", "margin": 1e-4, "high_unseen": 2.4e-4}
    row = replace(judged(0, 1, 90, GateVerdict.INCONCLUSIVE), **cost)
    small = replace(row, drop=replace(row.drop, estimate=1e-6, low=-2e-6, high=4e-6))
    assert "can miss rare losses, of up to 0.00024 in all" in describe_row(small, 90)
    told = "if all of them were lost, the drop may be up to 0.00024"
    assert told in describe_row(replace(small, missing=2), 90)
    better = replace(
        small, verdict=GateVerdict.PASS, drop=replace(row.drop, low=-4e-6, high=-3e-6), high_unseen=-2e-6
    )
    assert describe_row(better, 90).endswith("it is better, by 2e-06 at least")


def test_an_inconclusive_metric_says_where_only_unseen_losses_prevent_a_pass():
    row = judged(0, 1, 90, GateVerdict.INCONCLUSIVE, high_unseen=0.0712)
    assert (
        "no drop of more than 0.05 is to be seen, but 30 clusters can miss rare losses, of up to 0.071 in all; "
        in describe_row(row, 30)
    )


def test_what_is_just_beyond_the_margin_is_not_told_as_the_margin():
    """An end of 0.0503 was +0.050 beside "a drop of more than 0.05 is not excluded"."""
    row = judged(2, 1, 60, GateVerdict.INCONCLUSIVE)
    close = replace(row, drop=replace(row.drop, high=0.0503))
    assert ", +0.0503], n=60: a drop of more than 0.05 is not excluded" in describe_row(close, 60)
    unseen = replace(row, drop=replace(row.drop, high=0.02), high_unseen=0.05004)
    assert "can miss rare losses, of up to 0.05004 in all" in describe_row(unseen, 60)
    missing = replace(unseen, missing=2)
    assert "if all of them were lost, the drop may be up to 0.05004" in describe_row(missing, 60)
    within = replace(row, verdict=GateVerdict.PASS, drop=replace(row.drop, high=0.0498))
    assert ", +0.050], n=60: a change of more than 0.05 either way is excluded" in describe_row(within, 60)


@pytest.mark.parametrize(
    ("tolerated", "told"), [(0.0, "0%"), (0.004, "0.4%"), (0.05, "5%"), (1 / 3, "33.3%")]
)
def test_a_tolerated_share_below_one_percent_is_not_none(tolerated, told):
    data = NoVerdictFinding(side="candidate", outcome=Outcome.ERRORED, cases=9, n=1000, tolerated=tolerated)
    said = sentence_of(Finding(verdict=GateVerdict.INCONCLUSIVE, set_name="orders", data=data))
    assert said == f"orders: 9 of 1000 cases errored in the candidate, {told} are tolerated"


def test_clusters_are_said():
    """48 cases that stand and fall in groups are fewer facts; how many more would do is then not predicted."""
    sentence = describe_row(judged(0, 0, 48, GateVerdict.INCONCLUSIVE), 16)
    assert "n=48 in 16 clusters" in sentence
    assert "settle" not in sentence


def test_few_clusters_promise_no_share_of_runs():
    row = judged(2, 1, 120, GateVerdict.INCONCLUSIVE, cases_to_settle=240)
    assert describe_row(row, 12).endswith(
        "about 240 such cases would settle it in about half of all runs or more"
    )
    assert describe_row(row, 19).endswith("in about half of all runs or more")
    for units in (20, 120):
        assert describe_row(row, units).endswith(
            "about 240 such cases would settle it in 80 % of runs or more"
        )
    few = judged(2, 1, 12, GateVerdict.INCONCLUSIVE, cases_to_settle=190)
    assert describe_row(few, 12).endswith("in 80 % of runs or more")


def test_clusters_say_what_they_find_of_whole_ones():
    row = judged(2, 1, 60, GateVerdict.INCONCLUSIVE, minimum_detectable_cluster_drop=0.31)
    assert (
        "a true drop of 0.13 or more would be detected (of 0.31 where whole clusters fall)"
        in describe_row(row, 20)
    )


@pytest.mark.parametrize(
    ("units", "drop", "rough"),
    [
        (12, 0.12, True),
        (12, 900.0, True),
        (14, 0.4, True),
        (15, 0.4, False),
        (60, 0.4, False),
        (60, 900.0, False),
    ],
)
def test_few_units_tell_what_scores_detect_roughly_whatever_the_unit(units, drop, rough):
    """To a part 1.28 / sqrt(2 (units - 1)): of 14 units 0.251, of 15 units 0.242."""
    row = judged(2, 1, 60, GateVerdict.INCONCLUSIVE, minimum_detectable_drop=drop)
    said = describe_row(replace(row, kind="graded"), units)
    few = "cases" if units == 60 else "clusters"
    told = f"{drop:.2f} or more would be detected, as far as {units} {few} can tell"
    assert f"a true drop of {told if rough else f'{drop:.2f} or more would be detected'}" in said
    for exact in (row, replace(row, kind="graded", population="cases")):
        assert "can tell" not in describe_row(exact, units)


def test_an_inconclusive_set_says_that_its_own_cases_got_worse():
    row = judged(2, 1, 60, GateVerdict.INCONCLUSIVE, other_question=GateVerdict.REGRESS)
    said = "; exactly these cases got worse: with gate: {population: cases} it would regress"
    assert describe_row(row, 60).endswith(said)
    assert said not in describe_row(judged(2, 1, 60, GateVerdict.INCONCLUSIVE), 60)


def test_a_set_that_can_detect_nothing_says_so():
    sentence = describe_row(judged(0, 0, 2, GateVerdict.INCONCLUSIVE, minimum_detectable_drop=None), 2)
    assert "so few cases can detect none" in sentence
    clustered = judged(1, 1, 12, GateVerdict.INCONCLUSIVE, minimum_detectable_drop=None)
    assert "n=12 in 3 clusters" in describe_row(clustered, 3)
    assert "so few clusters can detect none" in describe_row(clustered, 3)


@pytest.mark.parametrize("by_skill", [(), None])
def test_no_probe_known_is_no_sentence(by_skill):
    comparison = Comparison(
        candidate_run="now",
        baseline_run="then",
        metrics=(),
        forgetting=Forgetting(overall=None, by_skill=by_skill or ()),
    )
    assert retention_findings(comparison, []) == []


def test_a_rise_that_trips_the_wire_is_told_beyond_its_limit():
    change = Interval(estimate=0.1004, low=0.03, high=0.17, confidence=0.9, method="t")
    assert sentence_of(Finding(data=TripwireFinding(change=change, limit=0.1))) == (
        "tripwire: cross-entropy on general text rose by 0.1004 nats per token [0.03, 0.17], limit 0.1000"
    )
