"""Tags, entities and spans: there and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.multitask.decode import (
    Entity,
    MisalignedError,
    Word,
    best_span,
    entities_of,
    find_words,
    join_question,
    split_question,
    tag_labels,
    tags_of,
    write_entities,
)

TEXT = "call Anna Berg in Oslo"
WORDS = [Word(0, 4, 1), Word(5, 9, 2), Word(10, 14, 4), Word(15, 17, 5), Word(18, 22, 6)]
ANNA, OSLO = Entity("person", 5, 14), Entity("city", 18, 22)


def test_words_are_told_by_their_first_token():
    word_ids = [None, 0, 1, 1, 2, 3, 4, None]
    offsets = [(0, 0), (0, 4), (5, 7), (7, 9), (10, 14), (15, 17), (18, 22), (0, 0)]
    assert find_words(word_ids, offsets) == WORDS


def test_entities_become_tags():
    assert tags_of([OSLO, ANNA], WORDS) == ["O", "B-person", "I-person", "O", "B-city"]


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([Entity("person", 6, 14)], "person from 6 to 14 begins or ends inside a word"),
        ([Entity("person", 5, 13)], "inside a word"),
        ([Entity("person", 5, 10)], "inside a word"),  # a space at its end
        ([Entity("person", 4, 5)], "inside a word"),  # only a space
        ([ANNA, Entity("city", 10, 17)], "city from 10 to 17 overlaps another entity"),
    ],
)
def test_an_entity_that_words_cannot_tell_is_refused(entities, message):
    with pytest.raises(MisalignedError, match=message):
        tags_of(entities, WORDS)


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        (["O", "B-person", "I-person", "O", "B-city"], [ANNA, OSLO]),
        (["O", "B-person", "B-person", "O", "O"], [Entity("person", 5, 9), Entity("person", 10, 14)]),
        (["O", "I-person", "I-person", "O", "O"], [ANNA]),  # begun without a B
        (["O", "B-person", "I-city", "O", "O"], [Entity("person", 5, 9), Entity("city", 10, 14)]),
        (["O", "B-person", "O", "I-person", "O"], [Entity("person", 5, 9), Entity("person", 15, 17)]),
        (["O"] * 5, []),
    ],
)
def test_tags_become_entities(tags, entities):
    assert entities_of(tags, WORDS) == entities


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from([None, "city", "per-son"])), max_size=8))
def test_entities_survive_their_tags(pieces):
    """Whatever the entities, neighbouring ones of one type among them, their tags give them back."""
    words, entities = [], []
    for length, kind in pieces:
        begin = len(words)
        words += [Word(10 * place, 10 * place + 5, place) for place in range(begin, begin + length)]
        if kind:
            entities.append(Entity(kind, words[begin].start, words[-1].end))
    assert entities_of(tags_of(entities, words), words) == entities


def test_the_answer_is_json_in_the_texts_order():
    assert json.loads(write_entities([ANNA, OSLO], TEXT)) == [
        {"type": "person", "text": "Anna Berg"},
        {"type": "city", "text": "Oslo"},
    ]
    assert write_entities([], TEXT) == "[]"


def test_tag_labels_begin_with_none():
    assert tag_labels(["city", "person"]) == ("O", "B-city", "I-city", "B-person", "I-person")


def test_the_best_span_ends_behind_its_start_and_inside_the_passage():
    starts, ends = [9.0, 0.0, 1.0, 5.0, 0.0], [0.0, 8.0, 4.0, 0.0, 9.0]
    assert best_span(starts, ends, [1, 2, 3], 3) == (1, 1)
    assert best_span(starts, ends, [2, 3, 4], 3) == (3, 4)
    assert best_span(starts, ends, [2, 3, 4], 1) == (4, 4)


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=12),
    st.integers(1, 12),
)
def test_no_allowed_span_beats_the_best(scores, longest):
    starts, ends = [s for s, _ in scores], [e for _, e in scores]
    first, last = best_span(starts, ends, range(len(scores)), longest)
    assert first <= last < first + longest
    assert starts[first] + ends[last] == max(
        starts[i] + ends[j] for i in range(len(scores)) for j in range(i, min(i + longest, len(scores)))
    )


def test_a_question_stands_above_its_passage():
    text = join_question("Who lives here?", "Anna.\n\nShe is in.")
    assert split_question(text) == ("Who lives here?", "Anna.\n\nShe is in.")


@pytest.mark.parametrize("text", ["Who lives here?", "Who?\nAnna.", "\n\nAnna.", "Who?\n\n  "])
def test_a_question_without_a_passage_is_refused(text):
    with pytest.raises(ValueError, match="a question, an empty line and the passage"):
        split_question(text)
