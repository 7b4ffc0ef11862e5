"""Conversations in every form that is read; what would be dropped is refused by name."""

import json

import pytest

from harness.errors import DataError
from trainers.data.conversations import load_examples
from trainers.data.learnt_tokens import answers_to_learn
from trainers.data.preferences import load_pairs, load_thumbs


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


def load(tmp_path, *rows, reader=load_examples, **options):
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return reader([path], **options).rows


SYSTEM, ASKED, SAID = turn("system", "s"), turn("user", "q"), turn("assistant", "a")
EARLIER = [turn("user", "q0"), turn("assistant", "a0")]
CALL = turn("assistant", "", tool_calls=[{"name": "weather", "arguments": {"city": "Paris"}}])
RESULT = turn("tool", "sunny", name="weather")
OPENAI_CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
}
WEATHER = {"name": "weather", "description": "", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": WEATHER}]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [SYSTEM, *EARLIER, ASKED, SAID]},
        {"messages": [*EARLIER, ASKED, SAID], "system": "s"},
        {"messages": json.dumps([SYSTEM, *EARLIER, ASKED, SAID])},
        {
            "conversations": [
                {"from": "system", "value": "s"},
                {"from": "human", "value": "q0"},
                {"from": "gpt", "value": "a0"},
                {"from": "human", "value": "q"},
                {"from": "gpt", "value": "a"},
            ]
        },
        {"conversations": [*EARLIER, ASKED, SAID], "system": "s"},
        {"prompt": "q", "completion": "a", "system": "s", "history": [["q0", "a0"]]},
        {"prompt": [SYSTEM, *EARLIER, ASKED], "completion": [SAID]},
        {"instruction": "q", "input": "", "output": "a", "system": "s", "history": [["q0", "a0"]]},
        {"messages": [SYSTEM, *EARLIER, turn("user", [{"type": "text", "text": "q"}]), SAID]},
    ],
)
def test_all_forms_give_the_same_conversation(tmp_path, row):
    assert load(tmp_path, row) == [{"prompt": [SYSTEM, *EARLIER, ASKED], "completion": [SAID]}]


@pytest.mark.parametrize(
    "row",
    [
        {
            "messages": [
                ASKED,
                turn("assistant", None, tool_calls=[OPENAI_CALL]),
                {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
                SAID,
            ],
            "tools": [WEATHER],
        },
        {
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": json.dumps(CALL["tool_calls"][0])},
                {"from": "observation", "value": "sunny", "name": "weather"},
                {"from": "gpt", "value": "a"},
            ],
            "tools": json.dumps(TOOLS),
        },
        {
            "messages": [
                ASKED,
                turn("assistant", None, function_call=OPENAI_CALL["function"]),
                {"role": "function", "content": "sunny", "name": "weather"},
                SAID,
            ],
            "tools": [WEATHER],
        },
    ],
)
def test_calls_of_tools_are_read(tmp_path, row):
    assert load(tmp_path, row) == [{"prompt": [ASKED, CALL, RESULT], "completion": [SAID], "tools": TOOLS}]


def test_tools_are_described_as_the_gate_s_are(tmp_path):
    """Templates write them as JSON, in their keys' order."""
    from harness.golden.tool_schema import ToolYaml
    from harness.golden.value_rules import read_tools

    properties = {"city": {"type": "string"}}
    given = {"parameters": {"type": "object", "properties": properties}, "description": "d", "name": "w"}
    (row,) = load(tmp_path, {"messages": [ASKED, SAID], "tools": [given]})
    ours = read_tools([ToolYaml.model_validate(given)], tmp_path)
    assert json.dumps(row["tools"]) == json.dumps(list(ours))


