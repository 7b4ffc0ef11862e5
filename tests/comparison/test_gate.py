"""The verdict: what regresses, what passes, what stays inconclusive, and what can never pass."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison.decisions import decide
from harness.comparison.findings import with_further
from harness.comparison.gate import run_gate
from harness.comparison.metric_verdicts import gated_margins, judge, judge_metrics
from harness.comparison.pairing import pair_runs, paired_metrics
from harness.presentation.sentences import sentences_of
from harness.types import (
    FailedTestsFinding,
    Finding,
    GateSettings,
    GoldenSet,
    Outcome,
    SetCounts,
    Stability,
    TextLoss,
)
from tests.comparison.conftest import OPEN, PASS, REGRESS, row_of, scored


def test_a_run_against_itself_passes(run_with):
    run = run_with(80)
    comparison, verdict = run_gate(run, run)
    assert verdict.outcome is PASS
    assert row_of(comparison).verdict is PASS
    assert row_of(comparison).drop.high <= 0.05
    assert comparison.unpaired == ()


def test_a_clear_drop_regresses(run_with):
    comparison, verdict = run_gate(run_with(80, 30), run_with(80, 0))
    row = row_of(comparison)
    assert verdict.outcome is REGRESS
    assert row.p_adjusted < 1e-6
    assert row.drop.low > row.margin == 0.05
    assert len(row.lost) == 30
    assert sentences_of(verdict)[0].startswith("orders pass-rate fell: 1.000 → 0.625, drop +0.375 [+0.2")
    assert sentences_of(verdict)[0].endswith("; 30 cases lost, 0 gained")


def test_a_comparison_names_both_runs_and_shows_what_metrics_without_a_margin_could_find(
    make_result, make_run
):
    now, then = (
        replace(make_run(scored(make_result, [0.5, 0.6, 0.7] * 20)), id=name) for name in ("new", "old")
    )
    comparison, _ = run_gate(now, then)
    assert (comparison.candidate_run, comparison.baseline_run) == ("new", "old")
    row = row_of(comparison, "rouge-l", "s")
    assert row.margin is None
    assert 0 < row.minimum_detectable_drop < 1


def test_too_few_cases_are_inconclusive(run_with):
    """Ten equal answers say little: what is missing is said, and how much would do."""
    comparison, verdict = run_gate(run_with(10), run_with(10))
    assert verdict.outcome is OPEN
    assert row_of(comparison).minimum_detectable_drop > 0.4
    assert "a drop of more than 0.05 is not excluded" in sentences_of(verdict)[0]
    assert "about 140 such cases would settle it" in sentences_of(verdict)[0]


def test_a_small_drop_that_is_sure_but_tolerated_passes(run_with):
    """Six losses of 400 are more than chance, and within the margin of five points."""
    comparison, verdict = run_gate(run_with(400, 6), run_with(400, 0))
    assert row_of(comparison).p_adjusted < 0.05
    assert verdict.outcome is PASS


def test_the_verdict_can_be_checked_from_the_table(run_with):
    """For any number of losses: pass is a bound within the margin; regress a bound beyond it and a small p."""
    for failed in range(0, 40, 2):
        comparison, verdict = run_gate(run_with(100, failed), run_with(100, 0))
        row = row_of(comparison)
        expected = PASS if row.drop.high <= row.margin else REGRESS if row.p_adjusted <= 0.05 else OPEN
        assert verdict.outcome is row.verdict is expected


def test_a_bound_at_the_margin_is_within_it(run_with):
    """The margin is the largest drop that is tolerated; a little more than rounding below, the bound is above it."""
    now, then = run_with(100, 3), run_with(100, 0)
    bound = row_of(run_gate(now, then)[0]).drop.high
    for margin, expected in ((bound, PASS), (math.nextafter(bound, 0), PASS), (bound - 2e-9, OPEN)):
        comparison, verdict = run_gate(now, then, margin=margin)
        assert row_of(comparison).margin == margin
        assert verdict.outcome is row_of(comparison).verdict is expected


def test_a_bound_at_the_margin_is_no_regression_whatever_may_be_unseen(run_with):
    """A drop that the margin tolerates is not found by what few cases could have missed."""
    row = row_of(run_gate(run_with(100, 30), run_with(100, 0))[0])
    bound = row.drop.high
    unseen = replace(row, high_unseen=bound + 0.1)
    for margin, expected in ((bound, OPEN), (math.nextafter(bound, 0), OPEN), (bound - 2e-9, REGRESS)):
        assert decide(unseen, margin, rejected=True) is expected


def test_a_p_value_at_the_level_rejects(run_with):
    """Five losses and no gain have a mid-p of exactly 1/64: at that level it is a regression, just below not."""
    now, then = run_with(60, 5), run_with(60, 0)
    for alpha, expected in ((1 / 64, REGRESS), (math.nextafter(1 / 64, 0), OPEN)):
        comparison, verdict = run_gate(now, then, alpha=alpha)
        assert row_of(comparison).p_adjusted == 1 / 64
        assert verdict.outcome is row_of(comparison).verdict is expected


@pytest.mark.parametrize(
    ("option", "of_set", "probes", "expected"),
    [
        (None, None, False, 0.05),
        (None, None, True, 0.10),
        (None, 0.2, False, 0.2),
        (0.3, 0.2, False, 0.3),
        (None, 0.2, True, 0.2),
        (0.0, 0.2, False, 0.0),
    ],
)
def test_an_option_outweighs_the_set_which_outweighs_the_default(option, of_set, probes, expected):
    golden_set = GoldenSet(name="s", path="", gate=GateSettings(margin=of_set), probes_forgetting=probes)
    assert gated_margins([golden_set], option) == {("s", "pass-rate"): expected}


def test_task_and_probes_have_options_of_their_own():
    sets = [GoldenSet(name="task", path=""), GoldenSet(name="probes", path="", probes_forgetting=True)]
    margins = gated_margins(sets, 0.02, 0.3)
    assert margins == {("task", "pass-rate"): 0.02, ("probes", "pass-rate"): 0.3}


def test_a_graded_metric_is_gated_if_the_set_names_it(make_result, make_run):
    """Scores fall by 0.3 while every case still passes."""
    now = make_run(
        scored(make_result, [0.6, 0.5, 0.55] * 30),
        gates={"s": GateSettings(metric_margins={"rouge-l": 0.02})},
    )
    then = make_run(scored(make_result, [0.9, 0.8, 0.84] * 30))
    comparison, verdict = run_gate(now, then)
    assert row_of(comparison, "rouge-l", "s").verdict is REGRESS
    assert row_of(comparison, "pass-rate", "s").verdict is PASS
    assert verdict.outcome is REGRESS
    comparison, verdict = run_gate(make_run(now.results), then)
    assert row_of(comparison, "rouge-l", "s").verdict is None
    assert row_of(comparison, "rouge-l", "s").p_adjusted is None
    assert verdict.outcome is PASS


def test_holm_counts_gated_metrics_only(make_result, make_run):
    """Two sets gated: the smaller p-value is doubled; metrics that only inform cost nothing."""
    now = [make_result(f"a/{n}", n >= 5, scores=[("f1", 0.5)]) for n in range(30)] + [
        make_result(f"b/{n}") for n in range(30)
    ]
    then = [make_result(f"a/{n}", scores=[("f1", 0.5)]) for n in range(30)] + [
        make_result(f"b/{n}") for n in range(30)
    ]
    comparison, _ = run_gate(make_run(now), make_run(then))
    row = row_of(comparison, name="a")
    assert row.p_adjusted == pytest.approx(2 * row.p_value)


def test_one_set_that_is_open_keeps_the_run_from_passing(make_result, make_run):
    results = [make_result(f"a/{n}") for n in range(80)] + [make_result(f"b/{n}") for n in range(8)]
    run = make_run(results)
    comparison, verdict = run_gate(run, run)
    assert {row.set_name: row.verdict for row in comparison.metrics} == {"a": PASS, "b": OPEN}
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0].startswith("b pass-rate is inconclusive")


def test_a_partial_run_is_said_to_be_one(run_with):
    _, verdict = run_gate(run_with(70, collected=128), run_with(128))
    assert verdict.outcome is PASS
    assert sentences_of(verdict)[-1] == "partial run: 70 of 128 cases were selected"


def test_what_is_found_besides_the_comparison_changes_the_verdict(run_with):
    _, verdict = run_gate(run_with(200), run_with(200))
    failed = Finding(verdict=REGRESS, data=FailedTestsFinding(tests=("test_a.py::test_short",)))
    with_test = with_further(verdict, [failed])
    assert (verdict.outcome, with_test.outcome) == (PASS, REGRESS)
    assert sentences_of(with_test) == (
        "1 hand-written test of the model failed: test_a.py::test_short",
        *sentences_of(verdict),
    )


def test_equal_answers_to_these_cases_pass_at_once(make_result, make_run):
    """54 cases in 22 clusters can't exclude a drop of 0.05 on further cases; of exactly these cases none was lost."""

    def run(population, failed=0):
        results = [make_result(f"s/{n:02}", n >= failed, cluster=f"c{n % 22}") for n in range(54)]
        return make_run(results, gates={"s": GateSettings(population=population)})

    _, as_sample = run_gate(run("sample"), run("sample"))
    comparison, of_these = run_gate(run("cases"), run("cases"))
    assert (as_sample.outcome, of_these.outcome) == (OPEN, PASS)
    assert comparison.metrics[0].other_question is OPEN
    assert sentences_of(of_these)[0].startswith(
        "s pass-rate passes: 1.000 → 1.000, drop of exactly these cases +0.000 ["
    )
    assert run_gate(run("cases", 2), run("cases"))[1].outcome is PASS
    assert run_gate(run("cases", 3), run("cases"))[1].outcome is REGRESS


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ({}, True),
        ({"device": "cuda:1"}, False),
        ({"weights": "nf4"}, False),
        ({"engine": "lm-eval"}, False),
        ({"dtype": "bfloat16"}, False),
        ({"batch_tokens": 64}, True),
    ],
    ids=str,
)
def test_answers_of_another_computation_are_not_known_exactly(make_result, make_run, other, alike):
    """Rounding decides between tokens that are nearly as likely: three of 54 flips may be that of a GPU."""
    gates = {"s": GateSettings(population="cases")}
    before, now = (
        make_run([make_result(f"s/{n:02}", n >= failed) for n in range(54)], gates=gates) for failed in (0, 3)
    )
    comparison, verdict = run_gate(now, replace(before, plan=replace(before.plan, **other)))
    assert (verdict.outcome is REGRESS) == (comparison.metrics[0].p_value < 1e-300) == alike


