"""Cases of several turns: each check sees the answer of its turn, and what was said before it."""

from dataclasses import replace

import pytest

from harness.metrics.definition import one_by_one
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, Message, Outcome, Score
from harness.types.golden import Turn

TURNS = (
    Turn(content="first", references=("one",)),
    Turn(content="second", references=("two",)),
    Turn(content="third", references=("three",)),
)


def case_with(*checks: Check, **changes) -> GoldenCase:
    case = GoldenCase(
        id="a",
        set_name="s",
        messages=(Message(role="user", content="first"),),
        turns=TURNS,
        references=("three",),
        checks=checks,
    )
    return replace(case, **changes)


def said(text: str, **changes) -> Completion:
    answer = Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.5)
    return replace(answer, **changes)


def answers(*texts: str, **changes) -> Completion:
    *earlier, last = (said(text) for text in texts)
    return replace(last, earlier=tuple(earlier), **changes)


def only(case: GoldenCase, completion: Completion):
    (result,) = score_cases([case], {case.key: completion})
    return result


@pytest.fixture
def requests(replace_metric):
    """What the metric rouge-l is asked, in order."""
    seen = []

    def score(request):
        seen.append(request)
        return Score(metric="rouge-l", value=1.0)

    replace_metric("rouge-l", one_by_one(score))
    return seen


@pytest.mark.parametrize(
    ("turn", "text", "references", "before"),
    [
        (1, "ONE", ("one",), ["first"]),
        (2, "TWO", ("two",), ["first", "ONE", "second"]),
        (3, "THREE", ("three",), ["first", "ONE", "second", "TWO", "third"]),
        (None, "THREE", ("three",), ["first", "ONE", "second", "TWO", "third"]),
    ],
)
def test_a_check_sees_its_turn(requests, turn, text, references, before):
    only(case_with(Check(type="rouge-l", turn=turn)), answers("ONE", "TWO", "THREE"))
    (request,) = requests
    assert request.text == text
    assert request.completion.text == text
    assert request.case.references == references
    assert [message.content for message in request.case.messages] == before
    assert request.case.id == "a"


def test_a_check_without_a_turn_has_the_case_s_own_references(requests):
    only(case_with(Check(type="rouge-l"), references=("of the case",)), answers("ONE", "TWO", "THREE"))
    assert requests[0].case.references == ("of the case",)


def test_reasoning_is_taken_out_of_every_turn(requests):
    """The prompt of the second turn has opened the tag."""
    completion = replace(
        said("<think>c</think>THREE"),
        earlier=(said("<think>a</think>ONE"), said("b</think>TWO", prompt="x<think>\n")),
    )
    only(case_with(*(Check(type="rouge-l", turn=turn) for turn in (1, 2, 3))), completion)
    assert [request.text for request in requests] == ["ONE", "TWO", "THREE"]
    assert [message.content for message in requests[2].case.messages][1::2] == ["ONE", "TWO"]


def test_reasoning_stays_in_every_turn_where_that_is_asked_for(requests):
    case = case_with(Check(type="rouge-l", turn=1))
    case = replace(case, generation=replace(case.generation, score_reasoning=True))
    only(case, replace(said("THREE"), earlier=(said("<think>a</think>ONE"), said("TWO"))))
    assert requests[0].text == "<think>a</think>ONE"


def test_a_turn_that_was_only_reasoning_fails_its_check_alone():
    """An empty text contains no word, so the check of the second turn would pass."""
    checks = (Check(type="not-contains", value="x", turn=2), Check(type="contains", value="ONE", turn=1))
    completion = replace(said("THREE"), earlier=(said("ONE"), said("<think>x", stop_reason="length")))
    result = only(case_with(*checks), completion)
    assert [score.passed for score in result.scores] == [False, True]
    assert result.scores[0].explanation == "no answer: the token limit cut the reasoning"
    assert result.outcome == Outcome.FAILED


def test_a_text_that_is_missing_fails_in_any_turn():
    check = Check(type="not-contains", value="x", turn=1, transform=({"after": "Answer:"},))
    result = only(case_with(check), answers("ONE", "TWO", "THREE"))
    assert result.outcome == Outcome.FAILED
    assert "Answer:" in result.scores[0].explanation


@pytest.mark.parametrize("late", [0, 1, 2])
def test_a_turn_that_took_too_long_is_an_error_of_the_case(late):
    turns = [said("ONE"), said("TWO"), said("THREE")]
    turns[late] = replace(turns[late], latency_s=2.5)
    *earlier, last = turns
    result = only(
        case_with(Check(type="contains", value="THREE"), timeout_s=2.0), replace(last, earlier=tuple(earlier))
    )
    assert result.outcome == Outcome.ERRORED
    assert result.scores == ()
    (error,) = result.errors
    assert (error.metric, error.error) == ("generation", "the answer took 2.5 s; the case's timeout is 2 s")


def test_a_turn_in_time_is_scored():
    case = case_with(Check(type="contains", value="THREE"), timeout_s=0.5)
    assert only(case, answers("ONE", "TWO", "THREE")).outcome == Outcome.PASSED
