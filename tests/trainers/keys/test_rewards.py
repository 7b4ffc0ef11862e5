"""Every key of every reward does something: two values, two rewards of the same answers."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from trainers.data.rows import Examples
from trainers.rewards.build import build_rewards
from trainers.rewards.catalogue import BUILTIN_REWARDS, RewardSettings, settings_classes
from trainers.rewards.score import RewardBatch, score_answers
from trainers.rewards.settings import WeightedReward

ANSWERS = ["one", "one two three four", '{"a": 1}', 'so {"a": 1}', "ONE", "a is 5"]
COLUMNS = {"answer": "one", "other": "ONE", "number": "5"}
COMMON = {"json-valid": {}, "exact-answer": {}, "regex": {"pattern": "one"}, "length": {"max": 2}}
COMMON |= {"check": {"check": {"type": "contains", "value": "one"}}, "python": {"path": "mine.py:first"}}
# The changed key with two values, and the reward's other keys. None leaves it out.
KEYS = {
    **{(name, "weight"): (1.0, -2.0, keys) for name, keys in COMMON.items()},
    ("json-valid", "partial"): (False, True, {}),
    ("exact-answer", "column"): ("answer", "other", {}),
    ("exact-answer", "pattern"): (None, r"(\d)", {"column": "number"}),
    ("exact-answer", "ignore_case"): (False, True, {}),
    ("regex", "pattern"): ("one", "ONE", {"full": False}),
    ("regex", "full"): (True, False, {"pattern": "one"}),
    ("length", "min"): (None, 2, {"max": 9}),
    ("length", "max"): (None, 2, {"min": 1}),
    ("length", "unit"): ("words", "characters", {"max": 2}),
    ("check", "check"): ({"type": "is-json"}, {"type": "contains", "value": "one"}, {}),
    ("check", "references"): ("answer", "number", {"check": {"type": "contains"}}),
    ("python", "path"): ("mine.py:first", "mine.py:second", {}),
}
# A model's reward is that of rloo's key reward_model, which has its own test of two values.
ELSEWHERE = {("reward-model", "path"), ("reward-model", "weight")}


def test_every_key_is_in_the_table():
    wanted = {
        (str(kind.model_fields["type"].annotation.__args__[0]), key)
        for kind in settings_classes()
        for key in kind.model_fields
        if key != "type"
    }
    assert {name for name, _ in wanted} >= set(BUILTIN_REWARDS)
    assert set(WeightedReward.model_fields) == {"weight"}
    assert {place for place in wanted if place[0] in BUILTIN_REWARDS} == set(KEYS) | ELSEWHERE


@pytest.mark.parametrize(("kind", "key"), KEYS)
def test_two_values_give_two_rewards(tmp_path, kind, key):
    code = "def first(completions, **columns):\n    return [1.0] * len(completions)\n"
    (tmp_path / "mine.py").write_text(code + code.replace("first", "second").replace("1.0", "2.0"))
    one, two, given = KEYS[kind, key]

    def totals(value):
        settings = {"type": kind, **given, **({} if value is None else {key: value})}
        if "path" in settings:
            settings["path"] = str(tmp_path / settings["path"])
        reward = TypeAdapter(RewardSettings).validate_python(settings)
        rows = [{"prompt": [], "columns": COLUMNS} for _ in ANSWERS]
        data = Examples(rows=rows, places=[(Path("rows.jsonl"), 1)] * len(rows), sha256="")
        asked = RewardBatch(
            prompts=[[]] * len(rows),
            completions=[[{"role": "assistant", "content": answer}] for answer in ANSWERS],
            columns=[COLUMNS] * len(rows),
            places=["rows.jsonl:1"] * len(rows),
        )
        return score_answers(build_rewards([reward], data), asked).totals

    assert totals(one) != totals(two)