def test_the_other_question_is_answered_once_all_cases_are(make_result, make_run):
    (metric,) = paired_metrics(pair_runs(*2 * [make_run([make_result(f"s/{n}") for n in range(40)])]))
    margins = {("s", "pass-rate"): 0.05}
    asked = [judge([metric], margins, fractions={"s": shares})[0][0] for shares in ((0.5,), (0.5, 1.0))]
    assert [row.other_question for row in asked] == [None, PASS]


def test_answers_that_vary_leave_these_cases_open_too(make_result, make_run):
    """In bfloat16 an answer may differ when it is made anew: one equal answer a case shows little."""
    gates = {"s": GateSettings(population="cases")}
    run = make_run([make_result(f"s/{n:02}") for n in range(54)], gates=gates, dtype="bfloat16")
    comparison, verdict = run_gate(run, run)
    assert verdict.outcome is OPEN
    assert comparison.metrics[0].drop.high > 0.1


@pytest.mark.parametrize(("margin", "able"), [(0.05, 0.1), (0.95, 1.0), (1.0, None)])
def test_no_drop_beyond_all_cases_is_detectable(make_result, make_run, margin, able):
    gates = {"s": GateSettings(population="cases", margin=margin)}
    run = make_run([make_result(f"s/{n}") for n in range(10)], gates=gates)
    assert run_gate(run, run)[0].metrics[0].minimum_detectable_drop == able


