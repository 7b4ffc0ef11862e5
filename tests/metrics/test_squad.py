"""SQuAD's exact match and F1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.squad import normalise, token_f1

words = st.text(alphabet=st.sampled_from("ab cé.the "), max_size=40)


def test_the_normal_form_is_that_of_the_official_script() -> None:
    assert normalise("The  Quick, brown-fox's\ta tail!") == "quick brownfoxs tail"
    assert normalise("theatre another") == "theatre another"


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("Denver Broncos", "Denver Broncos", 1.0),
        ("the Denver Broncos!", "denver broncos", 1.0),
        ("Denver", "Denver Broncos", 2 / 3),
        ("a cat sat on the mat", "the cat lay on a mat", 3 / 4),
        ("cat cat cat", "cat", 0.5),  # a repeated word is shared once
        ("Carolina Panthers", "Denver Broncos", 0.0),
        ("", "", 1.0),  # SQuAD 2.0: no answer where none is right
        ("the", "", 1.0),
        ("", "Denver", 0.0),
        ("Denver", "", 0.0),
    ],
)
def test_f1_of_worked_examples(score, answer: str, reference: str, expected: float) -> None:
    assert score("squad-f1", answer, reference).value == pytest.approx(expected)


def test_f1_takes_the_closest_reference_and_says_what_is_missing(score) -> None:
    result = score("squad-f1", "forty two", "forty two days", "six weeks")

    assert result.value == pytest.approx(0.8)
    assert result.explanation == "precision 1.00, recall 0.67; missing 'days'"


def test_exact_match_forgives_case_punctuation_and_articles(score) -> None:
    assert score("squad-em", "The Eiffel Tower.", "eiffel tower").value == 1
    assert score("squad-em", "Eiffel", "Louvre", "eiffel tower").explanation == (
        "expected 'eiffel tower', found 'eiffel'"
    )


@given(words, words)
def test_f1_lies_in_zero_to_one_and_is_symmetric(left: str, right: str) -> None:
    forth, back = token_f1(left, right), token_f1(right, left)

    assert 0 <= forth[2] <= 1
    assert forth[2] == back[2]
    assert forth[0] == back[1]


@given(st.text())
def test_a_text_is_a_perfect_answer_to_itself(score, text: str) -> None:
    assert score("squad-f1", text, text).value == 1
    assert score("squad-em", text, text).value == 1


@given(words, words, words)
def test_another_reference_never_lowers_the_score(score, answer: str, one: str, other: str) -> None:
    for check_type in ("squad-f1", "squad-em"):
        both = score(check_type, answer, one, other).value
        assert both == max(score(check_type, answer, one).value, score(check_type, answer, other).value)
