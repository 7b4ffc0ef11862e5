"""Time, tokens and price of an answer."""

import pytest

from harness.run.scoring import score_cases
from harness.types import CaseResult, Check, Completion, GoldenCase, Outcome


def run(check: Check, seconds: float = 0.25, tokens: int = 30, prompt: int = 1000) -> CaseResult:
    case = GoldenCase(id="a", set_name="s", messages=(), checks=(check,))
    answer = Completion(
        text="x" if tokens else "",
        stop_reason="stop",
        prompt_tokens=prompt,
        completion_tokens=tokens,
        latency_s=seconds,
    )
    return score_cases([case], {case.key: answer})[0]


@pytest.mark.parametrize(
    ("check", "value", "passed"),
    [
        (Check(type="latency"), 250, None),
        (Check(type="latency", threshold=250), 250, True),
        (Check(type="latency", threshold=249), 250, False),
        (Check(type="tokens", threshold=30), 30, True),
        (Check(type="tokens", threshold=29), 30, False),
        (
            Check(type="cost", threshold=0.001, options={"prompt_price": 0.5, "completion_price": 2.0}),
            0.00056,
            True,
        ),
        (Check(type="cost", threshold=0.0005, options={"completion_price": 20.0}), 0.0006, False),
    ],
)
def test_the_least_is_best(check, value, passed):
    (score,) = run(check).scores
    assert score.value == pytest.approx(value)
    assert score.passed is passed


@pytest.mark.parametrize(
    ("tokens", "rate", "passed"), [(30, 120.0, True), (10, 40.0, False), (0, 4.0, False)]
)
def test_throughput_is_tokens_a_second(tokens, rate, passed):
    """An empty answer is one token, its end."""
    (score,) = run(Check(type="throughput", threshold=100), tokens=tokens).scores
    assert score.value == pytest.approx(rate)
    assert score.passed is passed


@pytest.mark.parametrize("metric", ["latency", "throughput"])
def test_no_time_is_an_error(metric):
    result = run(Check(type=metric, threshold=100), seconds=0.0)
    assert result.outcome is Outcome.ERRORED
    assert result.errors[0].error == "the engine measured no time for this answer"


def test_no_tokens_are_a_number():
    assert run(Check(type="tokens"), tokens=0).scores[0].value == 0


def test_they_need_an_answer_of_a_model(request_for):
    from harness.metrics.usage import latency

    with pytest.raises(ValueError, match="needs an answer of a model"):
        latency([request_for("latency", "text")])


@pytest.mark.parametrize(
    ("check", "tokens", "prompt", "error"),
    [
        (Check(type="tokens", threshold=30), -1, 1000, "of this answer"),
        (Check(type="throughput", threshold=30), -1, 1000, "of this answer"),
        (Check(type="cost", threshold=1, options={"completion_price": 1.0}), -1, 1000, "of this answer"),
        (Check(type="cost", threshold=1, options={"prompt_price": 1.0}), 30, 0, "of the prompt"),
    ],
)
def test_tokens_that_nothing_counted_are_an_error(check, tokens, prompt, error):
    result = run(check, tokens=tokens, prompt=prompt)
    assert result.outcome is Outcome.ERRORED
    assert result.errors[0].error == f"the engine counted no tokens {error}: its server reports no usage"


@pytest.mark.parametrize("check", [Check(type="tokens"), Check(type="throughput"), Check(type="cost", options={"completion_price": 1.0})])  # fmt: skip
def test_an_answer_of_a_server_without_usage_costs_no_nothing(check):
    case = GoldenCase(id="a", set_name="s", messages=(), checks=(check,))
    answer = Completion(text="Paris", stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0.1)
    assert score_cases([case], {case.key: answer})[0].outcome is Outcome.ERRORED


def test_a_price_of_answers_needs_no_tokens_of_prompts():
    (score,) = run(Check(type="cost", options={"completion_price": 1.0}), prompt=0).scores
    assert score.value == pytest.approx(30e-6)
