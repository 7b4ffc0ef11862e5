"""Entity F1: exact matches of type and text."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.definition import ScoringRequest
from harness.metrics.entities import entity_f1, parse_entities, score_entities

OSLO = '[{"type": "city", "text": "Oslo"}]'
BOTH = '[{"type": "city", "text": "Oslo"}, {"type": "person", "text": "Anna Berg"}]'

entities = st.lists(st.tuples(st.sampled_from(["city", "person"]), st.sampled_from(["a", "b", "c d"]))).map(
    Counter
)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        (BOTH, BOTH, 1.0),
        (OSLO, BOTH, 2 / 3),  # precision 1, recall 1/2
        (BOTH, OSLO, 2 / 3),
        ('[{"type": "person", "text": "Oslo"}]', OSLO, 0.0),  # the type is wrong
        ('[{"type": "city", "text": "Os"}]', OSLO, 0.0),  # the border is wrong
        ('[{"type": "city", "text": "Oslo", "start": 3}]', OSLO, 1.0),
        ('[{"type": "person", "text": "Anna  Berg"}]', '[{"type": "person", "text": "Anna Berg"}]', 1.0),
        ("[]", "[]", 1.0),
        ("[]", OSLO, 0.0),
        (OSLO, "[]", 0.0),
        ("", "[]", 0.0),  # silence is no list
        ("Oslo is a city.", OSLO, 0.0),
        ('{"type": "city", "text": "Oslo"}', OSLO, 0.0),
        ('[{"type": "city"}]', OSLO, 0.0),
    ],
)
def test_worked_examples(score, answer: str, reference: str, expected: float) -> None:
    assert score("entity-f1", answer, reference).value == pytest.approx(expected)


def test_an_entity_that_is_named_twice_has_to_be_found_twice(score) -> None:
    twice = json.dumps(json.loads(OSLO) * 2)

    assert score("entity-f1", OSLO, twice).value == pytest.approx(2 / 3)
    assert score("entity-f1", twice, twice).value == 1


def test_it_says_what_is_missing_and_what_is_not_wanted(score) -> None:
    assert score("entity-f1", '[{"type": "city", "text": "Rome"}]', BOTH).explanation == (
        "precision 0.00, recall 0.00; missing city 'Oslo', person 'Anna Berg'; not expected city 'Rome'"
    )


def test_the_closest_reference_counts(score) -> None:
    assert score("entity-f1", OSLO, BOTH, OSLO).value == 1


def test_a_reference_that_is_no_list_of_entities_is_an_error_and_no_score(request_for) -> None:
    request: ScoringRequest = request_for("entity-f1", OSLO, '{"city": "Oslo"}')
    with pytest.raises(ValueError, match="a reference of the case is not a list of entities"):
        score_entities([request])


@given(entities, entities)
def test_f1_is_symmetric_and_lies_in_zero_to_one(left, right) -> None:
    forth, back = entity_f1(left, right), entity_f1(right, left)

    assert 0 <= forth[2] <= 1
    assert forth == (back[1], back[0], back[2])
    assert (forth[2] == 1) == (left == right)


@given(entities)
def test_what_is_written_as_json_is_read_back(found) -> None:
    written = json.dumps([{"type": kind, "text": text} for kind, text in found.elements()])
    assert parse_entities(written) == found
