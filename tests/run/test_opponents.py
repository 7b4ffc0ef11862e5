"""As a baseline a run is compared with its own answers; two runs only where the judge was asked one question."""

from dataclasses import replace
from itertools import product

import pytest

from harness.baselines.file import keep_results
from harness.comparison.gate import run_gate
from harness.comparison.pairing import pair_runs
from harness.run.opponents import against_itself, as_one_question, opponent_of
from harness.run.scoring import Judging, score_cases
from harness.types import (
    Check,
    Completion,
    GateRecord,
    GateSettings,
    GateVerdict,
    JudgeVerdict,
    Outcome,
    UnscoredMetric,
)

BETTER, NO_WORSE = (Check(type="pairwise", threshold=least) for least in (0.6, 0.5))
INFORMS, CONTAINS = Check(type="pairwise"), Check(type="contains", value="x")


class Judge:
    """Prefers an answer to another one so much."""

    overlaps = False

    def __init__(self, value):
        self.value = value

    def start(self, requests):
        """Nothing has to be done."""

    def judge_pairs(self, pairs):
        said = {"reason": "so", "judge_model": "j", "prompt_version": "1", "raw_reply": ""}
        return [JudgeVerdict(passed=self.value == 1, value=self.value, **said) for _ in pairs]


def completion(text, **rest):
    return Completion(
        text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1, **rest
    )


def scored(case, won, *answers):
    """The case's result: its answers were preferred so much to another run's."""
    said = dict(zip(case.answer_keys, answers, strict=True))
    judging = Judging(panel=Judge(won), baseline_texts=dict.fromkeys(said, "another"))
    return score_cases([case], said, judging=judging)[0]


def live(case, *answers):
    """The case's result as a baseline's that answers in the session."""
    said = dict(zip(case.answer_keys, answers, strict=True))
    texts = {key: each.text for key, each in said.items()}
    return score_cases([case], said, judging=Judging(baseline_texts=texts))[0]


def told(result):
    return [(score.metric, score.value, score.passed) for score in result.scores], result.outcome


@pytest.mark.parametrize("won", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "checks",
    [
        (BETTER,),
        (NO_WORSE,),
        (INFORMS, CONTAINS),
        (CONTAINS, BETTER),
        (NO_WORSE, INFORMS, CONTAINS),
        (NO_WORSE, replace(BETTER, value="Shorter.")),
        (replace(NO_WORSE, value="Shorter."), replace(NO_WORSE, value="Kinder."), CONTAINS),
    ],
)
@pytest.mark.parametrize("text", ["x", "no"])
def test_a_tie_decides_as_it_does_in_a_session(case_of, make_run, checks, won, text):
    case = case_of("a", checks=checks)
    before = scored(case, won, completion(text))
    run = against_itself(make_run([before]))
    assert told(run.results[0]) == told(live(case, completion(text)))
    assert against_itself(run) == run


def test_an_answer_of_several_is_decided_by_itself(case_of, make_run):
    case = case_of("a", checks=(CONTAINS, NO_WORSE), repeat=3)
    answers = [completion(text) for text in ("x", "no", "x")]
    run = against_itself(make_run([scored(case, 0.0, *answers)]))
    wanted = live(case, *answers)
    assert [told(each) for each in run.results[0].repeats] == [told(each) for each in wanted.repeats]
    assert told(run.results[0]) == told(wanted)


GROUPS = [
    Check(type=kind, checks=members, threshold=threshold)
    for kind, members, threshold in (
        *product(
            ("all-of", "any-of", "not-all-of", "not-any-of"),
            [(CONTAINS, BETTER), (CONTAINS, NO_WORSE), (BETTER, NO_WORSE)],
            [None],
        ),
        ("all-of", (replace(CONTAINS, weight=3.0), BETTER), 0.5),
        ("all-of", (CONTAINS, NO_WORSE), 0.5),
        ("all-of", (CONTAINS, Check(type="not-any-of", checks=(CONTAINS, BETTER))), None),
    )
]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("won", [0.0, 1.0])
@pytest.mark.parametrize("text", ["x", "no"])
def test_a_group_is_decided_anew_or_not_at_all(case_of, make_run, group, text, won):
    case = case_of("a", checks=(group,))
    (found,) = against_itself(make_run([scored(case, won, completion(text))])).results
    if found.outcome is Outcome.UNSCORED:
        reason = "with a tie is unknown: what its members said is not stored"
        assert (found.scores, found.unscored) == ((), (UnscoredMetric(metric=group.type, reason=reason),))
    else:
        assert told(found) == told(live(case, completion(text)))


