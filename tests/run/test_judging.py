"""Who judges is known before anything is asked; a stored run keeps its texts and ties with itself."""

import threading
from dataclasses import replace

import pytest

from harness.errors import SettingsError
from harness.judge.calibration import Calibration
from harness.run.distrust import Distrust
from harness.run.judging import (
    as_baseline,
    ask_ahead,
    asks_pairwise,
    count_lost,
    judged_checks,
    open_panel,
    preparing,
    refuse_distrusted,
    texts_of,
    trusted_with,
)
from harness.run.scoring import Judging
from harness.settings import Settings
from harness.types import Check, Completion, ExecutionPlan, GoldenSet, JudgeVerdict, Outcome, Repeat

UNRELIABLE = Calibration(judge="j", prompts={}, labelled={}, items=40, measures=(), reasons=("kappa 0.1",))


def test_without_a_judge_there_is_no_panel_and_nothing_is_asked_ahead(case_of):
    assert open_panel(Settings(), store=None) is None
    assert ask_ahead(Judging(), [case_of("a")])("candidate", {}) is None


def test_judged_checks_are_those_that_a_judge_decides(case_of):
    case = case_of("a", checks=(Check(type="contains", value="x"), Check(type="llm-rubric", value="Good.")))
    assert [check.type for check in judged_checks(case)] == ["llm-rubric"]


def test_an_unreliable_judge_is_trusted_with_nothing():
    with pytest.raises(SettingsError, match=r"UNRELIABLE: kappa 0\.1"):
        trusted_with("llm-rubric", UNRELIABLE, "j")
    assert trusted_with("llm-rubric", None, "j").startswith("not calibrated")


@pytest.mark.parametrize("check_type", ["llm-rubric", "not-llm-rubric"])
def test_what_a_distrusted_judge_would_decide_is_refused(case_of, check_type):
    case = case_of("a", checks=(Check(type=check_type, value="Good."),))
    golden_set = GoldenSet(name="s", path="s.yaml", cases=(case,))
    with pytest.raises(SettingsError, match="llm-rubric of s/a would be decided by it"):
        refuse_distrusted([golden_set], Distrust(questions={"rubric": "kappa 0.1"}), "j")
    refuse_distrusted([golden_set], Distrust(questions={"reference": "kappa 0.1"}), "j")


def test_a_stored_run_s_texts_are_by_answer_key(make_run, make_result):
    first, second = make_result("s/a"), make_result("s/b")
    answer = Repeat(completion=first.completion, outcome=Outcome.PASSED)
    other = replace(answer, completion=replace(first.completion, text="no"))
    twice = replace(first, case=replace(first.case, repeat=2), repeats=(answer, other))
    silent = replace(second, completion=None)
    assert texts_of(make_run([twice, silent])) == {"s/a": "yes", "s/a#2": "no"}


def test_answers_beyond_those_of_a_stored_run_have_a_counterpart_in_it(make_run, make_result):
    """With ``repeat`` added since, "there is no baseline's answer" was said of one that had answered."""
    first, second, silent = (make_result(f"s/{name}") for name in "abc")
    answers = [
        Repeat(completion=replace(first.completion, text=text), outcome=Outcome.PASSED) for text in "xy"
    ]
    twice = replace(second, case=replace(second.case, repeat=2), repeats=tuple(answers))
    run = make_run([first, twice, replace(silent, completion=None)])
    asked = [replace(each.case, repeat=3) for each in (first, second, silent)]
    assert texts_of(run, asked) == {
        "s/a": "yes",
        "s/a#2": "yes",
        "s/a#3": "yes",
        "s/b": "x",
        "s/b#2": "y",
        "s/b#3": "x",
    }
    assert texts_of(run, [first.case, second.case]) == texts_of(run)


def test_as_a_baseline_a_run_s_pairs_are_ties(make_run, make_result):
    result = make_result("s/a", scores=[("pairwise", 1.0), ("contains", 1.0)])
    checks = (Check(type="pairwise"), Check(type="contains", value="y"))
    run = make_run([replace(result, case=replace(result.case, checks=checks))])
    (tied,) = as_baseline(run).results
    assert {score.metric: score.value for score in tied.scores} == {"pairwise": 0.5, "contains": 1.0}
    assert as_baseline(plain := make_run([make_result("s/a")])) is plain
    assert [asks_pairwise(each.case) for each in (tied, plain.results[0])] == [True, False]


