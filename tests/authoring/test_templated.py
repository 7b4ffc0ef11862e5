"""Prompts of one template that count as independent cases are told."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.authoring.templated import why_not_independent
from harness.golden.load import load_golden_set
from harness.types import Check, GateSettings, GenerationSettings, GoldenCase, GoldenSet, Message

ROOT = Path(__file__).parents[2]
CAPITALS = [f"What is the capital of {name}?" for name in ("France", "Peru", "Kenya", "Japan", "Chad")]
OTHERS = [
    "Why do people need sleep?",
    "Name one advantage of riding a bicycle to work.",
    "Write a poem about the sea.",
    "Which force pulls objects to the ground?",
    "Translate into German: I would like a cup of tea.",
]


def set_of(prompts, clusters=None, population="sample"):
    cases = tuple(
        GoldenCase(
            id=f"c{place}",
            set_name="s",
            messages=(Message(role="system", content="Be brief."), Message(role="user", content=prompt)),
            checks=(Check(type="equals"),),
            cluster=None if clusters is None else clusters[place],
            generation=GenerationSettings(),
        )
        for place, prompt in enumerate(prompts)
    )
    return GoldenSet(name="s", path="s.yaml", cases=cases, gate=GateSettings(population=population))


@pytest.mark.parametrize(
    "prompts",
    [
        CAPITALS,
        [f"How much is {number} plus {number * 7} apples?" for number in range(5)],
        [f"What is the opposite of {word}?" for word in ("hot", "big", "up", "day", "fast")],
        [
            f"{name} ordered 3 kettles and wants them on Friday."
            for name in ("Ann", "Bob", "Cleo", "Dan", "Eve")
        ],
        [
            f"Answer as JSON.\nThe parcel went to {city} on day 4."
            for city in ("Oslo", "Rome", "Graz", "Lyon", "Bonn")
        ],
    ],
)
def test_prompts_that_differ_in_a_name_a_number_or_a_word_are_told(prompts):
    note = why_not_independent(set_of([*prompts, *OTHERS]))
    assert note is not None
    assert note.startswith("5 prompts are alike but for names, numbers or one word (such as c0, c1, c2)")
    assert note.endswith("6 independent ones would be left of 10")


def test_a_common_cluster_says_it_already():
    clusters = ["capital"] * 5 + [None] * 5
    assert why_not_independent(set_of([*CAPITALS, *OTHERS], clusters)) is None
    apart = [str(place % 3) for place in range(5)] + [None] * 5
    assert "left of 8" in str(why_not_independent(set_of([*CAPITALS, *OTHERS], apart)))


@pytest.mark.parametrize(
    "prompts",
    [
        OTHERS,
        [*CAPITALS[:2], *OTHERS],
        [f"What is the {what} of {of}?" for what, of in zip("abcde", "vwxyz", strict=True)],
        ["法国的首都是哪里?", "秘鲁的首都是哪里?", "日本的首都是哪里?"],
        [f"Answer with one word only.\n{prompt}" for prompt in OTHERS],
        ["a", "b", "c"],
        [],
    ],
)
def test_different_questions_are_not_alike(prompts):
    """Neither are two of a kind, nor prompts that have a common instruction."""
    assert why_not_independent(set_of(prompts)) is None


def test_few_of_many_and_own_cases_are_no_news():
    others = [f"{prompt} {tail}" for prompt in OTHERS for tail in ("a b c d", "e f", "g h i", "j")]
    assert why_not_independent(set_of([*CAPITALS[:3], *others])) is None
    assert why_not_independent(set_of(CAPITALS, population="cases")) is None


@pytest.mark.parametrize("path", ["golden_sets/general/probes.yaml", "golden_sets/orders.yaml"])
def test_the_shipped_sets_have_their_clusters(path):
    golden_set = load_golden_set(ROOT / path)
    asked_of_all = replace(golden_set, gate=replace(golden_set.gate, population="sample"))
    assert why_not_independent(asked_of_all) is None