@pytest.mark.parametrize(
    ("group", "text", "won", "outcome"),
    [
        (Check(type="all-of", checks=(CONTAINS, BETTER)), "x", 1.0, Outcome.FAILED),
        (Check(type="all-of", checks=(CONTAINS, NO_WORSE)), "x", 1.0, Outcome.PASSED),
        (Check(type="any-of", checks=(CONTAINS, NO_WORSE)), "no", 0.0, Outcome.PASSED),
        (Check(type="any-of", checks=(CONTAINS, BETTER)), "no", 0.0, Outcome.FAILED),
        (Check(type="not-any-of", checks=(CONTAINS, NO_WORSE)), "no", 0.0, Outcome.FAILED),
        # It lost, and whether the text has an x is not stored.
        (Check(type="all-of", checks=(CONTAINS, NO_WORSE)), "x", 0.0, Outcome.UNSCORED),
    ],
)
def test_what_a_group_s_score_tells_is_used(case_of, make_run, group, text, won, outcome):
    case = case_of("a", checks=(group,))
    (found,) = against_itself(make_run([scored(case, won, completion(text))])).results
    assert found.outcome is outcome


def test_a_group_without_pairs_and_one_with_them_are_told_apart(case_of, make_run):
    plain = Check(type="any-of", checks=(CONTAINS, Check(type="contains", value="y")))
    case = case_of("a", checks=(plain, Check(type="any-of", checks=(CONTAINS, NO_WORSE))))
    (found,) = against_itself(make_run([scored(case, 0.0, completion("y"))])).results
    assert told(found) == told(live(case, completion("y")))


def test_a_tie_needs_no_judge_so_none_has_broken_on_it(case_of, make_run):
    """A first run has no baseline: each of its pairs errored."""
    case = case_of("a", checks=(CONTAINS, NO_WORSE, INFORMS))
    (broken,) = score_cases([case], {case.key: completion("x")})
    assert broken.outcome is Outcome.ERRORED
    (found,) = against_itself(make_run([broken])).results
    assert (found.outcome, found.errors) == (Outcome.PASSED, ())
    assert told(found)[0] == told(live(case, completion("x")))[0]


def test_without_an_answer_a_tie_fails_too(case_of, make_run):
    case = case_of("a", checks=(NO_WORSE, Check(type="any-of", checks=(CONTAINS, NO_WORSE))))
    silent = completion("", reasoning="hm")
    (found,) = against_itself(make_run([scored(case, 1.0, silent)])).results
    assert told(found) == told(live(case, silent))
    assert found.outcome is Outcome.FAILED


def test_skipped_cases_and_answers_without_text_stay_as_they_are(case_of, make_run):
    case = case_of("a", checks=(BETTER,))
    textless = replace(scored(case, 1.0, completion("x")), completion=None)
    (skipped,) = score_cases([replace(case_of("b", checks=(BETTER,)), skip="later")], {})
    run = make_run([textless, skipped])
    assert against_itself(run) is run
    assert list(keep_results(run.results)) == ["s/a", "s/b"]


@pytest.mark.parametrize("threshold", [0.5, 0.6])
def test_an_equal_model_neither_regresses_nor_gains(case_of, make_run, threshold):
    """The stored run had won 80 of its pairs against an older model."""
    cases = [case_of(f"{n:03}", checks=(Check(type="pairwise", threshold=threshold),)) for n in range(100)]
    before = make_run([scored(case, float(n < 80), completion("x")) for n, case in enumerate(cases)])
    now = make_run([live(case, completion("x")) for case in cases], run_id="now")
    comparison, verdict = run_gate(now, against_itself(before))
    assert [row.drop.estimate for row in comparison.metrics] == [0.0, 0.0]
    assert verdict.outcome is not GateVerdict.REGRESS
    assert comparison.baseline_run == f"{before.id}-against-itself"