def test_other_arithmetic_is_said(run_with):
    _, verdict = run_gate(run_with(80, dtype="bfloat16"), run_with(80))
    assert any(reason.startswith("the sides were computed differently") for reason in sentences_of(verdict))
    assert sentences_of(run_gate(run_with(80), run_with(80))[1])[1:] == ()


def test_every_interval_holds_at_the_chosen_level(run_with):
    """At alpha 0.01 all intervals are 98 % ones, and 100 equal cases no longer exclude five points by as much."""
    comparison, _ = run_gate(run_with(100), run_with(100), alpha=0.01)
    row = row_of(comparison)
    assert {row.drop.confidence, row.candidate.mean.confidence} == {0.98}
    assert row.drop.high > row_of(run_gate(run_with(100), run_with(100))[0]).drop.high


def test_the_detectable_drop_is_that_of_the_rule_in_use(make_result, make_run):
    """A second gated set halves the level, so that less is found."""
    results = [make_result(f"a/{n}") for n in range(60)]
    one, two = make_run(results), make_run([*results, *[make_result(f"b/{n}") for n in range(60)]])
    alone, beside = (row_of(run_gate(run, run)[0], name="a") for run in (one, two))
    assert beside.minimum_detectable_drop > alone.minimum_detectable_drop


def test_measured_flips_make_the_detectable_drop_larger_and_never_smaller(run_with):
    """A lucky comparison without flips doesn't hide that every fifth case is known to be a coin's throw."""
    run = run_with(80)
    keys = [result.key for result in run.results]
    coins = {key: Stability(passed=3 if place % 5 == 0 else 6, answers=6) for place, key in enumerate(keys)}
    steady = {key: Stability(passed=6, answers=6) for key in keys}
    plain, noisy, calm = (row_of(run_gate(run, run, stability=noted)[0]) for noted in (None, coins, steady))
    assert noisy.minimum_detectable_drop > plain.minimum_detectable_drop
    assert calm.minimum_detectable_drop == plain.minimum_detectable_drop
    assert noisy.verdict is calm.verdict is plain.verdict is PASS


