"""A judge is trusted by kind: altogether, by question, by tag."""

from dataclasses import replace

import pytest

from harness.judge.calibration import Calibration, Measure
from harness.run.distrust import NOTHING, distrust_of
from harness.run.judging import describe_trust
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GenerationSettings, Interval, Outcome, TextLoss, Turn

RUBRIC = Check(type="llm-rubric", value="Good.")
LOW = Interval(estimate=0.1, low=-0.1, high=0.3, confidence=0.9, method="made")


def calibration(**changes):
    return Calibration(
        **{"judge": "j", "prompts": {}, "labelled": {}, "items": 40, "measures": (), **changes}
    )


def test_without_a_calibration_nothing_is_known_against_it(case_of):
    assert distrust_of(None) == NOTHING
    assert NOTHING.reason(case_of("a", checks=(RUBRIC,)), RUBRIC) == ""


def test_an_unreliable_judge_is_trusted_with_no_check_that_it_decides(case_of):
    distrust = distrust_of(calibration(reasons=("kappa 0.1",)))
    contains = Check(type="contains", value="x")
    case = case_of("a", checks=(RUBRIC, contains))
    assert distrust.reason(case, RUBRIC) == "kappa 0.1"
    assert distrust.reason(case, contains) == ""


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (("legal",), "agreement kappa of items with the tag legal 0.10 [-0.10, 0.30]"),
        (("support", "legal"), "agreement kappa of items with the tag legal 0.10 [-0.10, 0.30]"),
        (("support",), ""),
        ((), ""),
    ],
)
def test_a_judge_may_be_trusted_on_some_kinds_of_cases_only(case_of, tags, reason):
    distrust = distrust_of(calibration(by_tag={"legal": LOW, "support": None}, distrusted_tags=("legal",)))
    case = case_of("a", checks=(RUBRIC,), tags=tags)
    assert distrust.reason(case, RUBRIC) == reason


def test_the_terminal_says_which_kind_is_not_trusted(case_of):
    found = calibration(by_tag={"legal": LOW}, distrusted_tags=("legal",))
    told = describe_trust(found, distrust_of(found), [case_of("a", checks=(RUBRIC,), tags=("legal",))])
    assert told == (
        "unscored, because the judge is unreliable: llm-rubric "
        "(agreement kappa of items with the tag legal 0.10 [-0.10, 0.30])"
    )


def test_the_terminal_says_that_a_wording_was_not_calibrated(case_of):
    kappa = replace(LOW, estimate=0.9, low=0.8, high=1.0)
    measures = (Measure(name="agreement kappa", n=40, interval=kappa, needs="", reached=True),)
    found = calibration(measures=measures, by_task={"rubric": kappa})
    own = Check(
        type="llm-rubric",
        value="x",
        options={"template": "a/strict.md", "sha256": "0" * 64},
        file="/a/strict.md",
    )
    told = describe_trust(found, distrust_of(found), [case_of("a", checks=(own, RUBRIC))])
    assert (
        told
        == "calibrated on 40 items, kappa 0.90 [0.80, 1.00], but not on items of rubric by strict@000000000000"
    )


def said(text, stop_reason="length", **fields):
    return Completion(
        text=text, stop_reason=stop_reason, prompt_tokens=1, completion_tokens=1, latency_s=0.1, **fields
    )


CUT = "has no answer to read: the token limit cut the reasoning"


@pytest.mark.parametrize(
    ("stop_reason", "reason"), [("length", CUT), ("stop", "has no answer to read: reasoning only")]
)
def test_a_probe_that_was_reasoned_of_and_not_answered_is_left_open(case_of, stop_reason, reason):
    """Neither kept nor lost, whatever an empty text passes; in any other set it fails."""
    checks = (Check(type="contains", value="Paris"), Check(type="not-contains", value="{"))
    probe = case_of("a", checks=checks, probes_forgetting=True)
    (result,) = score_cases([probe], {probe.key: said("<think>hm", stop_reason)})
    assert (result.outcome, result.scores, result.errors) == (Outcome.UNSCORED, (), ())
    assert {each.metric: each.reason for each in result.unscored} == {
        "contains": reason,
        "not-contains": reason,
    }
    task = replace(probe, probes_forgetting=False)
    (result,) = score_cases([task], {task.key: said("<think>hm", stop_reason)})
    assert (result.outcome, result.unscored) == (Outcome.FAILED, ())


def test_a_probe_that_was_answered_counts_as_ever(case_of):
    """So does an empty answer without a reasoning: a model that lost its tongue has lost a skill."""
    probe = case_of("a", checks=(Check(type="contains", value="Paris"),), probes_forgetting=True)
    for text, outcome in (
        ("<think>hm</think>Paris", Outcome.PASSED),
        ("<think>hm</think>Rome", Outcome.FAILED),
        ("", Outcome.FAILED),
    ):
        (result,) = score_cases([probe], {probe.key: said(text)})
        assert (result.outcome, result.unscored) == (outcome, ())


def test_what_reads_no_answer_keeps_its_score_in_an_open_probe(case_of):
    checks = (Check(type="contains", value="Paris"), Check(type="tokens"), Check(type="perplexity"))
    probe = case_of("a", checks=checks, references=("Paris",), probes_forgetting=True)
    losses = {probe.key: (TextLoss(passage="", nats_per_token=1.0, tokens=3),)}
    (result,) = score_cases([probe], {probe.key: said("<think>hm")}, reference_losses=losses)
    assert result.outcome is Outcome.UNSCORED
    assert {score.metric for score in result.scores} == {"tokens", "perplexity"}
    decided = replace(probe, checks=(Check(type="perplexity", threshold=10),))
    (result,) = score_cases([decided], {probe.key: said("<think>hm")}, reference_losses=losses)
    assert (result.outcome, result.unscored) == (Outcome.PASSED, ())


def test_a_group_of_an_open_probe_has_no_score(case_of):
    group = Check(
        type="any-of", checks=(Check(type="contains", value="x"), Check(type="not-contains", value="y"))
    )
    probe = case_of("a", checks=(group,), probes_forgetting=True)
    (result,) = score_cases([probe], {probe.key: said("<think>hm")})
    assert (result.outcome, result.scores) == (Outcome.UNSCORED, ())
    assert [each.metric for each in result.unscored] == ["contains", "not-contains"]


def test_one_open_answer_of_several_leaves_the_probe_open_and_says_why(case_of):
    probe = case_of(
        "a",
        checks=(Check(type="contains", value="Paris"),),
        generation=GenerationSettings(temperature=1.0),
        repeat=2,
        probes_forgetting=True,
    )
    (result,) = score_cases([probe], {"s/a": said("Paris"), "s/a#2": said("<think>hm")})
    assert [each.outcome for each in result.repeats] == [Outcome.PASSED, Outcome.UNSCORED]
    assert result.outcome is Outcome.UNSCORED
    assert [each.reason for each in result.unscored] == [CUT]


def test_a_turn_without_an_answer_leaves_the_whole_probe_open(case_of):
    """What is said behind it answers another conversation."""
    turns = (Turn(content="one"), Turn(content="two"))
    check = Check(type="contains", value="Paris")
    probe = case_of("a", checks=(check,), turns=turns, probes_forgetting=True)
    whole = replace(said("Paris"), earlier=(said("<think>hm"),))
    (result,) = score_cases([probe], {probe.key: whole})
    assert result.outcome is Outcome.UNSCORED
    assert [each.reason for each in result.unscored] == [CUT]
