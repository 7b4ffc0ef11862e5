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
    (row,) = load(tmp_path, {"prompt": "q", "completion": "a", "answer": 4, "context": "c", "history": []})
    assert row["prompt"] == [{"role": "user", "content": "q"}]
    assert row["columns"] == {"completion": "a", "answer": 4, "context": "c", "history": []}


@pytest.mark.parametrize("name", ["system", "system_prompt", "history", "tools", "messages"])
def test_what_would_not_be_asked_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=rf"rows.jsonl:1: {name}: not a part of the prompt"):
        load(tmp_path, {"prompt": "q", name: "x"})
