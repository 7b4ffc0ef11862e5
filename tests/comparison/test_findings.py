"""Each kind of finding with all its data: what the writers and the reports read."""

from dataclasses import replace

import pytest

from harness.comparison.findings import (
    confirmation_findings,
    failed_tests_findings,
    findings_of,
    metric_findings,
    not_compared_findings,
    outcome_of,
    regressed_case_findings,
    retention_findings,
)
from harness.comparison.pairing import pair_runs
from harness.comparison.unanswered import no_verdict_findings
from harness.presentation.sentences import sentence_of
from harness.types import (
    Comparison,
    Confirmation,
    ConfirmationFinding,
    DriverFinding,
    DriverSlice,
    FailedTestsFinding,
    Finding,
    Forgetting,
    GateSettings,
    GateVerdict,
    Interval,
    MetricComparison,
    MetricSummary,
    NotComparedFinding,
    NothingGatedFinding,
    NoVerdictFinding,
    OtherTextFinding,
    Outcome,
    OwnSettingsFinding,
    PlansFinding,
    RegressedCase,
    RegressedCasesFinding,
    Retention,
    RetentionFinding,
    SharedTrait,
    Stability,
    Standing,
    TraitsFinding,
    TripwireFinding,
)

PASS, REGRESS, OPEN = GateVerdict.PASS, GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE


def interval(estimate, low, high):
    return Interval(estimate=estimate, low=low, high=high, confidence=0.9, method="by hand")


def row(name="orders", *, before=0.9, now=0.9, verdict=PASS, **changes):
    """A judged pass rate of 50 cases."""
    before_it, now_it = (
        MetricSummary(metric="pass-rate", n=50, mean=interval(mean, mean - 0.1, mean + 0.1))
        for mean in (before, now)
    )
    filled = MetricComparison(
        set_name=name,
        metric="pass-rate",
        kind="binary",
        n=50,
        candidate=now_it,
        baseline=before_it,
        drop=interval(before - now, before - now - 0.04, before - now + 0.04),
        p_value=0.3,
        p_adjusted=0.6,
        lost=("orders/1", "orders/2"),
        gained=("orders/3",),
        margin=0.05,
        minimum_detectable_drop=0.12,
        verdict=verdict,
    )
    return replace(filled, **changes)


def compared(*rows, **changes):
    return Comparison(candidate_run="now", baseline_run="then", metrics=rows, **changes)


def test_the_worst_finding_decides_and_without_one_it_is_inconclusive():
    assert outcome_of([Finding(verdict=PASS, data=NothingGatedFinding())]) is PASS
    assert outcome_of([Finding(data=NothingGatedFinding())]) is OPEN
    assert outcome_of([]) is OPEN


def test_a_metric_s_finding_holds_all_figures_of_its_row():
    judged = row(high_unseen=0.07, cases_to_settle=120, other_question=OPEN, population="cases")
    (found,) = metric_findings(compared(judged), {("orders", "pass-rate"): 20})
    assert (found.verdict, found.set_name, found.metric) == (PASS, "orders", "pass-rate")
    data = found.data
    assert (data.scale, data.baseline, data.candidate, data.drop) == ("binary", 0.9, 0.9, judged.drop)
    assert (data.n, data.clusters, data.lost, data.gained) == (50, 20, 2, 1)
    assert (data.margin, data.p_value, data.minimum_detectable_drop) == (0.05, 0.6, 0.12)
    assert (data.high_unseen, data.cases_to_settle) == (0.07, 120)
    assert (data.standing, data.other_question, data.population) == (Standing.EQUAL, OPEN, "cases")


def test_a_row_alone_has_its_own_cases_and_p_value_and_no_margin():
    (found,) = metric_findings(compared(row(p_adjusted=None, margin=None)), {})
    assert (found.data.clusters, found.data.p_value, found.data.margin) == (50, 0.3, 0.0)
    assert metric_findings(compared(row(verdict=None)), {}) == []


@pytest.mark.parametrize(
    ("limits", "verdict", "tolerated"), [({}, REGRESS, 0.0), ({"orders": 0.04}, PASS, 0.04)]
)
def test_as_many_regressed_cases_as_tolerated_are_tolerated(limits, verdict, tolerated):
    """Two of 50 cases are 4 %. An id may hold a slash of its own."""
    cases = tuple(
        RegressedCase(
            key=key, was=Stability(passed=5, answers=5), now=Stability(passed=0, answers=5), p_value=0.004
        )
        for key in ("orders/a/1", "orders/b")
    )
    (found,) = regressed_case_findings(compared(row(), regressed_cases=cases), limits)
    assert found == Finding(
        verdict=verdict,
        set_name="orders",
        metric="pass-rate",
        data=RegressedCasesFinding(cases=cases, n=50, tolerated=tolerated),
    )


