"""A model that breaks exactly where it would have lost gains nothing by it, and one side's gaps make no regression."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.comparison import metric_verdicts
from harness.comparison.gate import run_gate
from harness.comparison.missing_cases import beyond_limits, extremes_of, why_refused
from harness.comparison.pairing import fold_repeats, pair_runs, paired_metrics
from harness.presentation.sentences import sentences_of
from harness.run.session import metric_facts
from harness.types import Check, GateSettings, MetricFacts, Outcome, Score
from tests.comparison.conftest import OPEN, PASS, REGRESS, row_of, scored

# Whatever is missing, its number alone refuses nothing here.
TOLERANT = {"s": GateSettings(max_errored=1, max_unscored=1)}
GONE = [Outcome.ERRORED, Outcome.UNSCORED]


@pytest.fixture(name="gate")
def _gate(make_result, make_run):
    """The gate of two lists of outcomes."""

    def run(now, then, clusters=None, gates=TOLERANT):
        runs = [
            make_run(
                [
                    make_result(f"s/{n:03}", outcome, cluster=None if clusters is None else clusters[n])
                    for n, outcome in enumerate(outcomes)
                ],
                gates=gates,
            )
            for outcomes in (now, then)
        ]
        return run_gate(*runs)

    return run


@pytest.mark.parametrize("gone", GONE)
def test_losses_that_are_hidden_stay_losses(gate, gone):
    """Five of 200 cases lost, or left without a verdict where they would have been: the bound is the same."""
    lost, _ = gate([n >= 5 for n in range(200)], [True] * 200)
    hidden, verdict = gate([gone if n < 5 else True for n in range(200)], [True] * 200)
    seen, unseen = row_of(lost, name="s"), row_of(hidden, name="s")
    assert seen.drop.high == pytest.approx(0.0521, abs=0.0001)
    assert unseen.high_unseen == pytest.approx(seen.drop.high)
    assert unseen.n == 195
    assert unseen.missing == 5
    assert unseen.drop.estimate == 0
    assert unseen.verdict is verdict.outcome is OPEN
    assert sentences_of(verdict)[0].startswith(
        "s pass-rate is inconclusive: 1.000 → 1.000, drop +0.000 [-0.016, +0.016], n=195: no drop of more than 0.05 is "
        "to be seen, but 5 cases have a value on one side only: if all of them were lost, the drop may be up to 0.052"
    )
    assert sentences_of(verdict)[-1] == f"5 cases are not compared: 5 {gone}"


def test_a_score_of_a_case_that_another_metric_broke_on_counts_as_it_is(make_result, make_run):
    """It is on both sides, so it is neither at best nor at worst: the case lost 0.6 of F1."""
    gates = {"s": replace(TOLERANT["s"], metric_margins={"f1": 0.05})}
    scores = [("f1", 0.9), ("rouge-l", 0.9)]
    then = [make_result(f"s/{n:02}", scores=scores) for n in range(60)]
    broken = make_result("s/00", Outcome.ERRORED, scores=[("f1", 0.3)])
    comparison, _ = run_gate(make_run([broken, *then[1:]], gates=gates), make_run(then, gates=gates))
    seen = make_result("s/00", scores=[("f1", 0.3), ("rouge-l", 0.9)])
    whole, _ = run_gate(make_run([seen, *then[1:]], gates=gates), make_run(then, gates=gates))
    row, known = (row_of(each, "f1", "s") for each in (comparison, whole))
    assert (row.n, row.missing, row.drop.estimate) == (59, 0, 0)
    assert row.high_unseen == pytest.approx(known.high_unseen)


def test_few_hidden_losses_still_pass(gate):
    comparison, verdict = gate([Outcome.ERRORED if n < 2 else True for n in range(200)], [True] * 200)
    assert verdict.outcome is PASS
    assert sentences_of(verdict)[0].endswith("also if all 2 cases with a value on one side only were lost")
    assert row_of(comparison, name="s").high_unseen == pytest.approx(0.0316, abs=0.0001)


def test_a_case_without_a_verdict_on_both_sides_favours_neither(gate):
    outcomes = [Outcome.ERRORED if n < 20 else True for n in range(200)]
    comparison, verdict = gate(outcomes, outcomes)
    assert row_of(comparison, name="s").missing == 0
    assert verdict.outcome is PASS


def test_gaps_of_the_baseline_count_where_the_candidate_fails(gate):
    """The baseline may have passed them. Where the candidate passes, nothing can be lost."""
    then = [Outcome.UNSCORED if n < 10 else True for n in range(200)]
    assert gate([True] * 200, then)[1].outcome is PASS
    assert gate([n >= 10 for n in range(200)], then)[1].outcome is OPEN


def test_hidden_gains_make_no_regression(gate):
    """Ten lost and ten gained of 200 are no drop; without the gains' verdicts they would be one, p=0.0005."""
    then = [n >= 10 for n in range(200)]
    now = [Outcome.ERRORED if n < 10 else n >= 20 for n in range(200)]
    comparison, verdict = gate(now, then)
    row = row_of(comparison, name="s")
    assert row.p_value == pytest.approx(0.5, abs=0.1)
    assert row.drop.low < 0 < row.drop.estimate
    assert verdict.outcome is OPEN


