"""A judge is trusted by kind: altogether, by question, by tag."""

from dataclasses import replace

import pytest

from harness.judge.calibration import Calibration, Measure
from harness.run.distrust import NOTHING, distrust_of
from harness.run.judging import describe_trust
from harness.types import Check, Interval

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
