"""BLEU and chrF."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

texts = st.text(alphabet=st.sampled_from("abé .北"), max_size=40)


def test_bleu_of_a_worked_example(score) -> None:
    """Precisions 5/5, and with one added 4/5, 3/4 and 2/3; five of six words long."""
    found = score("bleu", "the cat sat on mat", "the cat sat on the mat")

    assert found.value == pytest.approx(math.exp(1 - 6 / 5) * (4 / 5 * 3 / 4 * 2 / 3) ** 0.25)
    assert found.explanation == (
        "100/80/75/67 % of 1/2/3/4-grams shared with 'the cat sat on the mat', 5 of 6 words long"
    )


def test_chrf_of_a_worked_example(score) -> None:
    """Of "abc" and "abd", 2 of 3 letters, 1 of 2 pairs and no triple are shared."""
    assert score("chrf", "abc", "abd").value == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


@pytest.mark.parametrize("check_type", ["bleu", "chrf"])
def test_the_ends_of_the_scale(score, check_type: str) -> None:
    text = "Niemand hat die Absicht, eine Mauer zu errichten."

    assert score(check_type, text, text).value == 1
    assert score(check_type, "xyz", text).value == pytest.approx(0, abs=0.01)
    assert score(check_type, "", text).value == 0


@pytest.mark.parametrize("check_type", ["bleu", "chrf"])
def test_a_short_answer_equal_to_its_reference_scores_one(score, check_type: str) -> None:
    assert score(check_type, "Paris", "Paris").value == 1
    assert score(check_type, "北京", "北京").value == 1


@pytest.mark.parametrize("check_type", ["bleu", "chrf"])
@settings(max_examples=50)
@given(answer=texts, one=texts, other=texts)
def test_values_are_fractions_and_the_closest_reference_counts(
    score, check_type: str, answer: str, one: str, other: str
) -> None:
    both = score(check_type, answer, one, other).value

    assert 0 <= both <= 1
    assert both == max(score(check_type, answer, one).value, score(check_type, answer, other).value)
