"""Tools and tool messages of golden sets."""

import json

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.types import ToolCall

WEATHER = "{name: get_weather, description: Weather, parameters: {type: object, properties: {city: {type: string}}}}"
CHECK = "checks: [{type: is-valid-openai-tools-call}]"


def load(folder, text):
    path = folder / "set.yaml"
    path.write_text(text)
    return load_golden_set(path)


def test_tools_of_the_set_and_of_a_case(tmp_path):
    text = (
        f"name: x\ndefaults: {{tools: [{WEATHER}]}}\ncases:\n  - {{id: a, prompt: p, {CHECK}}}\n"
        f"  - {{id: b, prompt: p, tools: [{{name: now}}], {CHECK}}}\n  - {{id: c, prompt: p, tools: [], checks: [{{type: is-json}}]}}\n"
    )
    a, b, c = load(tmp_path, text).cases
    assert a.generation.tools == (
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Weather",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        },
    )
    assert [tool["function"]["name"] for tool in b.generation.tools] == ["now"]
    assert c.generation.tools == ()
    assert a.content_sha256 != b.content_sha256


@pytest.mark.parametrize("openai", [True, False])
def test_tools_in_a_json_file(tmp_path, openai):
    tool = {"name": "now", "description": "Time", "parameters": {"type": "object", "properties": {}}}
    (tmp_path / "tools.json").write_text(
        json.dumps([{"type": "function", "function": tool | {"strict": True}} if openai else tool])
    )
    (case,) = load(
        tmp_path, f"name: x\ncases: [{{id: a, prompt: p, tools: 'file://tools.json', {CHECK}}}]"
    ).cases
    assert case.generation.tools == ({"type": "function", "function": tool},)


@pytest.mark.parametrize(
    "tool", ["{name: f}", "{type: function, function: {name: f, strict: true}}", "{type: function, name: f, strict: false}"]
)  # fmt: skip
def test_a_tool_in_openais_form_is_the_one_inside(tmp_path, tool):
    (case,) = load(tmp_path, f"name: x\ncases: [{{id: a, prompt: p, tools: [{tool}], {CHECK}}}]").cases
    parameters = {"type": "object", "properties": {}}
    assert case.generation.tools == (
        {"type": "function", "function": {"name": "f", "description": "", "parameters": parameters}},
    )


@pytest.mark.parametrize(
    ("tool", "key"),
    [("{type: function, function: {nam: f}}", "tools.0..function.nam: unknown key; did you mean name"), ("{type: function, function: {description: d}}", "tools.0..function.name: the key is missing"), ("{type: function, function: {name: f}, x: 1}", "tools.0..x: unknown key"), ("{type: tool, name: f}", "tools.0..type: unknown key")],
)  # fmt: skip
def test_a_fault_in_a_tool_of_openais_form_is_told_by_its_key(tmp_path, tool, key):
    with pytest.raises(GoldenError, match=key):
        load(tmp_path, f"name: x\ncases: [{{id: a, prompt: p, tools: [{tool}], {CHECK}}}]")


def test_calls_and_results_among_the_messages(tmp_path):
    text = """
name: x
cases:
  - id: a
    vars: {city: Oslo}
    messages:
      - {role: user, content: "Weather in {{city}}?"}
      - {role: assistant, tool_calls: [{name: get_weather, arguments: {city: "{{city}}", days: 2}}]}
      - {role: tool, name: get_weather, content: '{"sky": "grey"}'}
    checks: [{type: contains, value: grey}]
"""
    user, call, result = load(tmp_path, text).cases[0].messages
    assert user.content == "Weather in Oslo?"
    assert call.tool_calls == (ToolCall(name="get_weather", arguments={"city": "Oslo", "days": 2}),)
    assert (result.role, result.name, result.content) == ("tool", "get_weather", '{"sky": "grey"}')


