"""Rewards are added up by weight; whatever a reward does wrong is one line with reward, row and remedy."""

import sys
import time

import pytest

from harness.errors import OverdueError
from harness.metrics import call_limit
from trainers.rewards.definition import Reward, RewardError
from trainers.rewards.score import RewardBatch, score_answers

ASKED = RewardBatch(
    prompts=["p1", "p2", "p3"],
    completions=["a", "bb", "ccc"],
    columns=[{"gold": 1, "extra": None}, {"gold": 2, "extra": "x"}, {"gold": 3, "extra": None}],
    places=["rows.jsonl:1", "rows.jsonl:2", "rows.jsonl:3"],
)


def reward(function, name="mine", weight=1.0):
    return Reward(name=name, place=f"rewards[0] ({name})", weight=weight, function=function)


def scored(*rewards):
    return score_answers(rewards, ASKED)


def test_rewards_are_added_up_by_weight():
    found = scored(
        reward(lambda completions, **_: [len(c) for c in completions], weight=2.0),
        reward(lambda completions, gold, **_: [-g for g in gold], name="other", weight=0.5),
    )
    assert found.totals == [1.5, 3.0, 4.5]
    assert found.parts == {"mine": [1.0, 2.0, 3.0], "other": [-1.0, -2.0, -3.0]}


def test_a_function_gets_prompts_and_every_column():
    seen = {}

    def function(completions, **columns):
        seen.update(columns)
        return [0.0] * len(completions)

    scored(reward(function))
    assert seen == {"prompts": ["p1", "p2", "p3"], "gold": [1, 2, 3], "extra": [None, "x", None]}


def test_none_leaves_an_answer_to_the_other_rewards():
    found = scored(
        reward(lambda completions, **_: [None, 1, 1]),
        reward(lambda completions, **_: [5, None, 5], name="other"),
    )
    assert found.totals == [5.0, 1.0, 6.0]


def test_numbers_of_any_library_are_numbers():
    import numpy as np

    assert scored(reward(lambda completions, **_: np.array([1, 2, 3]))).totals == [1.0, 2.0, 3.0]
    assert scored(reward(lambda completions, **_: [np.float32(1), True, 3])).totals == [1.0, 1.0, 3.0]


def test_what_a_reward_changes_is_seen_by_no_other():
    """Neither by rewards after it, nor in the samples, nor in later steps."""
    turns = [[{"role": "assistant", "content": "a"}]]
    asked = RewardBatch(prompts=[["p"]], completions=turns, columns=[{"gold": [1]}], places=["rows.jsonl:1"])

    def spoil(completions, prompts, gold):
        completions[0][-1]["content"] = "better"
        prompts[0].append("more")
        gold[0].clear()
        return [1]

    seen = []
    other = reward(lambda **given: seen.append(given) or [1], name="other")
    score_answers([reward(spoil), other], asked)
    assert seen == [{"completions": turns, "prompts": [["p"]], "gold": [[1]]}]
    assert turns[0][-1]["content"] == "a"


def explode_on_bb(completions, **_):
    return [1 / (len(c) - 2) for c in completions]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            explode_on_bb,
            r"rewards\[0\] \(mine\): broke on rows.jsonl:2 \(answer 2 of 3\): ZeroDivisionError: ",
        ),
        (
            lambda completions, **_: 1 / (len(completions) - 3),
            r"broke on the batch from rows.jsonl:1 .* on: Zero",
        ),
        (lambda completions, **_: [1.0], r"gave 1 numbers for 3 answers .*rows.jsonl:1.* it must give one"),
        (
            lambda completions, **_: [1, float("nan"), 1],
            r"gave nan for rows.jsonl:2 \(answer 2 of 3\) \(allowed:",
        ),
        (lambda completions, **_: [1, 1, float("inf")], r"gave inf for rows.jsonl:3"),
        (lambda completions, **_: ["good", 1, 1], r"gave 'good' for rows.jsonl:1"),
        (lambda completions, **_: ["1", 1, 1], r"gave '1' for rows.jsonl:1"),
        (lambda completions, **_: [1, 10**400, 1], r"gave 10+… for rows.jsonl:2"),
        (lambda completions, **_: [1, 1, [2]], r"gave \[2\] for rows.jsonl:3"),
        (lambda completions, **_: [[1, 2], [1, 2], [1, 2]], r"gave \[1, 2\] for rows.jsonl:1"),
        (lambda completions, **_: {1: 1}, r"gave a dict"),
        (lambda completions, **_: (1 for _ in completions), r"gave a generator"),
        (lambda completions, **_: sys.exit(0), r"broke on rows.jsonl:1 .*SystemExit: 0"),
        (lambda completions, **_: pytest.skip("no parser"), r"broke on rows.jsonl:1 .*Skipped: no parser"),
        (lambda completions, **_: [1e308, 1, 1], r"rewards: rows.jsonl:1 .* sum of \[inf\] is no finite"),
        (lambda completions, **_: "yes", r"gave a str \(allowed: a list with one number an answer\)"),
        (lambda completions, **_: None, r"gave a NoneType"),
        (lambda completions, **_: [None, 1, 1], r"none applies to rows.jsonl:1 \(answer 1 of 3\)"),
        (lambda completions: [1, 1, 1], r"broke on .*TypeError: .*unexpected keyword argument"),
    ],
)
def test_a_fault_is_one_line_with_reward_row_and_remedy(function, message):
    with pytest.raises(RewardError, match=message) as caught:
        scored(reward(function, weight=10))
    assert "\n" not in str(caught.value)
    assert "fix it, then continue with --resume" in str(caught.value)


def test_a_reward_that_does_not_end_is_interrupted_with_its_name(monkeypatch, plain_signals):
    """A training would stand still without a word."""
    monkeypatch.setattr(call_limit, "LIMIT_S", 0.1)
    monkeypatch.setattr(call_limit, "FURTHER_S", 0.25)
    with pytest.raises(OverdueError) as refused:
        scored(reward(lambda completions, **_: time.sleep(60)))
    assert str(refused.value) == "rewards[0] (mine) did not end within 0.6 s for 3 answers"


def test_a_reward_that_hangs_is_not_waited_for_once_for_each_answer(monkeypatch, plain_signals):
    monkeypatch.setattr(call_limit, "LIMIT_S", 0.1)
    monkeypatch.setattr(call_limit, "FURTHER_S", 0.001)
    many = RewardBatch(prompts="p" * 64, completions="c" * 64, columns=[{}] * 64, places=["rows.jsonl"] * 64)
    with pytest.raises(OverdueError, match=r"did not end within 0\.163 s for 64 answers$"):
        score_answers([reward(lambda completions, **_: time.sleep(60))], many)


def test_a_slow_reward_is_named(monkeypatch, capfd):
    monkeypatch.setattr(call_limit, "_SLOW_S", 0.0)
    scored(reward(lambda completions, **_: time.sleep(3 * call_limit._STEP_S) or [1, 2, 3]))
    assert capfd.readouterr().err == "tunegate: rewards[0] (mine) has been running for 0 s\n"