def test_a_regression_reaches_beyond_the_margin_whatever_is_missing(gate):
    """Of exactly 20 cases one was lost and one errored: if it was kept, the drop is 1 / 20, as much as is tolerated."""
    these = {"s": replace(TOLERANT["s"], population="cases")}
    comparison, verdict = gate([False, Outcome.ERRORED, *[True] * 18], [True] * 20, gates=these)
    row = row_of(comparison, name="s")
    assert (row.drop.high, row.high_at_best) == pytest.approx((1 / 19, 1 / 20))
    assert row.verdict is verdict.outcome is OPEN
    kept = "but none is to be seen if the case with a value on one side only was kept"
    assert f"a drop of more than 0.05 is not excluded, {kept}" in sentences_of(verdict)[0]
    assert gate([False, False, Outcome.ERRORED, *[True] * 17], [True] * 20, gates=these)[1].outcome is REGRESS
    assert gate([False, False, *[True] * 18], [True] * 20, gates=these)[0].metrics[0].high_at_best is None


def test_gaps_do_not_hide_a_regression(gate):
    """40 of 80 answers broke, and half of the others were lost."""
    now = [Outcome.ERRORED if n < 40 else n >= 60 for n in range(80)]
    assert gate(now, [True] * 80)[1].outcome is REGRESS


@pytest.mark.parametrize("kind", ["alone", "clusters"])
def test_a_model_that_errors_where_it_would_have_lost_never_passes_more_often(gate, kind, monkeypatch):
    """A drop of the margin, half of it hidden: at most 5 % pass, three standard errors aside."""
    # What could be detected takes most of the time, and decides nothing.
    for name in ("smallest_detectable", "smallest_detectable_of_clusters"):
        monkeypatch.setattr(metric_verdicts, name, lambda *_, **__: None)
    random = np.random.default_rng(5)
    clusters = None if kind == "alone" else [f"c{n // 2}" for n in range(200)]
    passes = 0
    for _ in range(25):
        lost = random.random(200) < 0.05
        if clusters is not None:
            lost = np.repeat(random.random(100) < 0.05, 2)
        hidden = lost & (random.random(200) < 0.5)
        now = [Outcome.ERRORED if gone else not fell for gone, fell in zip(hidden, lost, strict=True)]
        passes += gate(now, [True] * 200, clusters)[1].outcome is PASS
    assert passes <= 25 * 0.05 + 3 * math.sqrt(25 * 0.05 * 0.95)