def test_failed_tests_are_one_regression_and_none_is_none():
    assert failed_tests_findings([]) == []
    assert failed_tests_findings(["tests/t.py::a", "tests/t.py::b"]) == [
        Finding(verdict=REGRESS, data=FailedTestsFinding(tests=("tests/t.py::a", "tests/t.py::b")))
    ]


@pytest.mark.parametrize(("stands", "verdict"), [(True, REGRESS), (False, OPEN)])
def test_a_confirmation_has_its_set_and_its_verdict(stands, verdict):
    confirmed = Confirmation(set_name="orders", finding="flipped", cases=("orders/1",), stands=stands)
    assert confirmation_findings(compared(row(), confirmations=(confirmed,))) == [
        Finding(
            verdict=verdict,
            set_name="orders",
            metric="pass-rate",
            data=ConfirmationFinding(confirmation=confirmed),
        )
    ]


def retention(skill, kept, of):
    return Retention(skill=skill, passed_by_baseline=of, retained=kept, rate=interval(kept / of, 0.1, 0.9))


def forgetting(**changes):
    skills = retention("a", 5, 5), retention("b", 3, 10), retention("c", 1, 10)
    return Forgetting(overall=retention("all", 9, 25), by_skill=skills, **changes)


def test_skills_that_lost_any_are_named_the_worst_first(make_run, make_result):
    sets = make_run([make_result("general/1")], probes=["general"]).golden_sets
    failed = compared(row("general", verdict=OPEN), forgetting=forgetting())
    (found,) = retention_findings(failed, sets)
    assert found.verdict is OPEN
    assert isinstance(found.data, RetentionFinding)
    assert [skill.skill for skill in found.data.worst] == ["c", "b"]
    passed = compared(row("general", verdict=PASS), forgetting=forgetting())
    assert retention_findings(passed, sets) == []
    assert retention_findings(compared(row("general", verdict=OPEN)), sets) == []
    nothing = compared(row("general", verdict=OPEN), forgetting=replace(forgetting(), overall=None))
    assert retention_findings(nothing, sets) == []


def test_what_could_not_be_compared_is_named_for_every_set(make_run, make_result):
    results = [make_result("a/1"), make_result("b/1")]
    margins = {"a": GateSettings(metric_margins={"rouge-l": 0.1}), "b": GateSettings()}
    run = make_run(results, gates=margins)
    found = not_compared_findings(run.golden_sets, run, [row("b")], {"rouge-l": "its version differs"})
    assert [(each.set_name, each.metric, each.data) for each in found] == [
        ("a", "pass-rate", NotComparedFinding(reason="")),
        ("a", "rouge-l", NotComparedFinding(reason="its version differs")),
    ]
    nothing = not_compared_findings(run.golden_sets, run, [], {})
    assert [each.set_name for each in nothing] == ["a", "a", "b"]


def test_missing_verdicts_name_the_side_and_count_only_the_set_s_own_cases(make_run, make_result):
    broken = [make_result(f"a/{n}", Outcome.ERRORED) for n in range(2)]
    skipped, others = [make_result("a/9", Outcome.SKIPPED)], [make_result(f"b/{n}") for n in range(5)]
    fine = make_run([make_result(f"a/{n}") for n in range(2)] + others)
    found = no_verdict_findings(
        {"candidate": fine, "baseline": make_run(broken + skipped + others)}, fine.golden_sets
    )
    data = NoVerdictFinding(side="baseline", outcome=Outcome.ERRORED, cases=2, n=2, tolerated=0)
    assert found == [Finding(verdict=OPEN, set_name="a", data=data)]
    (other,) = no_verdict_findings(
        {"candidate": make_run(broken + others), "baseline": fine}, fine.golden_sets
    )
    assert other.data.side == "candidate"


def whole(candidate, baseline, comparison):
    return findings_of(candidate, baseline, comparison, pair_runs(candidate, baseline), {})


def test_slices_and_traits_inform_and_name_their_set(make_run, make_result):
    run = make_run([make_result("orders/1"), make_result("other/1")])
    driver = DriverSlice(
        set_name="orders",
        kind="tag",
        name="dates",
        n=5,
        lost=("orders/1",),
        lost_in_set=1,
        drop=interval(0.2, 0.0, 0.4),
        drop_elsewhere=0.0,
        p_value=0.01,
    )
    traits = [
        SharedTrait(set_name=name, trait="short", lost=3, of_lost=3, kept=0, of_kept=9, p_value=0.01)
        for name in ("orders", "orders", "other")
    ]
    found = whole(run, run, compared(row(), row("other"), drivers=(driver,), traits=tuple(traits)))
    informing = [each for each in found if each.verdict is None]
    assert informing == [
        Finding(set_name="orders", metric="pass-rate", data=DriverFinding(driver=driver)),
        Finding(set_name="orders", metric="pass-rate", data=TraitsFinding(traits=tuple(traits[:2]))),
        Finding(set_name="other", metric="pass-rate", data=TraitsFinding(traits=tuple(traits[2:]))),
    ]


