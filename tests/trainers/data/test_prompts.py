"""Prompts to answer: what rewards read stays beside them, what should be asked with them is refused."""

import json

import pytest

from harness.errors import DataError
from trainers.data.prompts import load_prompts


def load(tmp_path, row):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row))
    return load_prompts([path]).rows


def test_columns_are_for_rewards(tmp_path):
    (row,) = load(tmp_path, {"prompt": "q", "completion": "a", "answer": 4, "context": "c", "input": "i"})
    assert row["prompt"] == [{"role": "user", "content": "q"}]
    assert row["columns"] == {"completion": "a", "answer": 4, "context": "c", "input": "i"}


USER, REPLY = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
SYSTEM = {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    ("row", "turns", "columns"),
    [
        ({"prompt": "q", "system": "s", "history": []}, [SYSTEM, USER], {}),
        ({"prompt": "q", "history": [["q", "a"]], "answer": 1}, [USER, REPLY, USER], {"answer": 1}),
        ({"messages": [SYSTEM, USER], "answer": 1}, [SYSTEM, USER], {"answer": 1}),
        ({"conversations": [{"from": "human", "value": "q"}]}, [USER], {}),
        (
            {"instruction": "q", "input": "i", "output": "a"},
            [{"role": "user", "content": "q\n\ni"}],
            {"output": "a"},
        ),
        ({"prompt": "q", "instruction": "i"}, [USER], {"instruction": "i"}),
    ],
)
def test_the_forms_of_other_trainers(tmp_path, row, turns, columns):
    (found,) = load(tmp_path, row)
    assert (found["prompt"], found["columns"]) == (turns, columns)


@pytest.mark.parametrize("name", ["system_prompt", "tools", "messages", "conversations", "images"])
def test_what_would_not_be_asked_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=rf"rows.jsonl:1: {name}: not a part of the prompt"):
        load(tmp_path, {"prompt": "q", name: "x"})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [USER, REPLY]}, "messages: the last turn must be the user's"),
        ({"messages": [SYSTEM, USER], "system": "s"}, "system: there is a system turn in messages too"),
        ({"prompt": "q", "system": 3}, "system: "),
        ({"question": "q"}, "prompt is missing"),
    ],
)
def test_questions_that_cannot_be_read_are_refused(tmp_path, row, said):
    with pytest.raises(DataError, match=f"rows.jsonl:1: {said}"):
        load(tmp_path, row)