def test_an_answer_without_a_verdict_leaves_its_case_without_one(make_result, make_run):
    """Four of five answers passed; the fifth counts as failed for a pass, and as passed for a regression."""
    now = make_run([_repeated(make_result, [True] * 4 + [Outcome.UNSCORED])], gates=TOLERANT)
    then = make_run([_repeated(make_result, [True] * 5)], gates=TOLERANT)
    pairing = pair_runs(now, then)
    assert pairing.unpaired == {"s/0": "unscored"}
    compared = paired_metrics(pair_runs(then, then))[0]
    found = extremes_of(replace(compared, keys=("s/1",)), pairing)
    assert found is not None
    assert found.worst.candidate == (1, 0.8)
    assert found.best.candidate == (1, 1)
    assert found.worst.trials[1].candidate_passed == 4
    other = extremes_of(replace(compared, keys=("s/1",)), pair_runs(then, now))
    assert other is not None
    assert other.worst.baseline == (1, 1)
    assert other.best.baseline == (1, 0.8)


def _repeated(make_result, outcomes):
    return fold_repeats([make_result("s/0", outcome) for outcome in outcomes])[0]


def test_a_score_that_one_side_lacks_counts_as_the_worst(make_result, make_run):
    gates = {"s": GateSettings(metric_margins={"rouge-l": 0.05}, max_unscored=1)}
    then = make_run(scored(make_result, [0.8] * 100), gates=gates)
    now = make_run(
        [replace(each, scores=()) if place < 3 else each for place, each in enumerate(then.results)],
        gates=gates,
    )
    comparison, _ = run_gate(now, then)
    row = row_of(comparison, "rouge-l", "s")
    assert (row.n, row.missing, row.missing_unlimited) == (97, 3, False)
    assert row.high_unseen > 0.8 * 3 / 100
    assert row.verdict is OPEN
    assert row_of(comparison, name="s").verdict is PASS


def test_what_the_other_cases_leave_open_is_told_beside_what_is_missing(make_result, make_run):
    """30 scores gained 0.02 or so and can miss losses of 0.07; once the one that is missing is there, they still can."""
    gates = {"s": GateSettings(metric_margins={"rouge-l": 0.05}, max_unscored=1)}
    then = make_run(scored(make_result, [0.95] * 31), gates=gates)
    now = make_run(scored(make_result, [0.965 + place % 3 / 200 for place in range(31)]), gates=gates)
    gone = replace(now, results=(replace(now.results[0], scores=()), *now.results[1:]))
    comparison, verdict = run_gate(gone, then)
    row = row_of(comparison, "rouge-l", "s")
    others = (replace(each, results=each.results[1:]) for each in (now, then))
    alone = row_of(run_gate(*others)[0], "rouge-l", "s")
    assert row.high_of_compared == pytest.approx(alone.high_unseen)
    assert 0.05 < row.high_of_compared < row.high_unseen
    assert alone.high_of_compared is None
    said = next(each for each in sentences_of(verdict) if each.startswith("s rouge-l"))
    assert "but 30 cases can miss rare losses, of up to 0.07" in said
    assert " in all, and 1 case has a value on one side only: if all of them were lost" in said


def test_nothing_limits_a_loss_on_a_scale_without_an_end(make_result, make_run):
    facts = {"rouge-l": MetricFacts(kind="graded", higher_is_better=False, least=0.0, most=None)}
    gates = {"s": GateSettings(metric_margins={"rouge-l": 0.5}, max_unscored=1)}
    then = replace(make_run(scored(make_result, [0.8] * 200), gates=gates), metrics=facts)
    now = replace(then, results=(replace(then.results[0], scores=()), *then.results[1:]))
    comparison, verdict = run_gate(now, then)
    assert row_of(comparison, "rouge-l", "s").verdict is OPEN
    assert (
        "1 case has a value on one side only: nothing limits how much they lost" in sentences_of(verdict)[0]
    )


@pytest.mark.parametrize("unit", [0.001, 1.0, 1000.0])
def test_what_is_missing_on_a_scale_without_an_end_has_no_unit(make_result, make_run, unit):
    """Two of 20 cases lack the candidate's value, 18 fell by 6 %: as evidence it is the same in any currency."""
    facts = {"rouge-l": MetricFacts(kind="graded", least=0.0, most=None)}
    gates = {"s": GateSettings(metric_margins={"rouge-l": 0.03 * unit}, max_unscored=1)}
    values = [unit * (1 + (place % 5) / 50) for place in range(20)]
    then = replace(make_run(scored(make_result, values), gates=gates), metrics=facts)
    fell = scored(make_result, [0.94 * value for value in values])
    gone = [replace(each, scores=()) if place < 2 else each for place, each in enumerate(fell)]
    row = row_of(run_gate(replace(then, results=tuple(gone)), then)[0], "rouge-l", "s")
    assert row.missing == 2
    # Both could have been twice the baseline's mean: all gained together more than the others lost.
    assert row.p_value == 1
    assert row.drop.low / unit == pytest.approx(-0.2498, abs=0.0001)
    assert 0 < row.high_at_best / unit < 0.2
    assert row.verdict is OPEN


