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
        json.dumps([{"type": "function", "function": tool} if openai else tool])
    )
    (case,) = load(
        tmp_path, f"name: x\ncases: [{{id: a, prompt: p, tools: 'file://tools.json', {CHECK}}}]"
    ).cases
    assert case.generation.tools == ({"type": "function", "function": tool},)


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