def test_results_stand_in_the_order_of_their_calls(tmp_path):
    """Chat templates pair them by their order."""
    calls = [{"id": each, "name": "weather", "arguments": {"city": each}} for each in ("Paris", "Rome")]
    results = [{"role": "tool", "content": f"of {each}", "tool_call_id": each} for each in ("Rome", "Paris")]
    row = {"messages": [ASKED, turn("assistant", "", tool_calls=calls), *results, SAID]}
    (found,) = load(tmp_path, row)
    named = [turn("tool", f"of {each}", name="weather") for each in ("Paris", "Rome")]
    assert found["prompt"][2:] == named
    assert found["prompt"][1]["tool_calls"][0] == {"name": "weather", "arguments": {"city": "Paris"}}


def test_an_empty_earlier_answer_is_not_learnt(tmp_path):
    turns = [turn("user", "q0"), turn("assistant", ""), ASKED, SAID]
    assert len(load(tmp_path, {"messages": turns})) == 1
    with pytest.raises(DataError, match="learn: an earlier answer is empty; give it weight 0"):
        load(tmp_path, {"messages": turns}, learn="all")
    turns[1] = {**turns[1], "weight": 0}
    assert len(load(tmp_path, {"messages": turns}, learn="all")) == 1


def test_a_call_may_be_the_answer(tmp_path):
    row = {"messages": [ASKED, turn("assistant", "", tool_calls=[OPENAI_CALL])], "tools": TOOLS}
    assert load(tmp_path, row)[0]["completion"] == [CALL]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_a_reasoning_is_read(tmp_path, field):
    row = {"messages": [ASKED, {**SAID, field: "because"}]}
    assert load(tmp_path, row)[0]["completion"] == [{**SAID, "reasoning": "because"}]


def test_weights_choose_the_answers_that_are_learnt(tmp_path):
    turns = [turn("user", "q0"), turn("assistant", "a0", weight=0), ASKED, {**SAID, "weight": 1}]
    (row,) = load(tmp_path, {"messages": turns}, learn="all")
    assert (answers_to_learn(row, "all"), answers_to_learn(row, "last")) == ([3], [3])
    (row,) = load(tmp_path, {"messages": [*EARLIER, ASKED, SAID]}, learn="all")
    assert (answers_to_learn(row, "all"), answers_to_learn(row, "last")) == ([1, 3], [3])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"messages": [ASKED, turn("bot", "a")]}, "messages: found the role 'bot' "),
        ({"messages": [turn(None, "q"), SAID]}, "messages: each needs role"),
        ({"messages": [turn("user", [{"type": "image", "url": "u"}]), SAID]}, "has a part of type 'image'"),
        ({"messages": [ASKED, {**SAID, "value": "other"}]}, "a turn has content and value; leave one"),
        ({"messages": [{**ASKED, "from": "gpt"}, SAID]}, "a turn has role and from; leave one"),
        (
            {"messages": [ASKED, {**SAID, "reasoning": "r", "thinking": "s"}]},
            "a turn has reasoning and thinking; leave one",
        ),
        ({"messages": [ASKED, {**SAID, "name": "Bob"}]}, "a turn has name, which is read for a tool's"),
        ({"messages": [ASKED, {**SAID, "weight": [1]}]}, r"weight: found \[1\] \(allowed: 0 and 1\)"),
        ({"prompt": "q", "completion": "a", "history": [["", "a"]]}, r"history: found \['', 'a'\]"),
        ({"prompt": "q", "completion": "a", "history": '[["x"]]'}, r"history: found \['x'\]"),
        ({"messages": [ASKED, {**SAID, "audio": {"id": "x"}}]}, "a turn has audio, which is not read"),
        ({"messages": [{**ASKED, "name": "Bob"}, SAID]}, "a turn has name, which is read for a tool's"),
        (
            {"messages": [{**ASKED, "weight": 1}, SAID]},
            "weight: only an assistant's turn has it, not the user's",
        ),
        ({"messages": [ASKED, {**SAID, "weight": 0.5}]}, r"weight: found 0.5 \(allowed: 0 and 1\)"),
        ({"messages": [ASKED, {**SAID, "weight": 0}]}, "weight: every answer to learn has weight 0"),
        (
            {"messages": [turn("user", "b"), {**SAID, "weight": 1}, ASKED, SAID]},
            "weight: an earlier answer has weight 1; learn it with learn: all",
        ),
        ({"messages": [ASKED, {**SAID, "tool_calls": [{"id": 1}]}]}, "tool_calls: found {'id': 1}"),
        (
            {"messages": [ASKED, {**SAID, "tool_calls": [{"name": "f", "args": {"x": 1}}]}]},
            "tool_calls: a call has args, which is not read",
        ),
        (
            {
                "messages": [
                    ASKED,
                    {**SAID, "tool_calls": [{"name": "f", "arguments": {"x": 1}, "parameters": {"y": 1}}]},
                ]
            },
            "tool_calls: a call has arguments and parameters; leave one",
        ),
        (
            {
                "messages": [
                    ASKED,
                    turn("assistant", "", tool_calls=[OPENAI_CALL]),
                    {**RESULT, "tool_call_id": "c2"},
                ]
            },
            "tool_call_id: found 'c2', the id of no call before it",
        ),
        (
            {"messages": [ASKED, CALL, turn("tool", {"t": 1}), SAID]},
            r"a turn's content: found {'t': 1} \(allowed: a text\)",
        ),
        ({"messages": [ASKED, SAID], "tools": [{"x": 1}]}, "tools: found {'x': 1}"),
        (
            {"messages": [SYSTEM, ASKED, SAID], "system": "t"},
            "system: there is a system turn in messages too",
        ),
        ({"prompt": "q", "completion": "a", "history": [["x"]]}, r"history: found \['x'\] \(allowed: pairs"),
        ({"prompt": "q", "completion": [ASKED]}, "completion: must be one turn, the assistant's answer"),
        (
            {"conversations": [{"from": "human", "value": "q"}]},
            "conversations: the last must be the assistant's",
        ),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "function_call", "value": "{"}]},
            "conversations: '{' is not JSON",
        ),
        ({"messages": [turn("user", " "), SAID]}, "messages: the user's turn is empty"),
    ],
)
def test_what_would_be_dropped_is_refused_by_name(tmp_path, row, message):
    with pytest.raises(DataError, match=rf"rows.jsonl:1: .*{message}"):
        load(tmp_path, row)


