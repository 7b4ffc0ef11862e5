"""What is shown, and in which order."""

from hypothesis import given
from hypothesis import strategies as st

from harness.labelling.items import Expectation, SourceAnswer, items_of
from harness.types import Message


def answered(prompt, text, origin):
    return SourceAnswer(
        messages=(Message(role="user", content=prompt),), text=text, wanted=Expectation(), origin=origin
    )


MANY = [
    answered(f"question {n}", f"{side} {n}", side) for n in range(40) for side in ("candidate", "baseline")
]


def test_two_answers_to_one_prompt_are_two_items_and_a_pair():
    items = items_of(MANY[:2], ask="all", seed=0)
    assert sorted(len(item.answers) for item in items) == [1, 1, 2]
    assert [len(item.answers) for item in items_of(MANY[:2], ask="pairs", seed=0)] == [2]
    assert [len(item.answers) for item in items_of(MANY[:2], ask="answers", seed=0)] == [1, 1]


def test_equal_answers_are_one_and_no_pair():
    items = items_of(
        [answered("q", "same", "candidate"), answered("q", "same", "baseline")], ask="all", seed=0
    )
    assert [(item.answers, item.origins) for item in items] == [(("same",), ("candidate, baseline",))]


def test_the_side_does_not_decide_the_place_in_a_pair():
    """Of 40 pairs the candidate is shown as A in about half, and each keeps its own origin."""
    pairs = items_of(MANY, ask="pairs", seed=0)
    first = sum(item.origins[0] == "candidate" for item in pairs)
    assert 10 <= first <= 30
    assert all(
        text.startswith(origin)
        for item in pairs
        for text, origin in zip(item.answers, item.origins, strict=True)
    )


def test_the_order_is_shuffled_by_the_seed_and_the_same_each_time():
    def ids(seed):
        return [item.id for item in items_of(MANY, ask="all", seed=seed)]

    assert ids(0) == ids(0)
    assert ids(0) != ids(1)
    assert sorted(ids(0)) == sorted(ids(1))


@given(st.permutations(MANY[:12]))
def test_neither_the_sources_order_nor_more_items_move_an_item(shuffled):
    """Who goes on after the run has grown finds everything in the same order and place."""

    def shown(source):
        return [(item.id, item.answers) for item in items_of(source, ask="all", seed=3)]

    few, more = shown(shuffled), shown([*shuffled, *MANY[12:]])
    assert few == shown(MANY[:12])
    assert [one for one in more if one in few] == few
