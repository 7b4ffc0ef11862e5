"""The adviser's table: every row of it is reached, and every situation has an answer."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.advice.approaches import APPROACHES
from trainers.advice.cli import advice
from trainers.advice.rules import RULES, fits
from trainers.advice.situation import DATA, GOALS, UNITS, Situation
from trainers.methods.catalogue import METHODS

# goal, data, rows, whether the base follows instructions, and what is advised: one line for each row of the
# table and for each limit in it, from both sides.
EXPECTED = [
    ("facts", "none", 0, True, "rag"),
    ("facts", "text", 10_000, True, "rag"),
    ("facts", "examples", 5_000, True, "rag"),
    ("facts", "pairs", 5_000, False, "rag"),
    ("domain", "none", 0, True, "rag"),
    ("domain", "text", 999, True, "rag"),
    ("domain", "text", 1_000, True, "continual"),
    ("domain", "examples", 199, True, "rag"),
    ("domain", "examples", 200, True, "sft"),
    ("domain", "pairs", 10_000, True, "rag"),
    ("domain", "thumbs", 500, True, "rag"),
    ("domain", "reward", 500, True, "rag"),
    ("style", "none", 0, True, "prompting"),
    ("style", "examples", 49, True, "prompting"),
    ("style", "examples", 50, True, "sft"),
    ("style", "pairs", 99, True, "prompting"),
    ("style", "pairs", 100, True, "dpo"),
    ("style", "pairs", 100, False, "orpo"),
    ("style", "pairs", 10_000, True, "dpo"),
    ("style", "thumbs", 99, True, "prompting"),
    ("style", "thumbs", 100, True, "kto"),
    ("style", "reward", 99, True, "rft"),
    ("style", "reward", 100, True, "rft"),
    ("style", "text", 5_000, True, "prompting"),
    ("skill", "none", 0, True, "prompting"),
    ("skill", "examples", 49, True, "prompting"),
    ("skill", "examples", 400, True, "sft"),
    ("skill", "reward", 99, True, "rft"),
    ("skill", "reward", 100, True, "grpo"),
    ("skill", "pairs", 300, True, "dpo"),
    ("skill", "thumbs", 300, True, "kto"),
    ("skill", "text", 300, True, "prompting"),
    ("preferences", "none", 0, True, "prompting"),
    ("preferences", "examples", 300, True, "sft"),
    ("preferences", "pairs", 4_999, True, "dpo"),
    ("preferences", "pairs", 5_000, True, "rlhf"),
    ("preferences", "pairs", 5_000, False, "orpo"),
    ("preferences", "thumbs", 300, True, "kto"),
    ("preferences", "reward", 50, True, "rft"),
    ("preferences", "reward", 300, True, "grpo"),
    ("preferences", "text", 300, True, "prompting"),
    ("tasks", "none", 0, True, "prompting"),
    ("tasks", "examples", 20, True, "prompting"),
    ("tasks", "examples", 300, True, "multitask"),
    ("tasks", "pairs", 300, True, "dpo"),
    ("tasks", "thumbs", 300, True, "kto"),
    ("tasks", "reward", 20, True, "rft"),
    ("tasks", "reward", 300, True, "grpo"),
    ("tasks", "text", 300, True, "prompting"),
]


def situation(goal, data, rows, instruct=True):
    return Situation(goal=goal, data=data, rows=rows, instruct=instruct)


@pytest.mark.parametrize(("goal", "data", "rows", "instruct", "wanted"), EXPECTED)
def test_each_situation_gets_what_the_table_says(goal, data, rows, instruct, wanted):
    assert advice(situation(goal, data, rows, instruct)).approach == wanted


def test_every_row_of_the_table_decides_one_of_these_situations():
    decided = [advice(situation(*one[:4])) for one in EXPECTED]
    assert [rule for rule in RULES if rule not in decided] == []


def test_every_pair_of_goal_and_data_is_among_them():
    asked = {(goal, data) for goal, data, *_ in EXPECTED}
    assert set(itertools.product(GOALS, DATA)) - asked <= {("facts", "thumbs"), ("facts", "reward")}


@given(
    goal=st.sampled_from(sorted(GOALS)),
    data=st.sampled_from(sorted(DATA)),
    rows=st.integers(0, 10**9),
    instruct=st.booleans(),
)
def test_there_is_an_answer_to_everything(goal, data, rows, instruct):
    """Without data nothing is trained, and what is advised has its data."""
    rule = advice(situation(goal, data, rows, instruct))
    assert fits(rule, situation(goal, data, rows, instruct))
    trainers = APPROACHES[rule.approach].trainers
    if rows < 50 and data != "reward":
        assert trainers == ()


def test_rows_name_known_words_and_give_reasons():
    for rule in RULES:
        assert set(rule.goals) <= set(GOALS)
        assert set(rule.data) <= set(DATA)
        assert {rule.approach, *rule.instead} <= set(APPROACHES)
        assert rule.approach not in rule.instead
        assert rule.reason.endswith(".")
    assert {rule.approach for rule in RULES} == set(APPROACHES)
    assert set(UNITS) == set(DATA)


@pytest.mark.parametrize("name", sorted(APPROACHES))
def test_each_approach_names_trainers_that_exist_and_what_to_mind(name):
    approach = APPROACHES[name]
    assert set(approach.trainers) <= set(METHODS)
    assert approach.caveats
    assert all(caveat.endswith(".") for caveat in approach.caveats)
