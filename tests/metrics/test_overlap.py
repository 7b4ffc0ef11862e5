"""Exact match and F1 of words, in any script."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

words = st.text(alphabet=st.sampled_from("ab cé.5-% "), max_size=40)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("Paris", " Paris\n"),
        (unicodedata.normalize("NFD", "Crème brûlée"), "Crème brûlée"),
        ("5.0", "5"),
        ("+5", "5"),
        ("1,000", "1000"),
        ("1e3", "1000"),
        ("\u22125", "-5"),
        ("0.50", "0.5"),
        ("two  words", "two words"),
        ("soft\u00adhyphen", "softhyphen"),
        ("\ufeffParis\u200b", "Paris"),
    ],
)
def test_exact_match_sees_one_text_in_its_spellings(score, answer: str, reference: str) -> None:
    assert score("exact-match", answer, reference).value == 1


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("", "A"),
        ("-5", "5"),
        ("5.0", "50"),
        ("%", "$"),
        ("paris", "Paris"),
        ("The Eiffel Tower", "Eiffel Tower"),
        ("Paris.", "Paris"),
        ("resumé", "resume"),
        ("क\u093f", "क\u093e"),
        ("01234", "1234"),
        ("v1.10", "v1.1"),
        ("1.10.2024", "1.1.2024"),
        ("12,34", "1234"),
        ("1 000", "1000"),
    ],
)
def test_exact_match_forgives_nothing_else(score, answer: str, reference: str) -> None:
    assert score("exact-match", answer, reference).value == 0


def test_case_space_and_numbers_are_options_of_exact_match(score) -> None:
    assert score("exact-match", "PARIS", "Paris", ignore_case=True).value == 1
    assert score("exact-match", "STRASSE", "Straße", ignore_case=True).value == 1
    assert score("exact-match", "a + b", "a+b", ignore_space=True).value == 1
    assert score("exact-match", "1 000", "1000", ignore_space=True).value == 1
    assert score("exact-match", "1.10", "1.1").value == 1
    assert score("exact-match", "1.10", "1.1", numbers=False).value == 0


def test_exact_match_says_what_it_found(score) -> None:
    assert score("exact-match", "5.0", "5").explanation == "the answer is the same number as '5'"
    assert score("exact-match", "Eiffel", "Louvre", "Eiffel Tower").explanation == (
        "expected 'Eiffel Tower', found 'Eiffel'"
    )


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("Denver Broncos", "denver broncos!", 1.0),
        ("Denver", "Denver Broncos", 2 / 3),
        ("cat cat cat", "cat", 0.5),  # a repeated word is shared once
        ("a cat", "cat", 2 / 3),  # articles are words
        ("", "A", 0.0),
        ("-5", "5", 0.0),
        ("5.0", "50", 0.0),
        ("5.0", "5", 1.0),
        ("It is 1,000.50 EUR", "it is 1000.5 eur", 1.0),
        ("%", "$", 0.0),
        ("5 %", "5 $", 0.5),
        ("!", "?", 0.0),
        ("C++", "C#", 0.4),
        ("", "", 1.0),
        ("", "Denver", 0.0),
        ("गाय दूध देती है", "गाय दूध देता है", 0.75),
        ("北京", "北海", 0.5),
        ("ขอบคุณครับ", "ขอบคุณค่ะ", 2 * 5 / (8 + 7)),
        ("Yes 👍", "Yes 👎", 0.5),
        ("气温-5度", "气温5度", 3 / 4),  # no space before a number where words have none
        ("价格是5.0元", "价格是0.5元", 4 / 5),
        ("ราคา−5.0บาท", "ราคา-5บาท", 1.0),
        ("-5kg", "5kg", 0.0),
        ("한국 \u22125도", "한국 -5도", 1.0),
        ("2024-05-06", "2024/05/06", 1.0),
        ("a\u200bb", "ab", 1.0),  # what is never drawn
        ("sha\u200flom", "shalom", 1.0),
        ("\ufeff5\u200e %", "5 %", 1.0),
    ],
)
def test_f1_of_worked_examples(score, answer: str, reference: str, expected: float) -> None:
    assert score("f1", answer, reference).value == pytest.approx(expected)


def test_f1_takes_the_closest_reference_and_says_what_is_missing(score) -> None:
    result = score("f1", "forty two", "forty two days", "six weeks")

    assert result.value == pytest.approx(0.8)
    assert result.explanation == "precision 1.00, recall 0.67; missing 'days'"


@given(words, words)
def test_f1_lies_in_zero_to_one_and_is_symmetric(score, left: str, right: str) -> None:
    forth, back = score("f1", left, right), score("f1", right, left)

    assert 0 <= forth.value <= 1
    assert forth.value == back.value


@given(st.text())
def test_a_text_is_a_perfect_answer_to_itself_in_any_composition(score, text: str) -> None:
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, text)
        assert score("f1", other, text).value == 1
        assert score("exact-match", other, text).value == 1


@given(words, words, words)
def test_another_reference_never_lowers_the_score(score, answer: str, one: str, other: str) -> None:
    for check_type in ("f1", "exact-match"):
        both = score(check_type, answer, one, other).value
        assert both == max(score(check_type, answer, one).value, score(check_type, answer, other).value)
