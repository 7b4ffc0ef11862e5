"""Offered checks pass on the answer and fail on an empty one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.authoring.offers import offer_checks
from harness.golden.check_rules import make_check
from harness.scoring import score_cases
from harness.types import Completion, GoldenCase, Message, Outcome


def outcome(check, answer, text):
    options = {key: value for key, value in check.items() if key not in {"type", "value", "threshold"}}
    made = make_check(check["type"], check.get("threshold"), check.get("value"), options, references=[answer])
    case = GoldenCase(
        id="a",
        set_name="s",
        messages=(Message(role="user", content="q"),),
        references=(answer,),
        checks=(made,),
    )
    completion = Completion(text=text, stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0)
    return score_cases([case], {"s/a": completion})[0].outcome


@pytest.mark.parametrize(
    ("answer", "first"),
    [
        ('{"name": "Bob", "n": 4}', "json-equals"),
        ("[1, 2]", "json-equals"),
        ("Paris", "equals"),
        ("The capital of France is Paris.", "icontains"),
    ],
)
def test_the_most_specific_comes_first(answer, first):
    assert offer_checks("q", answer)[0]["type"] == first


@given(st.text(max_size=80))
def test_every_offer_separates(answer):
    for check in offer_checks("q", answer):
        assert outcome(check, answer, answer) is Outcome.PASSED
        assert outcome(check, answer, "") is Outcome.FAILED


def test_an_empty_answer_gets_no_offer():
    assert offer_checks("q", "") == []