class OverlappingPanel:
    """A panel that replies when it is told to."""

    overlaps = True

    def __init__(self):
        self.replies, self.asked = {}, []

    def start(self, requests):
        self.asked += [request.answers for request in requests]

    def verdict_so_far(self, request):
        value = self.replies.get(request.answers[0])
        return value and JudgeVerdict(
            passed=value == 1, value=value, reason="", judge_model="j", prompt_version="1", raw_reply=""
        )


def completion(text):
    return Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)


def test_a_case_with_a_judge_is_lost_once_the_judge_has_replied(case_of):
    judged = (Check(type="llm-rubric", value="Good."), Check(type="contains", value="x"))
    cases = [case_of("a", checks=judged), case_of("b", checks=(Check(type="contains", value="x"),))]
    panel, told = OverlappingPanel(), []
    count = count_lost(cases, None, told.append, Judging(panel=panel))
    count("baseline", {"s/a": completion("x good"), "s/b": completion("x")})
    count("candidate", {"s/a": completion("x bad")})
    assert told == []
    panel.replies = {"x good": 1.0, "x bad": 0.25}
    count("candidate", {"s/b": completion("x")})
    assert told == [1]
    count("candidate", {})
    assert told == [1]


def test_without_a_judge_that_answers_meanwhile_judged_cases_are_not_counted(case_of):
    told = []
    panel = OverlappingPanel()
    panel.overlaps = False
    count = count_lost(
        [case_of("a", checks=(Check(type="llm-rubric", value="x"),))], None, told.append, Judging(panel=panel)
    )
    count("baseline", {"s/a": completion("x")})
    count("candidate", {"s/a": completion("y")})
    assert told == []


@pytest.mark.parametrize("changed", [False, True])
def test_a_case_that_was_changed_since_a_stored_run_is_not_lost(case_of, make_run, make_result, changed):
    case, told = case_of("a", checks=(Check(type="contains", value="x"),)), []
    before = replace(make_result("s/a"), case=replace(case, references=("x",)) if changed else case)
    count_lost([case], make_run([before]), told.append)("candidate", {"s/a": completion("y")})
    assert told == ([] if changed else [1])


def test_a_judge_is_asked_ahead_about_the_answer_without_its_reasoning(case_of):
    """As scoring asks it: else each answer is judged twice."""
    cases = [case_of("a", checks=(Check(type="llm-rubric", value="Good."), Check(type="pairwise")))]
    panel = OverlappingPanel()
    ask = ask_ahead(Judging(panel=panel), cases)
    ask("baseline", {"s/a": completion("<think>hm</think>before")})
    ask("candidate", {"s/a": completion("<think>so</think>now"), "s/other": completion("not asked")})
    shown = {text for answers in panel.asked for text in answers}
    assert shown == {"before", "now"}


PLAN = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)


class PreparedPanel:
    """A panel that notes when it is prepared."""

    def __init__(self, *, overlaps):
        self.overlaps, self.done = overlaps, threading.Event()

    def prepare(self):
        self.done.set()
        raise ImportError("whoever needs it tells it")


def judged(case_of):
    return [case_of("a", checks=(Check(type="llm-rubric", value="It is polite."),))]


def test_judging_is_prepared_once_the_models_are_open(case_of):
    panel = PreparedPanel(overlaps=True)
    opened = preparing(lambda sides, plan: "engine", Judging(panel=panel), judged(case_of))
    assert not panel.done.is_set()
    assert opened({}, PLAN) == "engine"
    assert panel.done.wait(5)


@pytest.mark.parametrize("overlaps", [True, False])
def test_nothing_is_prepared_for_a_judge_here_or_without_judged_checks(case_of, overlaps):
    panel = PreparedPanel(overlaps=overlaps)
    cases = [case_of("a", checks=(Check(type="contains", value="a"),))] if overlaps else judged(case_of)

    def opens(sides, plan):
        return "engine"

    assert preparing(opens, Judging(panel=panel), cases) is opens


def test_a_session_without_a_judge_opens_its_models_as_they_are(case_of):
    assert preparing(len, Judging(), judged(case_of)) is len