USER = "{role: user, content: u}"
CALLS_A, OF_A = "{role: assistant, tool_calls: [{name: a}]}", "{role: tool, name: a, content: x}"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (f"prompt: p, {CHECK}", "a: is-valid-openai-tools-call needs tools"),
        (f"prompt: p, tools: [], {CHECK}", "needs tools"),
        (f"prompt: p, tools: [{{name: a}}, {{name: a}}], {CHECK}", "the tool a occurs twice"),
        (f"prompt: p, tools: [{{name: a, parameters: {{type: 3}}}}], {CHECK}", "the parameters of a: not a JSON Schema"),
        (f"prompt: p, tools: [{{nam: a}}], {CHECK}", r"tools\[0\].nam: unknown key"),
        (f"prompt: p, tools: now, {CHECK}", 'found "now" .allowed: a list of tools, or file://'),
        (f"prompt: p, tools: 'file://no.json', {CHECK}", "file://no.json can't be read"),
        (f"prompt: p, tools: 'file://bad.json', {CHECK}", "file://bad.json is not JSON"),
        (f"prompt: p, tools: 'file://set.json', {CHECK}", "file://set.json is no list of tools"),
        (f"prompt: p, tools: 'file://odd.json', {CHECK}", "file://odd.json: nam: Extra inputs"),
        (f"messages: [{{role: user, content: u, tool_calls: [{{name: a}}]}}], {CHECK}", "a user message calls no tools"),
        (f"messages: [{{role: user, content: u, name: a}}], {CHECK}", "only a tool's result has a name"),
        (f"messages: [{{role: assistant}}, {USER}], {CHECK}", "the content is missing"),
        (f"messages: [{{role: tool, name: a, content: x}}], {CHECK}", r"messages.0.: message 1 is a result of a, which no message before it calls"),
        (f"messages: [{USER}, {CALLS_A}, {{role: tool, content: x}}], {CHECK}", r"messages\[2\]: a tool's result has the name of its tool"),
        (f"messages: [{USER}, {CALLS_A}, {{role: tool, name: b, content: x}}], {CHECK}", "message 3 is a result of b"),
        (f"messages: [{USER}, {CALLS_A}, {OF_A}, {OF_A}], {CHECK}", "message 4 is a result of a"),
        (f"messages: [{USER}, {CALLS_A}, {USER}, {OF_A}], {CHECK}", "message 4 is a result of a"),
        (f"messages: [{USER}, {CALLS_A}, {{role: tool, tool_call_id: x, content: x}}], {CHECK}", "tool_call_id: unknown key"),
        ("prompt: p, tools: [{name: get_weather}], checks: [{type: tool-calls, value: [{name: get_wether}]}]", r"checks\[0\].value\[0\]: a: tool-calls expects the tool get_wether, which the case does not offer; did you mean get_weather"),
        ("prompt: p, tools: [{name: a}], checks: [{type: tool-call-f1, threshold: 1, value: [a, b]}]", r"value\[1\]: a: tool-call-f1 expects the tool b"),
        ("prompt: p, tools: [{name: a}], checks: [{type: all-of, checks: [{type: tool-calls, value: [{name: b}]}]}]", r"checks\[0\]: a: all-of expects the tool b"),
        ("turns: [{user: u, checks: [{type: tool-calls, value: [{name: b}]}]}, {user: v}], tools: [{name: a}]", r"turns\[0\].checks\[0\].value\[0\]: a: tool-calls expects the tool b"),
        ("prompt: p, checks: [{type: tool-calls, value: {name: a}}]", "value: found .*a list of calls"),
        ("prompt: p, checks: [{type: tool-calls, value: [{nam: a}]}]", r"value\[0\]: found"),
        ("prompt: p, checks: [{type: tool-calls, value: [{name: a, args: {}}]}]", r"value\[0\].args: unknown key"),
        ("prompt: p, checks: [{type: tool-calls, value: [{name: a, arguments: 3}]}]", r"value\[0\].arguments: found 3"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(tmp_path, keys, message):
    (tmp_path / "bad.json").write_text("[")
    (tmp_path / "set.json").write_text("{}")
    (tmp_path / "odd.json").write_text('[{"nam": "a"}]')
    with pytest.raises(GoldenError, match=message):
        load(tmp_path, f"name: x\ncases:\n  - {{id: a, {keys}}}\n")


@pytest.mark.parametrize(
    "keys",
    [
        f"messages: [{USER}, {{role: assistant, tool_calls: [{{name: a}}, {{name: b}}]}}, {{role: tool, name: b, content: x}}, {OF_A}], tools: [{{name: a}}], {CHECK}",
        "prompt: p, checks: [{type: tool-calls, value: [{name: in_prose}]}]",
        "prompt: p, tools: [{name: a}], checks: [{type: not-any-of, checks: [{type: tool-calls, value: [{name: b}]}]}, {type: is-json}]",
        "prompt: p, tools: [{name: a}], checks: [{type: tool-calls, value: [{name: a}]}]",
    ],
)  # fmt: skip
def test_results_in_any_order_tools_in_the_prompt_and_calls_that_must_not_be_made_are_fine(tmp_path, keys):
    load(tmp_path, f"name: x\ncases:\n  - {{id: a, {keys}}}\n")


def test_variables_are_filled_in_tools_too(tmp_path):
    tool = "{name: now, description: 'Time in {{city}}', parameters: {type: object, properties: {zone: {type: string, default: '{{city}}'}}}}"
    text = (
        f"name: x\ncases:\n  - {{id: a, prompt: p, vars: {{city: [Oslo, Rome]}}, tools: [{tool}], {CHECK}}}\n"
    )
    functions = [case.generation.tools[0]["function"] for case in load(tmp_path, text).cases]
    assert [function["description"] for function in functions] == ["Time in Oslo", "Time in Rome"]
    assert functions[1]["parameters"]["properties"]["zone"]["default"] == "Rome"
    with pytest.raises(GoldenError, match=r"tools: a-Oslo: {{town}} has no value"):
        load(tmp_path, text.replace("Time in {{city}}", "Time in {{town}}"))
    assert (
        load(tmp_path, text.replace("vars: {city: [Oslo, Rome]}, ", ""))
        .cases[0]
        .generation.tools[0]["function"]["description"]
        == "Time in {{city}}"
    )
