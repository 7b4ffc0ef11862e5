"""Canaries: what each measures, and when a change counts as drift."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.measure.canaries import (
    CANARIES,
    canary_notes,
    distinct_2,
    format_tokens,
    judge_drift,
    length,
    refusal,
)
from trainers.measure.samples import Sample


def samples(answers_by_step):
    """Answers of each step, each of a prompt of its own."""
    return [
        Sample(step=step, place=f"rows.jsonl:{row}", prompt="p", answer=answer, reward=0.0, rewards={})
        for step, answers in enumerate(answers_by_step, start=1)
        for row, answer in enumerate(answers, start=1)
    ]


def test_what_each_measures():
    assert length(" four ") == 4
    assert distinct_2("a b a b a b") == pytest.approx(2 / 5)
    assert distinct_2("one") is None
    assert format_tokens('{"a": 1}') == pytest.approx(4 / 7)
    assert format_tokens("just words, and a stop.") == 0
    assert format_tokens("") is None
    assert refusal("I'm sorry, but I can't help with that.") == 1
    assert refusal("Here you go.") == 0


@given(st.text())
def test_shares_lie_between_0_and_1(text):
    for name in ("distinct_2", "format_tokens", "refusals"):
        value = CANARIES[name].measure(text)
        assert value is None or 0 <= value <= 1


PLAIN = [
    "The kettle is on the stove.",
    "Two cats sat on a mat.",
    "It rains in Paris now.",
    "Call me at noon, please.",
]


def test_no_drift_where_nothing_changed():
    notes = canary_notes(samples([PLAIN] * 20))
    assert set(notes.drift) == set(CANARIES)
    assert not any(found["drifted"] for found in notes.drift.values())
    assert all(found["n_before"] == found["n_after"] == 16 for found in notes.drift.values())


@pytest.mark.parametrize(
    ("name", "hacked"),
    [
        ("length", [text + " And so on and so forth, as one may well say." for text in PLAIN]),
        ("distinct_2", ["yes yes yes yes yes yes " + text for text in PLAIN]),
        ("format_tokens", [f"**{text}** | # | [x]" for text in PLAIN]),
        ("refusals", ["I'm sorry, but I can't help with that."] * 4),
    ],
)
def test_each_way_of_hacking_trips_its_canary(name, hacked):
    notes = canary_notes(samples([PLAIN] * 8 + [hacked] * 8))
    found = notes.drift[name]
    assert found["drifted"]
    assert found["change"]["low"] <= found["change"]["estimate"] <= found["change"]["high"]
    assert any(line.startswith(CANARIES[name].label) and line.endswith("drifted") for line in notes.summary)


def test_a_small_change_is_no_drift_however_sure():
    longer = [text + " Yes." for text in PLAIN]
    found = canary_notes(samples([PLAIN] * 50 + [longer] * 50)).drift["length"]
    assert found["change"]["low"] > 0
    assert not found["drifted"]


def test_a_large_change_of_few_answers_is_no_drift():
    """Two prompts a side: the interval is too wide to tell."""
    first, last = samples([["a" * 5, "a" * 60]]), samples([["a" * 80, "a" * 20]])
    assert not judge_drift(CANARIES["length"], first, last)["drifted"]


def test_one_prompt_tells_nothing():
    assert judge_drift(CANARIES["length"], samples([["a"]]), samples([["aaaa"]])) is None
    assert canary_notes([]).summary == ()


def test_means_along_the_way():
    """At most ten stretches, which cover all steps."""
    along = canary_notes(samples([PLAIN] * 25)).along
    assert len(along) <= 10
    assert along[0]["steps"][0] == 1
    assert along[-1]["steps"][1] == 25
    assert sum(stretch["n"] for stretch in along) == 100
    assert along[0]["length"] == pytest.approx(sum(map(len, PLAIN)) / 4)
