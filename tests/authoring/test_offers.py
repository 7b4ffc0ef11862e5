"""Offered checks pass on a good answer and fail on an empty one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.authoring.offers import Question, offer_checks, passes
from harness.golden.check_rules import make_check
from harness.golden.schema import CHECK_TYPES
from harness.run.scoring import score_cases
from harness.types import Completion, GoldenCase, Message, Outcome

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


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
    ("answer", "types"),
    [
        ('{"name": "Bob", "n": 4}', ["json-equals", "is-json"]),
        ("[1, 2]", ["json-equals", "is-json"]),
        ("Paris", ["equals", "exact-match", "icontains", "f1", "rouge-l", "similar", "length"]),
        ("42", ["equals", "exact-match", "numeric", "regex", "f1", "rouge-l", "similar", "length"]),
        ("5 km", ["equals", "exact-match", "numeric"]),
        ("5 apples", ["equals", "exact-match", "regex"]),
        (
            "The capital of France is Paris.",
            ["icontains", "icontains", "icontains", "f1", "rouge-l", "similar", "length"],
        ),
        ("!?", ["equals", "exact-match", "f1", "length"]),
        ("I'm sorry, but I cannot help with that request today.", ["is-refusal"]),
    ],
)
def test_the_most_specific_comes_first(answer, types):
    assert [offer["type"] for offer in offer_checks(Question(prompt="q"), answer)][: len(types)] == types


def test_a_key_word_is_a_number_or_a_name_before_a_long_word_and_never_the_prompt_s():
    offers = offer_checks(
        Question(prompt="Which wonderful capital has France?"),
        "The wonderful capital of France is Paris (since 987).",
    )
    assert [offer["value"] for offer in offers if "value" in offer] == ["Paris", r"\b987\b", "since"]


def test_a_number_is_not_found_inside_of_another():
    (offer,) = [
        offer
        for offer in offer_checks(Question(prompt="How many?"), "There are exactly 4 of them now.")
        if offer["type"] == "regex"
    ]
    assert passes(offer, Question(prompt="How many?"), "It's 4.", [])
    assert not passes(offer, Question(prompt="How many?"), "It's 14.", [])


def test_a_schema_is_derived_from_the_answer():
    (schema,) = [
        offer["value"]
        for offer in offer_checks(
            Question(prompt="q"), '{"a": [1, 2], "b": {"c": true, "d": null}, "e": 1.5}'
        )
        if offer["type"] == "is-json"
    ]
    assert schema == {
        "type": "object",
        "properties": {
            "a": {"type": "array", "minItems": 1, "items": {"type": "integer"}},
            "b": {
                "type": "object",
                "properties": {"c": {"type": "boolean"}, "d": {"type": "null"}},
                "required": ["c", "d"],
                "additionalProperties": False,
            },
            "e": {"type": "number"},
        },
        "required": ["a", "b", "e"],
        "additionalProperties": False,
    }  # fmt: skip


def test_an_answer_that_is_no_reference_is_compared_by_value():
    """Its JSON is written down; overlap with a reference is offered only as far as it can be computed."""
    offers = offer_checks(Question(prompt="q"), '{"a": 1}', ['{"a": 2}'])
    assert offers[0] == {"type": "json-equals", "value": {"a": 1}}
    kinds = [offer["type"] for offer in offer_checks(Question(prompt="q"), "It is Paris", ["Paris it is"])]
    assert "f1" in kinds
    assert "rouge-l" not in kinds


@given(
    answer=st.text(max_size=80)
    | JSON.map(json.dumps)
    | JSON.map(lambda value: json.dumps(value, ensure_ascii=False))
)
def test_every_offer_separates(answer):
    for check in offer_checks(Question(prompt="q"), answer):
        if CHECK_TYPES[check["type"]].extra is None:
            assert outcome(check, answer, answer) is Outcome.PASSED
            assert outcome(check, answer, "") is Outcome.FAILED


@pytest.mark.parametrize("answer", ["Paris", "The capital is Paris.", "東京です", "Straße"])
def test_offers_that_need_a_library_separate_too(answer):
    pytest.importorskip("rouge_score")
    assert {"type": "rouge-l", "threshold": 0.5} in offer_checks(Question(prompt="q"), answer)
    assert outcome({"type": "rouge-l", "threshold": 0.5}, answer, answer) is Outcome.PASSED
    assert outcome({"type": "rouge-l", "threshold": 0.5}, answer, "") is Outcome.FAILED


def test_an_empty_answer_gets_no_offer():
    assert offer_checks(Question(prompt="q"), "") == []
    assert offer_checks(Question(prompt="q"), "  \n") == []


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}  # fmt: skip


@pytest.mark.parametrize(
    "answer",
    [
        '{"name": "weather", "arguments": {"city": "Oslo"}}',
        '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>',
        '[weather(city="Oslo")]',
    ],
)
def test_for_a_call_of_a_tool_its_name_and_arguments_are_offered_and_no_words(answer):
    assert offer_checks(Question(prompt="q", tools=(WEATHER,)), answer) == [
        {"type": "tool-calls", "value": [{"name": "weather", "arguments": {"city": "Oslo"}}]},
        {"type": "is-valid-openai-tools-call"},
        {"type": "tool-calls", "value": [{"name": "weather"}]},
        {"type": "tool-call-f1", "value": ["weather"], "threshold": 1},
    ]


def test_arguments_that_the_tool_forbids_are_offered_but_not_as_valid():
    offers = offer_checks(
        Question(prompt="q", tools=(WEATHER,)), '{"name": "weather", "arguments": {"city": 5}}'
    )
    assert "is-valid-openai-tools-call" not in [offer["type"] for offer in offers]


def test_an_answer_in_words_where_tools_are_offered_calls_none():
    offers = offer_checks(Question(prompt="q", tools=(WEATHER,)), "It is cloudless in Oslo.")
    assert offers[-1] == {"type": "tool-calls", "value": []}
    assert "is-valid-openai-tools-call" not in [offer["type"] for offer in offers]


def test_offers_pass_for_each_value_of_a_variable():
    asked = Question(prompt="Greet {{who}}", fills=tuple(lambda text, who=who: text.replace("{{who}}", who) for who in ("Bob", "Ann")))  # fmt: skip
    offers = offer_checks(asked, "I greet you, {{who}}")
    assert {"type": "equals"} in offers
    assert "who" not in [offer.get("value") for offer in offers]
    assert passes({"type": "icontains", "value": "{{who}}"}, asked, "I greet you, {{who}}", [])
    assert not passes({"type": "icontains", "value": "Bob"}, asked, "I greet you, {{who}}", [])
