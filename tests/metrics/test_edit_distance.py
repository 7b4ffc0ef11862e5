"""Levenshtein distance."""

import pytest


@pytest.mark.parametrize(
    ("text", "reference", "distance"),
    [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("abc", "abc", 0),
        (" abc\n", "abc", 0),
        ("e\u0301", "\u00e9", 0),
        ("日本", "日本語", 1),
        ("👍🏽", "👍", 1),
        ("\ud800", "a", 1),
    ],
)
def test_edits_are_counted(score, text, reference, distance):
    assert score("levenshtein", text, reference).value == distance


def test_the_closest_reference_counts(score):
    result = score("levenshtein", "cat", "dog", "cart")
    assert (result.value, result.explanation) == (1, "1 edit from 'cart'")


def test_a_value_replaces_the_references(score):
    assert score("levenshtein", "cat", "dog", value="cat").value == 0
