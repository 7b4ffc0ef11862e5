"""Pairs and thumbs: what is allowed; a bad row is named by file and line."""

import json

import pytest

from harness.errors import DataError
from trainers.data.preferences import load_pairs, load_thumbs

PAIR = {"prompt": "q", "chosen": "good", "rejected": "bad"}
UP = {"prompt": "q", "completion": "good", "label": True}
DOWN = {**UP, "completion": "bad", "label": False}


def write(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [path]


def test_a_pair_becomes_three_conversations(tmp_path):
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    rows = load_pairs(write(tmp_path, PAIR, {**PAIR, "prompt": turns})).rows
    assert rows[0] == {
        "prompt": [{"role": "user", "content": "q"}],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }
    assert rows[1]["prompt"] == turns


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**PAIR, "rejected": "good "}, r"rows.jsonl:2: chosen and rejected are equal"),
        ({"prompt": "q", "chosen": "a"}, r"rows.jsonl:2: rejected is missing \(allowed: prompt, chosen"),
        ({**PAIR, "chosen": ""}, r"rows.jsonl:2: chosen: found ''"),
        ({**PAIR, "prompt": [{"role": "assistant", "content": "a"}]}, "the last turn must be the user's"),
        ({**PAIR, "prompt": 3}, r"rows.jsonl:2: prompt: found 3"),
        ({**PAIR, "margin": 0.5}, r"rows.jsonl:2: margin: not read here; remove it"),
        (
            {**PAIR, "chosen": {"role": "assistant", "content": "good", "weight": 0}},
            r"rows.jsonl:2: weight: the answer has weight 0; remove the row",
        ),
        ({**PAIR, "completion": "c"}, r"rows.jsonl:2: completion: a field of another form of rows"),
        ({**PAIR, "context": "s"}, r"rows.jsonl:2: context: write it into the prompt"),
    ],
)
def test_a_bad_pair_is_named(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        load_pairs(write(tmp_path, PAIR, row))


def test_the_hubs_pairs_with_the_conversation_beside_them(tmp_path):
    """As UltraFeedback's: a prompt, two conversations, and messages with the better answer."""
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}]
    worse = [turns[0], {"role": "assistant", "content": "bad"}]
    row = {"prompt": "q", "prompt_id": "1", "chosen": turns, "rejected": worse, "messages": turns}
    examples = load_pairs(write(tmp_path, row))
    assert examples.repeated == {"messages": 1}
    assert examples.rows[0]["chosen"] == turns[1:]
    with pytest.raises(DataError, match=r"messages: a field of another form .* something else"):
        load_pairs(write(tmp_path, {**row, "messages": worse}))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([UP, {**UP, "label": 1}], r"rows.jsonl:2: label: found 1 \(allowed: true or false\)"),
        ([UP, {"prompt": "q", "completion": "a"}], r"rows.jsonl:2: label is missing"),
        ([UP, UP], r"all labels are true"),
    ],
)
def test_bad_thumbs_are_named(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        load_thumbs(write(tmp_path, *rows))


def test_thumbs(tmp_path):
    assert [row["label"] for row in load_thumbs(write(tmp_path, UP, DOWN)).rows] == [True, False]
