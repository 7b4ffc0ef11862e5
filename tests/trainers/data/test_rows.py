"""Training rows; a row that can't be used is named by file and line."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from trainers.data.conversations import load_examples


def load(tmp_path, *rows, **options):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return load_examples([path], **options).rows


def turn(role, content):
    return {"role": role, "content": content}


def test_three_formats_give_conversations(tmp_path):
    messages = [turn("system", "s"), turn("user", "q"), turn("assistant", "a")]
    rows = load(
        tmp_path,
        {"prompt": "q", "completion": "a"},
        {"instruction": "do", "input": "this", "output": "a"},
        {"instruction": "do", "input": " \n", "output": "a", "text": " "},
        "",
        {"messages": messages},
    )
    assert rows == [
        {"prompt": [turn("user", "q")], "completion": [turn("assistant", "a")]},
        {"prompt": [turn("user", "do\n\nthis")], "completion": [turn("assistant", "a")]},
        {"prompt": [turn("user", "do")], "completion": [turn("assistant", "a")]},
        {"prompt": messages[:2], "completion": messages[2:]},
    ]


def test_max_rows_takes_the_first(tmp_path):
    rows = [{"prompt": str(i), "completion": "a"} for i in range(5)]
    assert [row["prompt"][0]["content"] for row in load(tmp_path, *rows, max_rows=2)] == ["0", "1"]


GOOD = {"prompt": "q", "completion": "a"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"rows.jsonl:2: not JSON"),
        ("[1]", r"rows.jsonl:2: found a list"),
        (
            {"promt": "q", "completion": "a"},
            r"rows.jsonl:2: found the keys promt, completion \(allowed: prompt and",
        ),
        ({"prompt": "", "completion": "a"}, r"rows.jsonl:2: prompt: found ''"),
        ({"prompt": "q", "completion": 4}, r"rows.jsonl:2: completion: found 4"),
        ({"instruction": "q", "input": 3, "output": "a"}, r"rows.jsonl:2: input: found 3"),
        ({"messages": []}, "the last must be the assistant's"),
        ({"messages": [turn("user", "q")]}, "the last must be the assistant's"),
        ({"messages": [turn("user", "q"), turn("bot", "a")]}, "found the role 'bot'"),
        ({"instruction": "q", "output": "a", "context": "c"}, r"context: write it into the prompt"),
        ({**GOOD, "system_prompt": "s"}, r"rows.jsonl:2: system_prompt: write it into messages"),
        ({**GOOD, "weight": 0}, r"rows.jsonl:2: weight: not read here; remove it"),
        ({**GOOD, "loss_mask": [0, 1]}, r"rows.jsonl:2: loss_mask: not read here; remove it"),
        ({**GOOD, "tool_calls": [{"name": "f"}]}, r"rows.jsonl:2: tool_calls: not read here"),
        (
            {**GOOD, "label": False},
            r"label: a field of another form of rows \(this one: completion, history, prompt, system, tools\)",
        ),
        ({**GOOD, "rejected": "b"}, r"rejected: a field of another form of rows"),
        (
            {**GOOD, "messages": [turn("user", "q"), turn("assistant", "b")]},
            r"rows.jsonl:2: completion: a field of another form of rows \(this one: history, messages, system",
        ),
        *(
            (
                {**GOOD, **second},
                rf"rows.jsonl:2: {next(iter(second))}: a field of another form .* something else",
            )
            for second in (
                {"text": "q b"},
                {"text": "a q"},
                {"response": "b"},
                {"answer": "4"},
                {"output": "other"},
                {"question": "r"},
                {"response": "q"},
                {"instruction": "r"},
            )
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        load(tmp_path, GOOD, row)


def test_fields_that_say_nothing_about_learning_are_left_alone(tmp_path):
    """A source, a topic; and fields that a table filled with nothing."""
    empty = {"system": "", "history": [], "tools": None, "weight": 1, "messages2": 3}
    rows = load(tmp_path, {**GOOD, "topic": "t", "steps": [1], "label": "sports", **empty})
    assert rows == [{"prompt": [turn("user", "q")], "completion": [turn("assistant", "a")]}]
    turns = [turn("user", "q"), {**turn("assistant", "a"), "tool_calls": None, "name": ""}]
    assert load(tmp_path, {"messages": turns})[0]["completion"] == [turn("assistant", "a")]


ALPACA = "Below is …\n\n### Instruction:\nName it.\n\n### Input:\nred\n\n### Response:\nrouge"


@pytest.mark.parametrize(
    ("row", "left_out"),
    [
        (
            {"instruction": "Name it.", "input": "red", "output": "rouge", "text": ALPACA},
            ["text"],
        ),
        ({"prompt": "q", "completion": "so 4", "answer": "4", "response": "so 4 "}, ["answer", "response"]),
        (
            {"prompt": "q", "prompt_id": "1", "messages": [turn("user", "q"), turn("assistant", "a")]},
            ["prompt"],
        ),
    ],
)
def test_a_second_form_that_says_the_same_is_left_out_and_told(tmp_path, row, left_out):
    """Alpaca's text, the result of an answer, the hub's prompt beside messages."""
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    examples = load_examples([tmp_path / "rows.jsonl"])
    assert examples.repeated == dict.fromkeys(left_out, 1)
    assert set(examples.rows[0]) == {"prompt", "completion"}
    assert f"left out as said twice: {left_out[0]} (1)" in examples.title


def test_an_empty_file_and_a_missing_one(tmp_path):
    with pytest.raises(DataError, match=r"contains no row \(allowed: rows with"):
        load(tmp_path, "")
    with pytest.raises(DataError, match=r"none.jsonl: can't be read: No such file"):
        load_examples([tmp_path / "none.jsonl"])


def test_several_files_are_read_in_order_and_a_bad_row_names_its_own(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text(json.dumps(GOOD) + "\n")
    second.write_text("\n" + json.dumps(GOOD) + "\n")
    examples = load_examples([first, second])
    assert examples.places == [(first, 1), (second, 2)]
    assert len(load_examples([first, second], 1).rows) == 1
    assert examples.sha256 != load_examples([second, first]).sha256
    second.write_text("{}\n")
    with pytest.raises(DataError, match=r"b.jsonl:1: found the keys none"):
        load_examples([first, second])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert load_examples([path]).rows
