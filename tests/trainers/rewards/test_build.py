"""From settings to rewards: faults of settings, files and columns are found before a model loads."""

import json
from typing import Any

import pytest

from harness.errors import InputError
from trainers.config_file import load_config
from trainers.data.prompts import load_prompts
from trainers.methods.grpo import GrpoConfig
from trainers.rewards.build import build_rewards
from trainers.rewards.score import RewardBatch, score_answers

ROWS = [
    {"prompt": "2+3?", "answer": 5, "refs": ["five", "5"]},
    {"prompt": "1+1?", "answer": 2, "refs": ["two"]},
]


def build(tmp_path, *rewards, rows=ROWS):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings: dict[str, Any] = {"base": "b", "data": "rows.jsonl", "output": "o", "rewards": list(rewards)}
    (tmp_path / "grpo.yaml").write_text(json.dumps(settings))
    config = load_config(tmp_path / "grpo.yaml", GrpoConfig)
    prompts = load_prompts(config.data)
    return build_rewards(config.rewards, prompts), prompts


def totals(built, answers):
    rewards, prompts = built
    asked = RewardBatch(
        prompts=[row["prompt"] for row in prompts.rows],
        completions=answers,
        columns=[row["columns"] for row in prompts.rows],
        places=["a", "b"],
    )
    return score_answers(rewards, asked).totals


def test_rewards_of_a_configuration(tmp_path):
    """The YAML form: types, weights, a column, a function of one's own beside the file."""
    (tmp_path / "my.py").write_text(
        "def reward(completions, answer, **_):\n    return [10 * a for a in answer]\n"
    )
    built = build(
        tmp_path,
        {"type": "json-valid", "weight": 0.2},
        {"type": "exact-answer", "column": "answer"},
        {"type": "python", "path": "my.py:reward"},
    )
    assert totals(built, ["5", "two"]) == [pytest.approx(51.2), pytest.approx(20.0)]
    assert [reward.name for reward in built[0]] == ["json-valid", "exact-answer", "reward"]
    assert len(built[0][2].facts["sha256"]) == 64


def test_two_rewards_of_one_type_have_two_names(tmp_path):
    rewards, _ = build(tmp_path, {"type": "length", "max": 5}, {"type": "length", "min": 1})
    assert [reward.name for reward in rewards] == ["length", "length-1"]


def test_golden_checks_are_rewards(tmp_path):
    """A binary check, one with a threshold, a graded value, one where lower is better, an inverted one."""

    def worth(answers, check, **settings):
        return totals(build(tmp_path, {"type": "check", "check": check, **settings}), answers)

    assert worth(["5", "3"], {"type": "equals"}, references="refs") == [1.0, 0.0]
    assert worth(["five six", "two"], {"type": "f1"}, references="refs") == [pytest.approx(2 / 3), 1.0]
    assert worth(["five six", "two"], {"type": "f1", "threshold": 0.9}, references="refs") == [0.0, 1.0]
    assert worth(["a a a", "a b c"], {"type": "repetition", "ngram": 1}) == [pytest.approx(1 / 3), 1.0]
    assert worth(["I can't help with that.", "Sure."], {"type": "not-is-refusal"}) == [0.0, 1.0]
    assert worth(["5", "3"], {"type": "json-equals"}, references="answer") == [1.0, 0.0]
    assert worth(["one", "ten words"], {"type": "length", "max": 1, "unit": "words"}) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        (
            {"type": "jason"},
            r"grpo.yaml:1: rewards.0.type: found .* \(allowed: json-valid, exact-answer, regex",
        ),
        ({"weight": 1}, r"grpo.yaml:1: rewards.0.type: found"),
        (
            {"type": "json-valid", "wieght": 1},
            r"rewards.0.wieght: unknown key \(allowed: weight, type, partial\)",
        ),
        ({"type": "json-valid", "weight": "x"}, r"rewards.0.weight: found 'x'"),
        ({"type": "regex"}, r"grpo.yaml:1: rewards.0.pattern: the key is missing"),
        ({"type": "regex", "pattern": "("}, r"rewards.0.pattern: found '\(' \(allowed: a regular expression"),
        (
            {"type": "exact-answer", "pattern": "(a)(b)"},
            r"allowed: a regular expression with at most one group",
        ),
        ({"type": "length"}, r"rewards.0: give min, max or both"),
        ({"type": "length", "min": 3, "max": 2}, r"min 3 is greater than max 2"),
        (
            {"type": "exact-answer", "column": "gold"},
            r"rows.jsonl:1: rewards\[0\] \(exact-answer\) reads the column gold",
        ),
        ({"type": "python", "path": "my.py"}, r"allowed: a file and a function's name, such as"),
        ({"type": "python", "path": "none.py:reward"}, r"none.py: can't be read"),
        ({"type": "python", "path": "bad.py:reward"}, r"bad.py: ZeroDivisionError: division by zero"),
        ({"type": "python", "path": "exit.py:reward"}, r"exit.py: SystemExit: 0"),
        ({"type": "python", "path": "ok.py:other"}, r"ok.py: has no function other"),
        ({"type": "python", "path": "ok.py:later"}, r"later is async"),
        (
            {"type": "check", "check": {"type": "equal"}},
            r"rewards\[0\] \(check\): check.type: unknown check type 'equal'",
        ),
        ({"type": "check", "check": {"type": "equals"}}, r"equals needs references or a value"),
        (
            {"type": "check", "check": {"type": "f1", "threshold": "x"}, "references": "refs"},
            r"check.threshold: found 'x'",
        ),
        (
            {"type": "check", "check": {"type": "perplexity"}, "references": "refs"},
            r"perplexity does not depend on the answer",
        ),
        ({"type": "reward-model", "path": "nowhere"}, r"nowhere"),
    ],
)
def test_a_fault_is_named(tmp_path, reward, message):
    (tmp_path / "bad.py").write_text("1 / 0\n")
    (tmp_path / "exit.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "ok.py").write_text("def reward(**_): ...\nasync def later(**_): ...\n")
    with pytest.raises(InputError, match=message):
        build(tmp_path, reward)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"question": "q"}], r"rows.jsonl:1: prompt is missing"),
        ([{"prompt": "q", "completions": "a"}], r"completions: the column's name is taken"),
        ([{"prompt": [{"role": "assistant", "content": "x"}]}], r"the last turn must be the user's"),
        ([], r"contains no row"),
    ],
)
def test_prompts_that_cannot_be_used(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        build(tmp_path, {"type": "json-valid"}, rows=rows)


def test_a_reference_that_a_check_cannot_use_is_named_while_scoring(tmp_path):
    """A JSON check of a row whose reference is no JSON: the row is named."""
    built = build(tmp_path, {"type": "check", "check": {"type": "json-equals"}, "references": "refs"})
    with pytest.raises(InputError, match=r"broke on a \(answer 1 of 2\): .*is not JSON"):
        totals(built, ["5", "3"])
