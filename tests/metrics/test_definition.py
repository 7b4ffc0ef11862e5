"""A metric's result is a score on its scale, or an error: never something that can't be counted."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from importlib import metadata

import numpy
import pytest

from harness.metrics.definition import binary, graded, one_by_one, sound_results
from harness.registry import Metric, Registry, use_registry
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, MetricError, Outcome, Score


@pytest.fixture
def registered(monkeypatch):
    """Registers a metric ``own`` with a function and further fields."""
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    before = use_registry(None)

    def register(function, **fields):
        registry = Registry()
        given = {"kind": "graded", **fields}
        metric = Metric(name="own", summary="One's own.", function=function, **given)
        registry.register("test", lambda registrar: registrar.add(metric))
        use_registry(registry)
        return metric

    yield register
    use_registry(before)


def score_own(*texts, threshold=0.5):
    check = Check(type="own", threshold=threshold)
    cases = [GoldenCase(id=f"c{n}", set_name="s", messages=(), checks=(check,)) for n in range(len(texts))]
    answers = {
        case.key: Completion(
            text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
        )
        for case, text in zip(cases, texts, strict=True)
    }
    return score_cases(cases, answers)


def test_a_plug_in_s_metric_scores_and_decides(registered):
    registered(one_by_one(lambda request: graded(request, len(request.text) / 10, "counted")))
    short, long = score_own("one", "sixteen!")
    assert (short.outcome, long.outcome) == (Outcome.FAILED, Outcome.PASSED)
    assert long.scores == (Score(metric="own", value=0.8, threshold=0.5, passed=True, explanation="counted"),)


def test_where_lower_is_better_the_threshold_is_the_greatest_value(registered):
    registered(
        one_by_one(lambda request: graded(request, len(request.text) / 10, "")), higher_is_better=False
    )
    assert [result.outcome for result in score_own("one", "sixteen!")] == [Outcome.PASSED, Outcome.FAILED]


async def asynchronous(requests):
    return []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", [Fraction(3, 4), Decimal("0.75"), numpy.float32(0.75), 1, True])
def test_another_library_s_number_is_stored_as_one(registered, number):
    registered(one_by_one(lambda request: graded(request, number, "")))
    (score,) = score_own("x")[0].scores
    assert type(score.value) is float
    assert score.value == number


@pytest.mark.parametrize(
    ("function", "fields", "told"),
    [
        (
            lambda requests: [1.0 for _ in requests],
            {},
            "the metric gave a float (allowed: a Score or a MetricError)",
        ),
        (lambda requests: [], {}, "the metric gave 0 results for 1 answers"),
        (
            lambda requests: None,
            {},
            "the metric gave nothing (allowed: a list with a result for each answer)",
        ),
        (
            lambda requests: {"a": 1},
            {},
            "the metric gave a dict (allowed: a list with a result for each answer)",
        ),
        (lambda requests: [None], {}, "the metric gave nothing (allowed: a Score or a MetricError)"),
        (asynchronous, {}, "the metric's function is async (allowed: one that returns its results)"),
        (one_by_one(lambda r: graded(r, 1.5, "")), {}, "the metric gave 1.5 (allowed: 1 or less)"),
        (one_by_one(lambda r: graded(r, -1, "")), {}, "the metric gave -1 (allowed: 0 or more)"),
        (
            one_by_one(lambda r: graded(r, 2e-9, "")),
            {"maximum": 1e-9},
            "the metric gave 2e-09 (allowed: 1e-09 or less)",
        ),
        (one_by_one(lambda r: graded(r, float("nan"), "")), {}, "the metric gave nan instead of a number."),
        (
            one_by_one(lambda r: graded(r, 0.5, "")),
            {"kind": "binary"},
            "the metric gave 0.5 (allowed: 0 or 1)",
        ),
        (
            one_by_one(lambda r: graded(r, 0.0, "")),
            {"logarithmic": True, "maximum": None},
            "the metric gave 0 (allowed: a number above 0, since runs are compared by its logarithm)",
        ),
        (
            lambda requests: [Score(metric="f1", value=0.5) for _ in requests],
            {},
            "the metric gave a score of 'f1' (allowed: of 'own')",
        ),
        *(
            (
                one_by_one(lambda r, value=value: graded(r, value, "")),
                {"minimum": None, "maximum": None},
                "the metric gave a number beyond 1e+100, the largest that is compared",
            )
            for value in (1e101, -1e300, 10**400)
        ),
        ("nowhere:own", {}, None),
    ],
)
def test_what_can_not_be_counted_is_an_error(registered, function, fields, told):
    from harness.errors import SettingsError

    registered(function, **fields)
    threshold = None if fields.get("kind") == "binary" else 0.5
    if told is None:
        with pytest.raises(SettingsError, match="metric 'own': nowhere:own can't be imported"):
            score_own("x")
        return
    (result,) = score_own("x", threshold=threshold)
    assert result.outcome is Outcome.ERRORED
    assert [error.error.strip() for error in result.errors] == [told]


def test_an_open_scale_has_no_limits(registered):
    for value in (-400.0, 1e100):
        registered(one_by_one(lambda r, value=value: graded(r, value, "")), minimum=None, maximum=None)
        assert score_own("x")[0].scores[0].value == value


def test_a_wrong_number_of_results_blames_no_answer_that_can_be_scored(registered):
    """Asked one by one, each answer has its result."""
    registered(lambda requests: [graded(requests[0], 1.0, "")])
    assert [result.outcome for result in score_own("a", "b", "c")] == [Outcome.PASSED] * 3


def test_errors_are_kept_as_they_are(registered, request_for):
    request = replace(request_for("equals", "x", "x"))
    error = MetricError(metric="equals", error="no")
    assert sound_results([request], [error]) == [error]
    assert sound_results([request], [binary(request, True, "")])[0].value == 1.0


def test_a_function_can_not_sort_the_answers_it_scores(registered):
    """Scores are matched with answers by their order: sorting in place would mix them up."""

    def longest_first(requests):
        requests.sort(key=lambda request: -len(request.text))
        return [graded(request, len(request.text) / 10, "") for request in requests]

    registered(longest_first)
    assert {result.outcome for result in score_own("one", "sixteen!")} == {Outcome.ERRORED}


@pytest.mark.parametrize("explanation", [None, 5, ["a"]])
def test_an_explanation_is_a_text(registered, explanation):
    registered(one_by_one(lambda request: graded(request, 0.7, explanation)))
    (result,) = score_own("one")
    assert "as explanation (allowed: a text)" in result.errors[0].error


def test_the_reason_of_an_error_is_a_text(registered):
    registered(one_by_one(lambda request: MetricError(metric="own", error=KeyError("x"))))
    (result,) = score_own("one")
    assert result.errors[0].error == "'x'"