def test_no_gated_metric_is_judged_without_a_margin():
    assert judge_metrics([], {}) == []


@pytest.mark.parametrize(("lost", "gained", "outcome"), [(9, 2, REGRESS), (2, 0, OPEN)])
def test_the_worked_example_of_the_guide(make_result, make_run, lost, gained, outcome):
    """docs/gate.md prints what the gate prints; 80 cases, of which the baseline fails the first 4."""
    then = make_run([make_result(f"orders/{n:02}", n >= 4) for n in range(80)])
    now = make_run([make_result(f"orders/{n:02}", n >= 4 + lost or 4 - gained <= n < 4) for n in range(80)])
    _, verdict = run_gate(now, then)
    guide = " ".join((Path(__file__).parents[2] / "docs" / "gate.md").read_text(encoding="utf-8").split())
    assert verdict.outcome is outcome
    assert sentences_of(verdict)[0] in guide


def test_every_figure_has_its_denominators(make_result, make_run):
    """What was asked, how it ended on each side, how many are compared, and why the others are not."""
    now = make_run([make_result(f"s/{n}", Outcome.ERRORED if n < 2 else n > 5) for n in range(80)])
    then = make_run([make_result(f"s/{n}") for n in range(79)])
    (counts,) = run_gate(now, then)[0].counts
    assert counts == SetCounts(
        set_name="s",
        paired=77,
        candidate={"errored": 2, "failed": 4, "passed": 74},
        baseline={"passed": 79},
        unpaired={"errored": 2, "only in the candidate": 1},
    )
    assert sum(counts.candidate.values()) == counts.paired + sum(counts.unpaired.values())


