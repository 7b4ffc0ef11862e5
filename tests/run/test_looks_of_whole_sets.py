"""What a look knows of the whole set: its changed and regressed cases, its labels, and its cases that decide."""

from dataclasses import replace

import pytest

from harness.baselines.target import model_target, run_target
from harness.comparison.gate import conclude, judge_runs
from harness.comparison.regressed_cases import regressions_of
from harness.presentation.sentences import sentence_of, sentences_of
from harness.run.cache import Cache
from harness.run.conclusion import answered_run, conclude_session
from harness.run.looks import cases_by_look, run_looks
from harness.run.scoring import Judging
from harness.run.session import run_session
from harness.run.verification import verify
from harness.types import (
    NOTHING_ALLOWED,
    ChangedCasesFinding,
    Check,
    GateSettings,
    GateVerdict,
    GoldenCase,
    Message,
    NotComparedFinding,
    Outcome,
    RegressedCasesFinding,
    SetLooks,
)
from tests.comparison.test_whole_sets_set_metrics import LABELS, run_of

N = 400


@pytest.fixture
def looked(inputs_of, models, opened, golden_set, case_of, make_run):
    """Gates 400 cases in five looks against a stored run, whose cases some of them replace."""

    def start(is_edited):
        checks = (Check(type="contains", value="/"),)
        before = replace(golden_set, cases=tuple(case_of(f"{n:03}", checks=checks) for n in range(N)))
        place = {case.key: number for number, part in enumerate(cases_by_look(before, 5), 1) for case in part}
        asked = replace(case_of("x").messages[0], content="edited")
        of_look = dict.fromkeys(range(1, 6), 0)
        cases = []
        for case in before.cases:
            look = place[case.key]
            of_look[look] += 1
            cases.append(replace(case, messages=(asked,)) if is_edited(look, of_look[look]) else case)
        edited = replace(before, cases=tuple(cases))
        with Cache(None) as cache:
            whole = run_session(inputs_of(model_target(models["baseline"])), [before], cache, lambda *_: None)
            stored = answered_run(
                models["baseline"],
                whole.answers["baseline"],
                whole.results["baseline"],
                [before],
                make_run([]).environment,
                started_at=whole.started_at,
                duration_s=1.0,
                collected=N,
            )
            only = {"candidate": {case.key for case in cases}}
            inputs = inputs_of(run_target(stored), looks=5)
            rest = {"collected": N, "only": only}
            session = run_looks(inputs, [edited], cache, lambda *_: None, Judging(), **rest)
        return conclude_session(session, collected=N)[""]

    return start


def test_changed_cases_that_no_look_has_reached_count(looked, tmp_path):
    """6 % of the set were edited, all of them in the last look's part: which look has them is chance."""
    record = looked(lambda look, number: look == 5 and number <= 24)
    assert record.verdict.outcome is GateVerdict.INCONCLUSIVE
    assert not record.run.stopped
    (data,) = [each.data for each in record.verdict.findings if isinstance(each.data, ChangedCasesFinding)]
    assert (data.cases, data.n) == (24, N)
    assert verify(record, tmp_path, NOTHING_ALLOWED).recomputed is GateVerdict.INCONCLUSIVE


def test_changed_cases_of_an_early_look_are_a_share_of_the_whole_set(looked, tmp_path):
    """3 % of the set are tolerated, also where they are 8 % of what is answered so far."""
    record = looked(lambda look, number: look <= 2 and number <= 6)
    assert record.verdict.outcome is GateVerdict.PASS
    assert record.run.stopped
    assert len(record.run.results) < N
    assert verify(record, tmp_path, NOTHING_ALLOWED).recomputed is GateVerdict.PASS


def six_answers(run_of, lost, n, reached):
    """The gate of ``reached`` of ``n`` cases of six answers, of which 1 % may regress and some were lost for good."""
    looks = SetLooks(set_name="s", look=1, planned=5, fractions=(reached / n,), cases=n, answered=reached)
    gates = {"s": GateSettings(max_regressed=0.01)}
    now = run_of([0] * lost + [6] * (reached - lost), answers=6, gates=gates)
    then = run_of([6] * n, answers=6)
    judged = judge_runs(replace(now, looks=(looks,)), then, known={each.key for each in then.results})
    verdict = conclude(judged)[1]
    (found,) = [each for each in verdict.findings if isinstance(each.data, RegressedCasesFinding)]
    return judged, found


