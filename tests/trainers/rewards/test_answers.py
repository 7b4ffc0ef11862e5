"""The shipped rewards on answers: what is worth 1, what 0, and what is between."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.rewards.answers import exact_answer, json_share, json_valid, length, regex_format
from trainers.rewards.settings import ExactAnswer, Length, RegexFormat, ValidJson


def turns(text):
    return [{"role": "assistant", "content": text}]


@pytest.mark.parametrize("completion", ['{"a": 1}', turns('{"a": 1}')])
def test_texts_and_turns_are_both_completions(completion):
    """TRL hands over texts for plain prompts and turns for conversations."""
    assert json_valid(ValidJson(type="json-valid"))([completion]) == [1.0]


@pytest.mark.parametrize(
    ("text", "strict", "partial"),
    [
        ('{"a": 1}', 1.0, 1.0),
        (" [1, 2]\n", 1.0, 1.0),
        ('{"a": 1', 0.0, 0.0),
        ("", 0.0, 0.0),
        ("no", 0.0, 0.0),
        ('```{"a": 1}```', 0.0, 0.5 * 8 / 14),
        ('{"a": NaN}', 0.0, 0.5),
        ('{"a": 1} {"b": 22}', 0.0, 0.5 * 9 / 18),
    ],
)
def test_json_valid(text, strict, partial):
    assert json_valid(ValidJson(type="json-valid"))([text]) == [strict]
    assert json_valid(ValidJson(type="json-valid", partial=True))([text]) == [pytest.approx(partial)]


@given(st.text())
def test_json_share_is_a_share(text):
    assert 0 <= json_share(text) <= 1


@given(
    st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_whatever_is_json_is_worth_one(value):
    assert json_valid(ValidJson(type="json-valid"))([json.dumps(value)]) == [1.0]


def test_many_brackets_are_quick():
    assert json_share("[" * 5_000) == 0


@pytest.mark.parametrize(
    ("text", "wanted", "settings", "reward"),
    [
        ("42", "42", {}, 1.0),
        (" 42\n", 42, {}, 1.0),
        ("42.0", 42, {}, 1.0),
        ("1,200", "1200", {}, 1.0),
        ("12,00", "1200", {}, 0.0),
        ("43", 42, {}, 0.0),
        ("The answer is 42", 42, {}, 0.0),
        ("Paris", "paris", {}, 0.0),
        ("Paris", "paris", {"ignore_case": True}, 1.0),
        ("3 + 4 is 7", 7, {"pattern": r"\d+"}, 1.0),
        ("so #### 7 apples", 7, {"pattern": r"####\s*(\S+)"}, 1.0),
        ("none", 7, {"pattern": r"\d+"}, 0.0),
        ("true", True, {}, 1.0),
        ("nan", "nan ", {}, 1.0),
    ],
)
def test_exact_answer(text, wanted, settings, reward):
    function = exact_answer(ExactAnswer(type="exact-answer", **settings))
    assert function([text], answer=[wanted]) == [reward]


def test_each_answer_is_compared_with_its_own_row():
    function = exact_answer(ExactAnswer(type="exact-answer", column="gold"))
    assert function(["1", "2", "3"], gold=[1, 3, 3], other=[0, 0, 0]) == [1.0, 0.0, 1.0]


def test_regex_matches_the_whole_answer_or_a_part():
    whole = regex_format(RegexFormat(type="regex", pattern=r"<a>.*</a>"))
    part = regex_format(RegexFormat(type="regex", pattern=r"<a>.*</a>", full=False))
    assert whole(["<a>x</a>\n", "say <a>x</a>"]) == [1.0, 0.0]
    assert part(["<a>x</a>\n", "say <a>x</a>", "none"]) == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("words", "settings", "reward"),
    [
        (0, {"min": 4}, 0.0),
        (1, {"min": 4}, 0.25),
        (4, {"min": 4}, 1.0),
        (9, {"min": 4}, 1.0),
        (10, {"max": 10}, 1.0),
        (15, {"max": 10}, 0.5),
        (30, {"max": 10}, 0.0),
        (7, {"min": 5, "max": 10}, 1.0),
    ],
)
def test_length_falls_linearly_outside_its_limits(words, settings, reward):
    assert length(Length(type="length", **settings))(["w " * words]) == [pytest.approx(reward)]


def test_length_in_characters():
    assert length(Length(type="length", max=4, unit="characters"))(["abcd ", "abcdef"]) == [1.0, 0.5]