PAIR = {"prompt": [ASKED], "chosen": [turn("assistant", "good")], "rejected": [turn("assistant", "bad")]}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "good", "rejected": "bad"},
        {"prompt": [ASKED], "chosen": turn("assistant", "good"), "rejected": [turn("assistant", "bad")]},
        {
            "prompt": "q",
            "chosen": [ASKED, turn("assistant", "good")],
            "rejected": [ASKED, turn("assistant", "bad")],
        },
        {"chosen": [ASKED, turn("assistant", "good")], "rejected": [ASKED, turn("assistant", "bad")]},
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "good"},
            "rejected": {"from": "gpt", "value": "bad"},
        },
        {"instruction": "q", "input": "", "chosen": "good", "rejected": "bad"},
    ],
)
def test_all_forms_of_pairs_give_the_same(tmp_path, row):
    assert load(tmp_path, row, reader=load_pairs) == [PAIR]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"prompt": "x", "chosen": [ASKED, SAID], "rejected": [ASKED, turn("assistant", "b")]},
            "prompt: not the last question in chosen and rejected",
        ),
        (
            {"chosen": [ASKED, SAID], "rejected": [turn("user", "other"), turn("assistant", "b")]},
            "two conversations must be the same up to their last turns",
        ),
        ({"chosen": "a", "rejected": "b"}, "prompt is missing"),
    ],
)
def test_pairs_that_do_not_belong_together_are_named(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        load(tmp_path, row, reader=load_pairs)


def test_thumbs_may_be_whole_conversations_and_texts_of_a_table(tmp_path):
    rows = [
        {"messages": [ASKED, SAID], "label": True},
        {"prompt": "q", "completion": "a", "label": "False"},
    ]
    found = load(tmp_path, *rows, reader=load_thumbs)
    assert [row["label"] for row in found] == [True, False]
    assert all((row["prompt"], row["completion"]) == ([ASKED], [SAID]) for row in found)
