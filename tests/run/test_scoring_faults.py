"""What goes wrong while answers are scored: errors, never scores."""

import math
import traceback
from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.errors import ModelError
from harness.metrics.definition import ScoringRequest, graded
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.run.distrust import Distrust
from harness.run.scoring import Judging, score_cases
from harness.types import (
    Check,
    MetricError,
    Outcome,
    Score,
)
from tests.run.answers_to_score import EQUALS, answer, length_metric, make_case, score_one


def test_a_case_without_an_answer_is_an_error() -> None:
    (result,) = score_cases([make_case("one", EQUALS)], {})

    assert result.outcome is Outcome.ERRORED
    assert result.errors[0].metric == "generation"


def test_why_there_is_no_answer_is_told() -> None:
    cases = [make_case("one", EQUALS), make_case("two", EQUALS)]
    one, two = score_cases(cases, {}, failures={"set/one": "the prompt is longer than the context"})

    assert [error.error for error in one.errors] == ["the prompt is longer than the context"]
    assert [error.error for error in two.errors] == ["no answer was generated for this case"]
    assert one.completion is two.completion is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ModelError("not fetched"), "not fetched"),
        (ValueError("bad value\nsecond line"), "bad value"),
        (KeyError(), "KeyError"),
        (RuntimeError("broke\nsecond line"), "RuntimeError: broke"),
        (ImportError("no such name"), "no such name"),
        (SystemExit(3), "SystemExit: 3"),
        (pytest.skip.Exception("not here"), "Skipped: not here"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_one_line_and_keeps_its_traceback(
    replace_metric, error: BaseException, line: str
) -> None:
    """f1 needs no library, so a missing one comes with no installation of ours."""

    def broken(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        raise error

    replace_metric("f1", broken)
    (found,) = score_one("x", Check(type="f1")).errors

    assert (found.metric, found.error) == ("f1", line)
    assert found.traceback == "".join(traceback.format_exception(error))


def test_an_interrupt_is_no_error_of_a_case(replace_metric) -> None:
    def stopped(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        raise KeyboardInterrupt

    replace_metric("f1", stopped)
    with pytest.raises(KeyboardInterrupt):
        score_one("x", Check(type="f1"))


def test_an_error_has_its_check_s_own_name(replace_metric) -> None:
    replace_metric("equals", lambda requests: [MetricError(metric="equals", error="broke") for _ in requests])
    (found,) = score_one("x", Check(type="not-equals", value="y")).errors

    assert (found.metric, found.error) == ("not-equals", "broke")


@pytest.mark.parametrize(("value", "passed"), [(0.2, True), (0.2 + 1e-12, True), (0.2 + 1e-6, False)])
def test_rounding_noise_does_not_fail_a_value_that_equals_its_maximum(
    replace_metric, value: float, passed: bool
) -> None:
    replace_metric("repetition", lambda requests: [graded(r, value, "") for r in requests])

    assert score_one("x", Check(type="repetition", threshold=0.2)).scores[0].passed is passed


@pytest.mark.parametrize("unit", [1e-30, 1e-10, 1.0, 1e8])
@pytest.mark.parametrize(
    ("name", "maximum", "passing", "failing"),
    [
        ("latency", None, (3.0, 3.0 + 1e-10), (3.001,)),
        ("f1", 4.0, (3.0, 3.0 - 1e-10), (2.999,)),
        ("repetition", 4.0, (3.0, 3.0 + 1e-10), (3.001,)),
    ],
)
def test_a_threshold_decides_in_any_unit(replace_metric, monkeypatch, unit, name, maximum, passing, failing):
    """At 1e-10 any value passed a maximum of 3e-10: a difference below a billionth was no difference."""
    top = maximum and maximum * unit
    monkeypatch.setitem(BUILTIN_METRICS, name, replace(BUILTIN_METRICS[name], maximum=top))
    for value, passed in [*((each, True) for each in passing), *((each, False) for each in failing)]:
        replace_metric(name, lambda requests, value=value: [graded(r, value * unit, "") for r in requests])
        (score,) = score_one("x", Check(type=name, threshold=3.0 * unit)).scores
        assert score.passed is passed


def test_a_cost_of_nothing_is_distinguished_from_a_small_one(replace_metric):
    """A cosine of -1e-17 is rounding below a threshold of 0; where a scale has no end, nothing below 0 is."""
    for name, value, passed in (("latency", 3e-10, False), ("latency", 0.0, True), ("similar", -1e-17, True)):
        replace_metric(name, lambda requests, value=value: [graded(r, value, "") for r in requests])
        check = Check(type=name, threshold=0.0)
        assert score_one("x", check, references=("x",)).scores[0].passed is passed


def test_a_reasoning_that_the_prompt_began_is_taken_apart_too() -> None:
    """The template wrote the opening tag, so the answer begins in the midst of the reasoning."""
    case = make_case("case", Check(type="equals", value="Paris"))
    given = replace(answer("hm</think>Paris"), prompt="Capital?<think>\n")
    (result,) = score_cases([case], {case.key: given})

    assert result.completion is not None
    assert (result.completion.text, result.completion.reasoning) == ("Paris", "hm")
    assert result.outcome is Outcome.PASSED


def test_what_cut_the_answer_off_is_told() -> None:
    case = make_case("case", EQUALS)
    for stop_reason, cut in (("length", "the token limit cut the reasoning"), ("stop", "reasoning only")):
        given = replace(answer("<think>hm"), stop_reason=stop_reason)
        (result,) = score_cases([case], {case.key: given})
        assert [score.explanation for score in result.scores] == [f"no answer: {cut}"]


def test_an_error_outweighs_passes_and_failures() -> None:
    result = score_one("yes", EQUALS, Check(type="json-equals"), references=("not json",))

    assert result.outcome is Outcome.ERRORED
    assert [score.metric for score in result.scores] == ["equals"]
    assert result.errors[0].metric == "json-equals"
    assert "\n" not in result.errors[0].error
    assert "Traceback" in result.errors[0].traceback


def test_one_bad_case_does_not_err_the_others(replace_metric) -> None:
    batches = []

    def brittle(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        batches.append(len(requests))
        if any(request.text == "bad" for request in requests):
            raise RuntimeError("no bad\nsecond line")
        return length_metric(requests)

    replace_metric("similar", brittle)
    cases = [make_case(str(n), Check(type="similar"), references=("r",)) for n in range(64)]
    texts = {case.key: answer("bad" if case.id == "37" else "good") for case in cases}
    results = score_cases(cases, texts)

    assert [result.case.id for result in results if result.errors] == ["37"]
    assert results[37].errors[0].error == "RuntimeError: no bad"
    assert all(result.scores[0].value == 0.4 for result in results if result.case.id != "37")
    assert len(batches) < 20  # halved, so that the good ones stay batched


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_finite_number_is_an_error_and_never_a_score(replace_metric, value: float) -> None:
    replace_metric("f1", lambda requests: [graded(request, value, "broke") for request in requests])
    result = score_one("x", Check(type="f1", threshold=0.5))

    assert result.scores == ()
    assert result.outcome is Outcome.ERRORED
    assert str(value) in result.errors[0].error


def test_a_missing_library_names_the_installation_that_brings_it(replace_metric) -> None:
    calls = []

    def missing(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        calls.append(len(requests))
        raise ModuleNotFoundError("No module named 'rouge_score'")

    replace_metric("rouge-l", missing)
    cases = [make_case(str(n), Check(type="rouge-l"), references=("r",)) for n in range(8)]
    results = score_cases(cases, {case.key: answer("x") for case in cases})

    assert calls == [8]
    assert {result.errors[0].error for result in results} == {
        "No module named 'rouge_score'. Install its libraries with: pip install 'tunegate[metrics]'"
    }


def test_an_error_that_the_user_can_mend_is_told_in_its_own_words(replace_metric) -> None:
    def unavailable(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        raise ModelError("minilm isn't fetched yet")

    replace_metric("similar", unavailable)

    assert score_one("x", Check(type="similar")).errors[0].error == "minilm isn't fetched yet"


def test_a_metric_that_loses_a_result_is_errored(replace_metric) -> None:
    """Results that can't be matched to answers are never handed on as scores."""
    replace_metric("f1", lambda requests: [])
    result = score_one("x", Check(type="f1"))
    assert result.outcome is Outcome.ERRORED
    assert result.errors[0].error == "the metric gave 0 results for 1 answers"


@pytest.mark.parametrize("text", ["yes", "no"])
def test_a_check_without_a_score_is_not_decided_by_another_one_of_its_type(text: str) -> None:
    groups = [Check(type="all-of", checks=(each,)) for each in (EQUALS, Check(type="llm-rubric", value="x"))]
    case = make_case("case", *groups, references=("r",))
    (result,) = score_cases(
        [case], {case.key: answer(text)}, judging=Judging(distrust=Distrust(everything="kappa 0.1"))
    )
    assert [score.metric for score in result.scores] == ["all-of"]
    assert result.outcome is Outcome.UNSCORED
