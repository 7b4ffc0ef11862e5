"""The option that an answer chooses."""

import pytest

from harness.golden.value_rules import letter_of, lettered
from harness.metrics.multiple_choice import chosen_letters

CITIES = {"A": "Paris", "B": "London", "C": "New London", "D": "A dog"}


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("B", "B"), ("b", "B"), ("(B)", "B"), ("**B**", "B"), ("B.", "B"), ("B) London", "B"), ("B: London", "B"),
        ("London", "B"), ("LONDON.", "B"), ("New  London", "C"), ("The answer is B", "B"), ("Answer: (C).", "C"),
        ("The answer is B because London is large.", "B"), ("The answer is London.", "B"), ("Option B", "B"),
        ("I choose B.", "B"), (r"$\boxed{B}$", "B"), ("The correct answer is: B. London", "B"),
        ("A) is wrong. The answer is B", "B"), ("Answer: B) London\nParis is in France.", "B"),
        ("The answer is a dog", "D"), ("It is a dog.", "D"), ("The answer is A", "A"),
        # Not clear.
        ("The answer is A dog", "AD"), ("London, not Paris", "BA"), ("A) Paris\nB) London", "AB"), ("B) Paris", "BA"),
        ("The answer is A. No, the answer is B", "AB"), ("Option A or option B", "AB"),
        ("", ""), ("E", ""), ("I don't know", ""), ("The answer is not A, it's B", ""), ("a", "A"), ("Berlin", ""),
    ],
)  # fmt: skip
def test_a_choice_is_read(text, letters):
    assert chosen_letters(text, CITIES) == list(letters)


def test_choices_have_letters():
    assert lettered(["x", "y"]) == {"A": "x", "B": "y"}
    assert lettered({"1": "x", "b": "y"}) == {"1": "x", "B": "y"}
    assert letter_of(" b", {"A": "x", "B": "y"}) == "B"
    assert letter_of("Y", {"A": "x", "B": "y"}) == "B"
    assert letter_of("z", {"A": "x", "B": "y"}) is None


@pytest.mark.parametrize(("text", "value", "value_is"), [("B", "London", 1), ("London", "B", 1), ("A", "B", 0), ("A or B", "B", 0), ("?", "B", 0)])  # fmt: skip
def test_letter_or_text(score, text, value, value_is):
    assert score("multiple-choice", text, value=value, choices=["Paris", "London"]).value == value_is


def test_the_reason_names_the_choice(score):
    result = score("multiple-choice", "A", "B", choices=["Paris", "London"])
    assert result.explanation == "the answer chooses A ('Paris'); expected B ('London')"


def test_accents_are_read_in_either_composition(score):
    assert score("multiple-choice", "e\u0301", value="\u00e9", choices=["\u00e9", "e"]).value == 1
    assert (
        score("multiple-choice", "The answer is the\u0301", "a", choices={"a": "th\u00e9", "b": "cafe"}).value
        == 1
    )


def test_an_option_inside_a_text_without_spaces(score):
    assert score("multiple-choice", "我认为是北京。", "B", choices=["上海", "北京"]).value == 1
