"""Warnings say of cases without a verdict what is true of them: why there is none, and what that means."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.types import (
    CaseResult,
    Check,
    Finding,
    GateRecord,
    GateSettings,
    Outcome,
    Score,
    UnpairedFinding,
    UnscoredMetric,
)
from reports.html.banners import banners
from reports.html.first_screen import Banner

Invented = Callable[..., GateRecord]


def with_results(record: GateRecord, change: Callable[[CaseResult], CaseResult], side: str) -> GateRecord:
    run = getattr(record, side)
    return replace(record, **{side: replace(run, results=tuple(map(change, run.results)))})


def banner_of(record: GateRecord, ending: str) -> Banner:
    (found,) = (each for each in banners(record) if each.title.endswith(ending))
    return found


@pytest.mark.parametrize(
    ("also", "text"),
    [
        (0, "On the other side they have a verdict: a pass has to hold also if all of these were lost, "),
        (1, "1 of them have a verdict on the other side, the rest count for none: a pass has to hold "),
        (2, "Nor is there a verdict on the same case on the other side, so they count for none."),
    ],
)
def test_what_errored_on_one_side_is_not_said_to_count_for_none(
    invented: Invented, also: int, text: str
) -> None:
    """A pass counts it as lost and a regression as kept, as the lead of the page says."""
    record = invented(errored=2)
    broken = [each.key for each in record.run.results if each.outcome is Outcome.ERRORED][:also]

    def errored(result: CaseResult) -> CaseResult:
        return replace(result, outcome=Outcome.ERRORED) if result.key in broken else result

    record = with_results(record, errored, "baseline")
    assert banner_of(record, "2 cases errored in the candidate").text.startswith(text)
    if also:
        assert "count for none" in banner_of(record, "errored in the baseline").text


def test_a_gated_score_on_the_other_side_counts_as_a_verdict_does(invented: Invented) -> None:
    """Cases that only grade are unscored there; the gate counts each that errored here as lost."""

    def graded(result: CaseResult) -> CaseResult:
        return replace(result, outcome=Outcome.UNSCORED)

    record = with_results(invented(errored=2), graded, "baseline")
    assert "count for none" in banner_of(record, "errored in the candidate").text
    sets = tuple(
        replace(each, gate=GateSettings(metric_margins={"rouge-l": 0.05})) for each in record.run.golden_sets
    )
    found = banner_of(replace(record, run=replace(record.run, golden_sets=sets)), "errored in the candidate")
    assert found.text.startswith(
        "On the other side they have a verdict or a gated score: a pass has to hold also if all of these "
    )


def test_a_changed_case_has_no_verdict_on_the_other_side(invented: Invented) -> None:
    def changed(result: CaseResult) -> CaseResult:
        return replace(result, case=replace(result.case, references=("another one",)))

    record = with_results(invented(errored=2), changed, "baseline")
    assert "count for none" in banner_of(record, "errored in the candidate").text


def test_without_a_baseline_what_errored_has_no_verdict(invented: Invented) -> None:
    record = replace(invented(errored=1), baseline=None, comparison=None, verdict=None)
    assert banner_of(record, "errored in the candidate").text == "They have no verdict."


def left_open(result: CaseResult) -> CaseResult:
    """A case of which the judge gave its deciding check no verdict."""
    if result.outcome is not Outcome.UNSCORED:
        return result
    reason = UnscoredMetric(metric="llm-rubric", reason="the judge is unreliable for it")
    case = replace(result.case, checks=(Check(type="llm-rubric", value="Good.", threshold=0.5),))
    return replace(result, case=case, scores=(), unscored=(reason,))


def test_a_check_that_a_judge_left_open_needs_no_threshold(invented: Invented) -> None:
    """Who was told to give it one had given it one."""
    banner = banner_of(with_results(invented(unscored=2), left_open, "run"), "2 cases not scored")
    assert banner.text == "A check that decides was left without a verdict."
    assert all(item.endswith(": llm-rubric: the judge is unreliable for it") for item in banner.items)


def test_cases_without_a_deciding_check_are_told_from_those_that_were_left_open(invented: Invented) -> None:
    record = invented(unscored=3)
    assert banner_of(record, "3 cases not scored").text.startswith("None of their checks decides: give one")
    first = next(each.key for each in record.run.results if each.outcome is Outcome.UNSCORED)
    record = with_results(record, lambda each: left_open(each) if each.key == first else each, "run")
    assert banner_of(record, "3 cases not scored").text == (
        "Of 1 a check that decides was left without a verdict. "
        "None of the others' checks decides: give one a threshold."
    )


def test_a_case_whose_grade_is_gated_lacks_nothing(invented: Invented) -> None:
    record = invented(unscored=2)

    def graded(result: CaseResult) -> CaseResult:
        is_open = result.outcome is Outcome.UNSCORED
        return replace(result, scores=(Score(metric="rouge-l", value=0.5),)) if is_open else result

    record = with_results(record, graded, "run")
    assert any("not scored" in each.title for each in banners(record))
    sets = tuple(
        replace(each, gate=GateSettings(metric_margins={"rouge-l": 0.05})) for each in record.run.golden_sets
    )
    gated = replace(record, run=replace(record.run, golden_sets=sets))
    assert not any("not scored" in each.title for each in banners(gated))


def test_what_is_not_compared_has_its_own_reasons(invented: Invented) -> None:
    """Cases that both sides errored in, or that were taken out, were told as changed ones or one-sided."""
    record = invented(errored=2)
    assert record.verdict is not None
    unpaired = Finding(data=UnpairedFinding(causes={"errored": 2, "only in the baseline": 1}))
    verdict = replace(record.verdict, findings=(*record.verdict.findings, unpaired))
    banner = banner_of(replace(record, verdict=verdict), "not compared")
    assert banner.text == "Why: 2 errored, 1 only in the baseline."
