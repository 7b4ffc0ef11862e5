"""Checks on wording."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.definition import score_function
from harness.metrics.text import TooSlowError


def test_equals_strips_outer_white_space_of_both_sides(score) -> None:
    assert score("equals", " Paris\n", "Paris ").value == 1
    assert score("equals", "Par is", "Paris").value == 0


def test_equals_takes_any_of_several_references(score) -> None:
    assert score("equals", "no", "yes", "no").value == 1


def test_a_value_takes_the_references_place(score) -> None:
    assert score("equals", "yes", "yes", value="no").value == 0


def test_equals_minds_case_and_iequals_does_not(score) -> None:
    assert score("equals", "paris", "Paris").value == 0
    assert score("iequals", "STRASSE", "straße").value == 1


def test_equals_shows_where_a_long_answer_departs(score) -> None:
    wanted = "The quick brown fox jumps over the lazy dog."
    explanation = score("equals", wanted.replace("lazy", "tired"), wanted).explanation

    assert "character 36" in explanation
    assert "expected 'lazy dog.'" in explanation
    assert "found 'tired dog.'" in explanation


def test_equals_names_the_closest_reference(score) -> None:
    assert "'Lyon'" in score("equals", "Lyons", "Paris", "Lyon").explanation


@pytest.mark.parametrize("name", ["equals", "iequals", "contains", "icontains", "starts-with"])
@pytest.mark.parametrize(("answer", "value"), [("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")])
def test_texts_are_compared_in_one_composition(score, name, answer, value) -> None:
    """They look alike, and a word that must not occur occurs in either."""
    assert score(name, answer, value=value).value == 1
    assert score(name, answer, value="cafe").value == 0


def test_lists_of_texts_are_compared_in_one_composition(score) -> None:
    for name in ("contains-any", "contains-all"):
        assert score(name, "a cafe\u0301", value=["caf\u00e9"]).value == 1
        assert score(name, "a cafe\u0301", value=["cafe"]).value == 0


def test_an_empty_answer_is_called_empty(score) -> None:
    assert "empty" in score("equals", "", "Paris").explanation


def test_contains_finds_the_value_anywhere_and_says_what_is_missing(score) -> None:
    assert score("contains", "It is Paris.", value="Paris").value == 1
    missing = score("contains", "It is paris.", value="Paris")
    assert missing.value == 0
    assert missing.explanation == "'Paris' is missing from the answer"


def test_icontains_folds_case(score) -> None:
    assert score("icontains", "It is PARIS.", "Paris").value == 1


def test_contains_any_takes_one_of_the_values(score) -> None:
    assert score("contains-any", "b", value=["a", "b"]).value == 1
    assert score("contains-any", "c", value=["a", "b"]).explanation == "none of 'a', 'b' is in the answer"


def test_contains_all_lists_what_is_missing(score) -> None:
    assert score("contains-all", "a b", value=["a", "b"]).value == 1
    assert score("contains-all", "a", value=["a", "b", "c"]).explanation == "missing 2 of 3: 'b', 'c'"


def test_starts_with_ignores_leading_white_space(score) -> None:
    assert score("starts-with", "\n Yes, it is", value="Yes").value == 1
    assert "not with 'Yes'" in score("starts-with", "No, yes", value="Yes").explanation


def test_regex_searches_and_says_where(score) -> None:
    found = score("regex", "call 555-1234 now", value=r"\d{3}-\d{4}")

    assert found.value == 1
    assert found.explanation == "'555-1234' matches at character 6"


def test_regex_minds_case_unless_told_otherwise(score) -> None:
    assert score("regex", "YES", value="yes").value == 0
    assert score("regex", "YES", value="yes", ignore_case=True).value == 1


def test_a_pattern_that_backtracks_without_end_is_stopped_and_named(request_for) -> None:
    request = request_for("regex", "a" * 60 + "b", value="(a|aa)+$")
    with pytest.raises(TooSlowError, match=re.escape("'(a|aa)+$' took more than 1 s")):
        score_function("regex")([request])


def test_a_check_with_nothing_to_compare_with_says_so(request_for) -> None:
    with pytest.raises(ValueError, match="neither a value nor a reference"):
        score_function("equals")([request_for("equals", "x")])


@given(st.text(), st.text())
def test_equality_is_symmetric(score, left: str, right: str) -> None:
    assert score("equals", left, right).value == score("equals", right, left).value


@given(st.text())
def test_every_text_equals_contains_and_starts_with_itself(score, text: str) -> None:
    for check_type in ("equals", "iequals", "contains", "icontains", "starts-with"):
        assert score(check_type, text, text).value == 1


@given(st.text(), st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_contains_any_and_all_are_any_and_all_of_contains(score, text: str, values: list[str]) -> None:
    single = [score("contains", text, value=value).value for value in values]

    assert score("contains-any", text, value=values).value == max(single)
    assert score("contains-all", text, value=values).value == min(single)


@given(st.text(alphabet="ab\n\u0301é", max_size=80), st.text(alphabet="ab\n\u0301é", max_size=80))
def test_explanations_stay_on_one_line(score, left: str, right: str) -> None:
    for check_type in ("equals", "contains", "starts-with"):
        assert "\n" not in score(check_type, left, right).explanation