def test_what_is_asked_of_the_gate_reaches_it(run_with):
    """Each option in one call changes what it is about, and nothing else."""
    now, then = run_with(80, 12, name="general", probes=["general"]), run_with(80, 5, name="general")
    usual, _ = run_gate(now, then)
    assert row_of(usual, name="general").margin == 0.10
    wide, verdict = run_gate(now, then, forgetting_margin=0.3)
    assert row_of(wide, name="general").margin == 0.3
    assert verdict.outcome is PASS
    assert row_of(run_gate(now, then, margin=0.3)[0], name="general").margin == 0.10
    assert usual.forgetting.overall.rate.confidence == pytest.approx(0.9)
    strict, _ = run_gate(now, then, alpha=0.01)
    assert strict.forgetting.overall.rate.confidence == pytest.approx(0.98)


def test_one_of_several_models_has_a_part_of_the_level(run_with):
    """Nine lost cases of sixty are a regression at 5 %, and none at a hundred-thousandth."""
    now, then = run_with(60, 9), run_with(60, 0)
    assert run_gate(now, then)[1].outcome is REGRESS
    assert run_gate(now, then, regress_alpha=1e-5)[1].outcome is OPEN


def test_a_case_that_passed_once_of_five_is_unstable(run_with):
    run = run_with(3)
    noted = {f"orders/00{n}": Stability(passed=passed, answers=5) for n, passed in enumerate((0, 1, 5))}
    assert set(run_gate(run, run, stability=noted)[0].unstable) == {"orders/001"}
    noted = {f"orders/00{n}": Stability(passed=passed, answers=5) for n, passed in enumerate((4, 2, 3))}
    assert len(run_gate(run, run, stability=noted)[0].unstable) == 3


def test_divergences_reach_the_comparison(run_with):
    run = run_with(20, name="general", probes=["general"])
    found = [
        TextLoss(passage=name, nats_per_token=value, tokens=100) for name, value in (("a", 0.1), ("b", 0.3))
    ]
    assert run_gate(run, run, divergences=found)[0].forgetting.divergence.estimate == pytest.approx(0.2)
    assert run_gate(run, run)[0].forgetting.divergence is None


def own_cases(make_result, make_run, metric, values):
    """A run whose set asks of exactly its cases whether a metric fell."""
    gates = {"s": GateSettings(population="cases", metric_margins={metric: 0.05})}
    run = make_run(
        [make_result(f"s/{n}", scores=[(metric, value)]) for n, value in enumerate(values)], gates=gates
    )
    # Times of single answers, which are compared.
    return replace(run, plan=replace(run.plan, batch_tokens=0))


def test_a_time_is_never_known_exactly(make_result, make_run):
    """30 times of 0.5 to 1.5 seconds and the same in reverse order, a tenth more: no drop beyond chance."""
    times = [0.5 + n / 29 for n in range(30)]
    now, before = [each + 0.1 for each in reversed(times)], times
    runs = [own_cases(make_result, make_run, "latency", each) for each in (now, before)]
    row = row_of(run_gate(*runs)[0], "latency", "s")
    assert (row.population, row.verdict) == ("sample", OPEN)


def test_a_score_of_answers_that_vary_by_their_record_is_not_known_exactly(make_result, make_run):
    now, before = [0.3, 0.9] * 15, [0.9, 0.4] * 15
    runs = [own_cases(make_result, make_run, "rouge-l", each) for each in (now, before)]
    steady, varying = (
        run_gate(*runs, stability={"s/3": Stability(passed=passed, answers=5)})[0] for passed in (5, 3)
    )
    found = [row_of(each, "rouge-l", "s") for each in (steady, varying)]
    assert [(row.population, row.verdict) for row in found] == [("cases", PASS), ("sample", OPEN)]