@pytest.mark.parametrize(
    ("lost", "reached", "verdict", "tolerated"),
    [
        (1, 100, GateVerdict.PASS, "; 1% of all 500 are tolerated"),
        (2, 100, GateVerdict.INCONCLUSIVE, "; 1% of all 500 are tolerated"),
        (5, 100, GateVerdict.INCONCLUSIVE, "; 1% of all 500 are tolerated"),
        (6, 100, GateVerdict.REGRESS, "; 1% of all 500 are tolerated"),
        (5, 500, GateVerdict.PASS, "; 1% are tolerated"),
        (6, 500, GateVerdict.REGRESS, "; 1% are tolerated"),
    ],
)
def test_as_many_cases_may_regress_at_a_look_as_in_the_whole_set(run_of, lost, reached, verdict, tolerated):
    """1 % of 500 cases are five. Two of the first 100 may be all, and don't let the set pass yet."""
    judged, found = six_answers(run_of, lost, 500, reached)
    assert len(judged.regressed) == lost
    assert found.verdict is verdict
    assert sentence_of(found).endswith(tolerated)
    # Nor is a number that is tolerated resampled.
    parts = judged.rows, judged.regressed, judged.limits, judged.candidate.looks
    assert ("regressed" in {each.kind for each in regressions_of(*parts)}) == (verdict is GateVerdict.REGRESS)


@pytest.mark.parametrize("reached", [100, 200, 500])
def test_in_whatever_order_four_tolerated_cases_come_no_look_regresses(run_of, reached):
    """In 1 - 0.8⁴ - 4 (0.2) 0.8³ = 18 % of orders two of four are in the first fifth, of which they are 2 %."""
    verdicts = {six_answers(run_of, lost, 500, reached)[1].verdict for lost in (2, 3, 4)}
    assert GateVerdict.REGRESS not in verdicts
    assert reached < 500 or verdicts == {GateVerdict.PASS}


def part_of(run, keys):
    return replace(run, results=tuple(each for each in run.results if each.key in keys))


def test_a_label_that_no_look_has_reached_may_be_lost():
    """One label of three is in five of 205 cases: never named again, it takes a third of the macro-F1."""
    gate = GateSettings(metric_margins={"macro-f1": 0.10})
    expected = ["red"] * 100 + ["green"] * 100 + ["blue"] * 5
    whole = run_of(expected, expected, gate=gate)
    cases = [result.case for result in whole.results]
    first = part_of(whole, {case.key for case in cases[:200]})
    comparison, verdict = conclude(judge_runs(first, first, asked=cases))
    (row,) = [row for row in comparison.metrics if row.metric == "macro-f1"]
    assert row.high_unseen == pytest.approx(1 / 3)
    assert row.unseen_labels == ("blue",)
    said = "but 200 cases without the label blue can miss rare losses, of up to 0.333 in all"
    assert any(said in sentence for sentence in sentences_of(verdict))
    assert row.verdict is GateVerdict.INCONCLUSIVE
    assert LABELS[2] == "blue"
    (row,) = [row for row in conclude(judge_runs(first, first))[0].metrics if row.metric == "macro-f1"]
    assert row.verdict is GateVerdict.PASS
    # A stored run of all cases but these shows that they are new: nothing of them is compared, ever.
    judged = judge_runs(first, replace(first, collected=200), asked=cases)
    (row,) = [row for row in conclude(judged)[0].metrics if row.metric == "macro-f1"]
    assert row.verdict is GateVerdict.PASS


def test_cases_that_decide_and_that_no_look_has_reached_keep_their_set_open(make_result, make_run):
    """55 cases grade, five decide: a look without those five knows nothing of the pass rate."""
    gates = {"s": GateSettings(metric_margins={"rouge-l": 0.5}, max_unscored=1)}
    graded = [make_result(f"s/{n:02}", Outcome.UNSCORED, scores=[("rouge-l", 0.9)]) for n in range(55)]
    run = make_run(graded, gates=gates)
    deciding = [
        GoldenCase(
            id=f"d{n}",
            set_name="s",
            messages=(Message(role="user", content="?"),),
            checks=(Check(type="is-json"),),
        )
        for n in range(5)
    ]
    _, verdict = conclude(judge_runs(run, run))
    assert verdict.outcome is GateVerdict.PASS
    _, verdict = conclude(judge_runs(run, run, asked=deciding))
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    assert [each.metric for each in verdict.findings if isinstance(each.data, NotComparedFinding)] == [
        "pass-rate"
    ]
