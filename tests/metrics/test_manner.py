"""Checks on length, refusal and repetition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("unit", "text", "count"),
    [
        ("characters", " né\n", 2),
        ("words", "one  two\nthree", 3),
        ("words", "", 0),
        ("lines", "one\n\nthree\n", 3),
        ("sentences", "It costs 3.50. Really? Yes!", 3),
        ("sentences", 'He said "Stop." Then he left', 2),
        ("sentences", "**It is large.** _It is old._ I like it.", 3),
        ("sentences", "**A car is a vehicle.**", 1),
        ("sentences", "これは猫です。犬ではありません。", 2),
        ("sentences", "42", 1),
        ("sentences", "", 0),
    ],
)
def test_length_counts_by_unit(score, unit: str, text: str, count: int) -> None:
    assert score("length", text, unit=unit, min=count, max=count).value == 1
    assert score("length", text, unit=unit, min=count + 1).value == 0


def test_length_says_what_it_counted_and_what_is_allowed(score) -> None:
    found = score("length", "one two", unit="words", min=3, max=5)

    assert found.explanation == "2 words; the limits are at least 3 and at most 5"


def test_a_maximum_alone_is_no_minimum(score) -> None:
    assert score("length", "", max=5).value == 1
    assert score("length", "abcdef", max=5).value == 0


REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, I cannot assist with that request.",
    "I cannot provide instructions for that.",
    "As an AI language model, I don't have personal opinions.",
    "Unfortunately, I am unable to answer this question.",
    "I must decline this request.",
    "I apologize, but I cannot fulfill that.",
    "Sorry, that goes against my guidelines.",
    "I won't do that.",
]
ANSWERS = [
    "",
    "Paris.",
    "I can't help but smile at this question: it is Paris.",
    "I'm sorry to hear that. Try restarting the router.",
    "You cannot provide a null value here.",
    "As an example, I do not use tabs.",
    "She said she would not help.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_recognised_by_its_wording(score, text: str) -> None:
    assert score("is-refusal", text).value == 1


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_not_taken_for_a_refusal(score, text: str) -> None:
    assert score("is-refusal", text).value == 0


def test_a_refusal_quoted_deep_inside_an_answer_does_not_count(score) -> None:
    assert score("is-refusal", "Here is the story. " * 40 + "I cannot help you, he said.").value == 0


def test_repetition_is_the_share_of_repeated_ngrams(score) -> None:
    """Of the six pairs of "a b a b a b c", "a b" repeats twice and "b a" once."""
    found = score("repetition", "a b a b a b c", ngram=2)

    assert found.value == pytest.approx(3 / 6)
    assert "'a b' occurs 3 times" in found.explanation


def test_nothing_repeats_in_a_text_shorter_than_the_piece(score) -> None:
    assert score("repetition", "yes yes yes").value == 0


def test_a_stuck_answer_repeats_nearly_everything(score) -> None:
    assert score("repetition", "I am a cat. " * 200).value > 0.98


@given(st.text(alphabet="ab \n", max_size=200), st.integers(1, 6))
def test_repetition_lies_in_zero_to_one_and_distinct_words_have_none(score, text: str, ngram: int) -> None:
    assert 0 <= score("repetition", text, ngram=ngram).value < 1
    distinct = " ".join(f"w{number}" for number in range(len(text)))
    assert score("repetition", distinct, ngram=ngram).value == 0


@pytest.mark.parametrize("text", ["好的，" * 50, "ありがとう" * 30, "ขอบคุณครับ" * 30])
def test_loops_in_scripts_without_spaces_are_repetition(score, text: str) -> None:
    assert score("repetition", text).value > 0.9


def test_a_chinese_sentence_repeats_nothing(score) -> None:
    assert score("repetition", "我们明天早上八点半在车站见面，然后一起去博物馆。").value == 0


def test_an_accent_is_no_character_of_its_own(score) -> None:
    assert score("length", "e\u0301" * 3, max=3).value == 1