@pytest.mark.parametrize("most", [None, 10.0])
def test_a_score_that_both_sides_have_is_not_missing(make_result, make_run, most):
    """The judge left one case unscored on one side; its graded value is known on both, and the same."""
    facts = {"rouge-l": MetricFacts(kind="graded", least=0.0, most=most, higher_is_better=False)}
    gates = {"s": GateSettings(metric_margins={"rouge-l": 2.0}, max_unscored=0.05)}
    values = [5 + (place % 5) / 50 for place in range(100)]
    then = replace(make_run(scored(make_result, values), gates=gates), metrics=facts)
    left = [
        replace(each, outcome=Outcome.UNSCORED) if place == 7 else each
        for place, each in enumerate(then.results)
    ]
    row = row_of(run_gate(replace(then, results=tuple(left)), then)[0], "rouge-l", "s")
    assert (row.missing, row.missing_unlimited) == (0, False)
    assert row.verdict is PASS


def test_a_case_that_a_log_lacks_is_unscored_there(make_result, make_run):
    """A log doesn't tell a lost case from one that was taken out; a run of ours has what its golden sets have."""
    whole = make_run([make_result(f"s/{n:03}") for n in range(200)], gates=TOLERANT)
    short = make_run(whole.results[20:], gates=TOLERANT)
    assert run_gate(short, whole)[1].outcome is PASS
    log = replace(short, plan=replace(short.plan, batch_tokens=0))
    comparison, verdict = run_gate(log, whole)
    assert row_of(comparison, name="s").missing == 20
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[-1] == "20 cases are not compared: 20 only in the baseline"


@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_log_gains_nothing_by_leaving_cases_out(make_result, make_run, side):
    """With a margin that would allow to lose all 20 of 200 a set passed, though a tenth has no verdict."""
    gates = {"s": GateSettings(margin=0.3)}
    whole = make_run([make_result(f"s/{n:03}") for n in range(200)], gates=gates)
    short = make_run(whole.results[20:], gates=gates)
    log = replace(short, plan=replace(short.plan, batch_tokens=0))
    empty = [
        replace(each, outcome=Outcome.UNSCORED, scores=()) if place < 20 else each
        for place, each in enumerate(whole.results)
    ]
    for lacking in (log, replace(whole, results=tuple(empty))):
        runs = (lacking, whole) if side == "candidate" else (whole, lacking)
        verdict = run_gate(*runs)[1]
        assert verdict.outcome is OPEN
        assert sentences_of(verdict)[0] == (
            f"s: 20 of 200 cases were left unscored in the {side}, 5% are tolerated"
        )
    assert run_gate(replace(log, results=whole.results[5:]), whole)[1].outcome is PASS


def graded_set(make_result, make_run, outcomes, *, rubric, **limits):
    """Cases that rouge-l grades and gates; with a rubric, one that has no score where the case is unscored."""
    checks = (Check(type="rouge-l"), *([Check(type="llm-rubric", value="Is it kind?")] if rubric else []))
    results = []
    for place, outcome in enumerate(outcomes):
        scores = [] if outcome is Outcome.ERRORED else [("rouge-l", 0.8)]
        result = make_result(f"s/{place:03}", outcome, scores=scores)
        results.append(replace(result, case=replace(result.case, checks=checks)))
    run = make_run(results, gates={"s": GateSettings(metric_margins={"rouge-l": 0.05}, **limits)})
    return replace(run, metrics=metric_facts(checks))