def test_nothing_at_all_is_inconclusive(make_run):
    empty = make_run([])
    assert whole(empty, empty, compared()) == [Finding(verdict=OPEN, data=NothingGatedFinding())]


@pytest.mark.parametrize(
    ("changes", "dtype", "told"),
    [
        ({}, "float32", False),
        ({}, "bfloat16", False),
        ({"batch_tokens": 99}, "float32", False),
        ({"batch_tokens": 99}, "bfloat16", True),
        ({"device": "cuda"}, "float32", True),
        ({"device": "cpu:split:cpu=2GB"}, "float32", False),
        ({"device": "cpu:split:cpu=2GB"}, "bfloat16", True),
        ({"weights": "merged"}, "float32", True),
    ],
)
def test_plans_that_may_change_answers_are_told(make_run, make_result, changes, dtype, told):
    """In float32 neither another size of batches nor of parts changes greedy text; in bfloat16 they do."""
    run = make_run([make_result("orders/1")], dtype=dtype)
    other = replace(run, plan=replace(run.plan, **changes))
    found = [each.data for each in whole(run, other, compared(row())) if isinstance(each.data, PlansFinding)]
    assert found == ([PlansFinding(candidate=run.plan, baseline=other.plan)] if told else [])


@pytest.mark.parametrize(
    ("own", "asks", "told"),
    [
        ((), False, False),
        (("repetition_penalty: 1.1",), False, True),
        (("repetition_penalty: 1.1",), True, False),
    ],
)
def test_settings_of_a_model_that_its_answers_leave_out_are_told(make_run, make_result, own, asks, told):
    result = make_result("orders/1")
    settings = replace(result.case.generation, use_model_settings=asks)
    run = make_run([replace(result, case=replace(result.case, generation=settings))])
    run = replace(run, model=replace(run.model, own_settings=own))
    other = replace(run, model=replace(run.model, own_settings=()))
    found = [each for each in whole(run, other, compared(row())) if isinstance(each.data, OwnSettingsFinding)]
    assert [each.data for each in found] == ([OwnSettingsFinding(candidate=own, baseline=())] if told else [])


def test_a_tripped_wire_prevents_a_pass_and_one_that_holds_is_not_told(make_run, make_result):
    run, change = make_run([make_result("orders/1")]), interval(0.3, 0.2, 0.4)
    tripped = compared(row(), forgetting=forgetting(loss_change=change, tripped=True))
    (found,) = [each for each in whole(run, run, tripped) if isinstance(each.data, TripwireFinding)]
    assert (found.verdict, found.data.change, found.data.limit) == (OPEN, change, 0.10)
    held = compared(row(), forgetting=forgetting(loss_change=change, tripped=False))
    assert not any(isinstance(each.data, TripwireFinding) for each in whole(run, run, held))


def test_a_language_that_is_lost_is_told_and_holds_no_pass_back(make_run, make_result):
    """Only what surely rose beyond the limit: four passages that moved a little are no news."""
    run, lost = make_run([make_result("orders/1")]), interval(3.1, 2.9, 3.3)
    changes = {"german": lost, "french": interval(0.3, 0.05, 0.5), "code": interval(-3.1, -3.3, -2.9)}
    told = whole(run, run, compared(row(), forgetting=forgetting(loss_by_kind=changes)))
    (found,) = [each for each in told if isinstance(each.data, OtherTextFinding)]
    assert (found.verdict, found.data.texts, found.data.limit) == (None, {"german": lost}, 0.10)
    assert sentence_of(found) == (
        "cross-entropy on other text rose on german by 3.10 nats per token [2.90, 3.30]: "
        "for information, it holds no pass back"
    )
    still = compared(row(), forgetting=forgetting(loss_by_kind={"german": interval(0.3, 0.05, 0.5)}))
    assert not any(isinstance(each.data, OtherTextFinding) for each in whole(run, run, still))


def test_a_refused_metric_is_told_by_name(make_run, make_result):
    now = make_run([make_result("orders/1", scores=[("rouge-l", 0.5)])])
    then = replace(now, metrics={"rouge-l": replace(now.metrics["rouge-l"], version="0")})
    told = [each for each in whole(now, then, compared(row())) if each.metric == "rouge-l"]
    assert [type(each.data) for each in told] == [NotComparedFinding]
    assert told[0].verdict is None


def test_exactly_the_tolerated_share_of_regressed_cases_is_tolerated():
    """29 of 100 are 0.29, though 0.29 * 100 is a hair below 29."""
    cases = tuple(
        RegressedCase(
            key=f"orders/{n}",
            was=Stability(passed=5, answers=5),
            now=Stability(passed=0, answers=5),
            p_value=0.01,
        )
        for n in range(29)
    )
    found = compared(row(n=100), regressed_cases=cases)
    assert [each.verdict for each in regressed_case_findings(found, {"orders": 0.29})] == [PASS]
    assert [each.verdict for each in regressed_case_findings(found, {"orders": 0.28})] == [REGRESS]