@pytest.fixture
def gated(case_of, make_run):
    """Makes a run of forty cases that won so much against another one."""

    def build(run_id, won, *checks):
        cases = [case_of(f"{n:03}", checks=checks or (INFORMS, CONTAINS)) for n in range(40)]
        gates = {"s": GateSettings(metric_margins={"pairwise": 0.1})}
        return make_run([scored(case, won, completion("x")) for case in cases], run_id=run_id, gates=gates)

    return build


def row_of(candidate, before):
    comparison, _ = run_gate(candidate, before)
    return next((row for row in comparison.metrics if row.metric == "pairwise"), None)


def test_a_run_that_was_compared_with_the_baseline_meets_its_ties(gated):
    before, now = gated("before", 1.0), gated("now", 0.4)
    tied = as_one_question(now, before, ("older", "before"))
    assert row_of(now, tied).drop.estimate == pytest.approx(0.1)
    assert as_one_question(now, tied, ("older", "before-against-itself")) == tied


def test_runs_that_were_compared_with_one_other_run_have_their_scores(gated):
    before, now = gated("before", 1.0), gated("now", 0.4)
    assert as_one_question(now, before, ("base", "base")) is before
    assert as_one_question(before, before, (None, None)) is before


@pytest.mark.parametrize("opponents", [("older", "base"), (None, "base"), ("older", None), (None, None)])
def test_the_answers_to_two_questions_are_not_compared(gated, opponents):
    before, now = gated("before", 1.0), gated("now", 0.4)
    other = as_one_question(now, before, opponents)
    assert row_of(now, other) is None
    named = "another run" if opponents[0] is None else "run older"
    assert f"(against the answers of {named})" in pair_runs(now, other).refused["pairwise"]
    assert other.id == "before-against-another"
    comparison, verdict = run_gate(now, other)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    assert [(row.metric, row.n) for row in comparison.metrics] == [("pass-rate", 40), ("contains", 40)]


@pytest.mark.parametrize(
    ("check", "cause"),
    [
        (BETTER, "decided by pairwise, which was different in the baseline"),
        (Check(type="any-of", checks=(BETTER, Check(type="contains", value="y"))), "unscored"),
    ],
)
def test_nor_are_cases_that_they_decide(gated, check, cause):
    """The baseline had won against its own baseline, the candidate not."""
    before, now = gated("before", 1.0, check), gated("now", 0.4, check)
    assert pair_runs(now, before).unpaired == {}
    other = as_one_question(now, before, ("older", "base"))
    assert set(pair_runs(now, other).unpaired.values()) == {cause}


def test_a_baseline_that_answered_in_the_session_has_met_itself(case_of, make_run, gated):
    """What its groups say follows from ties; what their members said can't be told from it any more."""
    group = Check(type="all-of", checks=(CONTAINS, NO_WORSE), threshold=0.5)
    case = case_of("a", checks=(group,))
    before = make_run([live(case, completion("no"))], run_id="base")
    assert as_one_question(gated("now", 0.4), before, (None, "base")) is before
    (broken,) = score_cases([case_of("a", checks=(NO_WORSE,))], {case.key: completion("x")})
    without = make_run([broken], run_id="base")
    assert as_one_question(gated("now", 0.4), without, (None, "base")).results[0].outcome is Outcome.PASSED


def test_runs_without_pairs_are_compared_as_they_are(make_run, make_result):
    runs = [make_run([make_result("s/a")], run_id=name) for name in ("now", "before")]
    assert as_one_question(*runs, (None, None)) is runs[1]


def test_the_record_says_with_whose_answers_a_run_was_compared(gated):
    before, now = gated("before", 1.0), gated("now", 0.4)
    comparison, verdict = run_gate(now, before)
    record = GateRecord(run=now, baseline=before, comparison=comparison, verdict=verdict)
    assert opponent_of(record) == "before"
    assert opponent_of(GateRecord(run=now)) is None