@pytest.mark.parametrize(
    ("unscored", "reason"),
    [
        (100, "s: 100 of 400 cases were left unscored in the candidate, 5% are tolerated"),
        (400, "s: 400 of 400 cases were left unscored in the candidate, 5% are tolerated"),
    ],
)
def test_a_gated_score_is_no_verdict_of_the_checks_that_decide(make_result, make_run, unscored, reason):
    """Rubrics without a verdict on both sides: how well the texts overlap says nothing of them."""
    outcomes = [Outcome.UNSCORED if place < unscored else True for place in range(400)]
    run = graded_set(make_result, make_run, outcomes, rubric=True)
    verdict = run_gate(run, run)[1]
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0] == reason
    assert sum(each.cases for each in beyond_limits(run, run.golden_sets[0])) == unscored


def test_whether_a_group_decides_is_not_read_off_that_of_another_set(make_result, make_run):
    """That one has a threshold, and so one number for the whole run's groups is a grade."""
    group = Check(type="all-of", checks=(Check(type="llm-rubric", value="Is it kind?"),))
    results = []
    for place in range(100):
        result = make_result(
            f"s/{place:03}", Outcome.UNSCORED if place < 60 else True, scores=[("rouge-l", 0.8)]
        )
        results.append(replace(result, case=replace(result.case, checks=(Check(type="rouge-l"), group))))
    run = make_run(results, gates={"s": GateSettings(metric_margins={"rouge-l": 0.05})})
    run = replace(run, metrics=metric_facts([Check(type="rouge-l"), replace(group, threshold=0.5)]))
    assert run.metrics["all-of"].kind != "binary"
    assert sum(each.cases for each in beyond_limits(run, run.golden_sets[0])) == 60
    assert run_gate(run, run)[1].outcome is OPEN


def test_cases_that_only_grade_need_no_pass_rate(make_result, make_run):
    """Nor where a tolerated share of them broke."""
    whole = graded_set(make_result, make_run, [Outcome.UNSCORED] * 400, rubric=False)
    assert beyond_limits(whole, whole.golden_sets[0]) == []
    assert run_gate(whole, whole)[1].outcome is PASS
    few = [Outcome.ERRORED if place < 4 else Outcome.UNSCORED for place in range(400)]
    broken = graded_set(make_result, make_run, few, rubric=False, max_errored=0.01)
    assert run_gate(broken, broken)[1].outcome is PASS
    refused = graded_set(make_result, make_run, few, rubric=False)
    (lacking,) = beyond_limits(refused, refused.golden_sets[0])
    assert (lacking.outcome, lacking.cases, lacking.n, lacking.tolerated) == (Outcome.ERRORED, 4, 400, 0)


def test_the_other_question_allows_for_what_is_missing_too(make_result, make_run):
    """Four of 54 are lost and four errored in the baseline: of exactly these cases they may all have been gained."""

    def run(outcomes, population):
        results = [make_result(f"s/{n}", each) for n, each in enumerate(outcomes)]
        return make_run(results, gates={"s": GateSettings(population=population, max_errored=0.5)})

    before, now = [True] * 50 + [Outcome.ERRORED] * 4, [False] * 4 + [True] * 50
    sides = {of: [run(now, of), run(before, of)] for of in ("sample", "cases")}
    asked, itself = (run_gate(*sides[of])[0].metrics[0] for of in ("sample", "cases"))
    assert asked.other_question is itself.verdict is OPEN
    assert itself.other_question is asked.verdict


def test_a_pass_rate_is_refused_for_what_decides_its_cases(make_result):
    scores = (
        Score(metric="llm-rubric", value=1.0, passed=True),
        Score(metric="contains", value=1.0, passed=True),
        Score(metric="f1", value=0.5),
    )
    results = [replace(make_result("s/a"), scores=scores)]
    refused = {"llm-rubric": "another judge", "f1": "another version"}
    assert why_refused("pass-rate", refused, results) == "llm-rubric: another judge"
    assert why_refused("f1", refused, results) == "another version"
    assert why_refused("rouge-l", refused, results) == why_refused("pass-rate", {}, results) == ""
