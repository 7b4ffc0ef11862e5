"""Calls of tools in answers."""

from dataclasses import replace

import pytest

from harness.metrics.call_json import CallError, KnownTools
from harness.metrics.definition import score_function
from harness.metrics.written_calls import written_calls
from harness.types import GenerationSettings

OSLO = ("get_weather", {"city": "Oslo"})
CALL = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (f"<tool_call>\n{CALL}\n</tool_call>", [OSLO]),
        (f"I'll look.\n<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>", [OSLO, OSLO]),
        ("<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>3</parameter></function>\n</tool_call>", [("get_weather", {"city": "Oslo", "days": 3})]),
        (CALL, [OSLO]),
        (f" {CALL}\n", [OSLO]),
        (f"[{CALL}, {CALL}]", [OSLO, OSLO]),
        (f"[TOOL_CALLS] [{CALL}]", [OSLO]),
        ('<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"}}', [OSLO]),
        ('{"tool_calls": [{"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Oslo\\"}"}}]}', [OSLO]),
        ('{"name": "now"}', [("now", {})]),
        (f'{CALL}; {{"name": "now"}}', [OSLO, ("now", {})]),
        (f"{CALL}\n{CALL}\n", [OSLO, OSLO]),
        ('[get_weather(city="Oslo"), now()]', [OSLO, ("now", {})]),
        ("get_weather(city='Oslo')", [OSLO]),
        # In words, or other JSON.
        ("", []),
        ("It is grey in Oslo.", []),
        ('{"sky": "grey"}', []),
        ("[1, 2]", []),
        ("{not json", []),
        ("f(x) is a function", []),
        ("print(1)", []),
        ("sum([a, b])", []),
    ],
)  # fmt: skip
def test_calls_are_read(text, calls):
    known = KnownTools(frozenset(["get_weather", "now"]))
    assert [(call.name, dict(call.arguments)) for call in written_calls(text, known)] == calls


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{CALL}",
        "<tool_call>{bad}</tool_call>",
        "<tool_call></tool_call>",
        '<tool_call>{"sky": "grey"}</tool_call>',
        '<tool_call>{"name": "a", "arguments": {"x": NaN}}</tool_call>',
        '{"name": "a", "arguments": [1]}',
        '{"name": "a", "arguments": "{bad"}',
        '{"name": "get_weather", "arguments": {"city": "Os',
        "[TOOL_CALLS] [{bad",
        f'{CALL} {{"sky": "grey"}}',
        "f(x=y)",
        "f(x={1, 2})",
        "f(x=1e999)",
        "<tool_call>" + "[" * 3000 + "</tool_call>",
    ],
)
def test_a_call_that_can_not_be_read_is_no_answer_in_words(text):
    with pytest.raises(CallError):
        written_calls(text)


TOOLS = tuple(
    {"type": "function", "function": {"name": name, "description": "", "parameters": schema}}
    for name, schema in {
        "get_weather": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
        "now": {"type": "object", "properties": {}},
    }.items()
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "valid", "reason"),
    [
        (CALL, 1, "valid: get_weather"),
        (f"[{CALL}, {{\"name\": \"now\"}}]", 1, "valid: get_weather, now"),
        ('{"name": "get_weather", "arguments": {}}', 0, "the arguments of get_weather: $: 'city' is a required property"),
        ('{"name": "get_weather", "arguments": {"city": 3}}', 0, "the arguments of get_weather: $.city: 3 is not of type 'string'"),
        ('{"name": "rain", "arguments": {}}', 0, "there is no tool rain; tools are get_weather, now"),
        ("It is grey.", 0, "the answer calls no tool"),
        ("<tool_call>{", 0, "a call can't be read: the call has no end"),
    ],
)  # fmt: skip
def test_valid_calls(request_for, text, valid, reason):
    request = request_for("is-valid-openai-tools-call", text)
    case = replace(request.case, generation=GenerationSettings(tools=TOOLS))
    (result,) = score_function("is-valid-openai-tools-call")([replace(request, case=case)])
    assert (result.value, result.explanation) == (valid, reason)


A1, A2, B = (
    '{"name": "a", "arguments": {"x": 1}}',
    '{"name": "a", "arguments": {"x": 2}}',
    '{"name": "b", "arguments": {}}',
)
ANY_A = {"name": "a"}
ONE, TWO = {"name": "a", "arguments": {"x": 1}}, {"name": "a", "arguments": {"x": 2}}


@pytest.mark.parametrize(
    ("calls", "value", "options", "value_is"),
    [
        ([A1], [ONE], {}, 1),
        ([A1], [{"name": "a", "arguments": {"x": 1.0}}], {}, 1),
        ([A1], [TWO], {}, 0),
        ([A1], [{"name": "a", "arguments": {}}], {}, 0),
        ([A1], [ANY_A], {}, 1),
        ([A1, A2], [TWO, ONE], {}, 1),
        ([A1, A2], [TWO, ONE], {"ordered": True}, 0),
        ([A1, A2], [ONE, TWO], {"ordered": True}, 1),
        ([A1, B, A2], [ONE, TWO], {"ordered": True}, 0),
        ([A1, B, A2], [ONE, TWO], {"ordered": True, "others": True}, 1),
        ([A1, A2], [ONE], {}, 0),
        ([A1, A2], [ONE], {"others": True}, 1),
        # The call that fits both is left to the one that needs it.
        ([A1, A2], [ANY_A, ONE], {}, 1),
        ([A1], [ANY_A, ANY_A], {}, 0),
        ([], [], {}, 1),
        ([A1], [], {}, 0),
        ([], [ANY_A], {}, 0),
    ],
)
def test_expected_calls(score, calls, value, options, value_is):
    text = f"[{', '.join(calls)}]" if calls else "In words."
    assert score("tool-calls", text, value=value, **options).value == value_is


def test_the_reason_names_the_argument(score):
    assert score("tool-calls", A1, value=[TWO]).explanation == "a.x: expected 2, found 1"
    assert score("tool-calls", B, value=[ONE]).explanation == "no call of a, only of b"
    assert score("tool-calls", "<tool_call>{", value=[]).value == 0


@pytest.mark.parametrize(
    ("text", "value", "f1"),
    [(A1, ["a"], 1), (f"[{A1}, {A2}]", ["a"], 1), (f"[{A1}, {B}]", ["a"], 2 / 3), (A1, ["a", "b"], 2 / 3), (B, ["a"], 0), ("words", ["a"], 0), ("<tool_call>", ["a"], 0)],
)  # fmt: skip
def test_f1_of_names(score, text, value, f1):
    assert score("tool-call-f1", text, value=value).value == pytest.approx(f1)


TOOLS_OF = KnownTools(frozenset(["f", "g"]))
F, G = ("f", {"a": 1}), ("g", {})
JSON_F, JSON_G = '{"name": "f", "arguments": {"a": 1}}', '{"name": "g", "arguments": {}}'


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        # Families.
        ('[TOOL_CALLS]f[ARGS]{"a": 1}', [F]), ('[TOOL_CALLS]f[CALL_ID]abc123[ARGS]{"a": 1}[TOOL_CALLS]g[ARGS]{}', [F, G]), ('f{"a": 1}', [F]), ('f[ARGS]{"a": 1}', [F]), (f"[TOOL_CALLS] [{JSON_F}, {JSON_G}]", [F, G]), (f"[TOOL_CALLS]{JSON_F}", [F]),
        ('<|python_tag|>{"name": "f", "parameters": {"a": 1}}; {"name": "g", "parameters": {}}', [F, G]), ('<|python_tag|>f.call(a=1)', [F]), (f"<|python_tag|>{JSON_F}<|eom_id|>", [F]), (f"{JSON_F}<|im_end|>\n</s>", [F]), ('<|python_tag|>brave_search.call(query="x")', [("brave_search", {"query": "x"})]), ('{"type": "function", "name": "f", "parameters": {"a": 1}}', [F]),
        ('<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {"a": 1}}]<|END_ACTION|>', [F]), ('Action: ```json\n[{"tool_name": "f", "parameters": {"a": 1}}]\n```', [F]), (f"<TOOLCALL>[{JSON_F}, {JSON_G}]</TOOLCALL>", [F, G]),
        ('<|action_start|><|plugin|>{"name": "f", "parameters": {"a": 1}}<|action_end|>', [F]), (f"<|tool_call|>[{JSON_F}]", [F]), (f"<|tool_call|>[{JSON_F}]<|/tool_call|>", [F]), (f"<tool_call>[{JSON_F}]", "end"), (f"functools[{JSON_F}]", [F]), (f"<tool_calls>[{JSON_F}, {JSON_G}]</tool_calls>", [F, G]),
        (f"<tool_calls>\n{JSON_F}\n{JSON_G}\n</tool_calls>", [F, G]), ("<tool_calls><tool_call>f<tool_sep><arg_key>a</arg_key><arg_value>1</arg_value></tool_call></tool_calls>", [F]), ('<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>', [F]), ('functions.f:0{"a": 1}', [F]),
        ("<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>", [F]), ("<function=f>\n<parameter=a>\n1\n</parameter>\n</function>", [F]), ('<function=f>{"a": 1}</function>', [F]), (f"<TOOL_CALL>{JSON_F}</TOOL_CALL>", [F]), (f"<tool_call >{JSON_F}</tool_call>", [F]),
        ("<|tool_call_start|>[f(a=1), g()]<|tool_call_end|>", [F, G]), ("```tool_code\nprint(default_api.f(a=1))\n```", [F]), ("<function_calls>\nf(a=1)\ng()\n</function_calls>", [F, G]), ('Action: f\nAction Input: {"a": 1}', [F]), ('{"function_call": {"name": "f", "arguments": "{\\"a\\": 1}"}}', [F]),
        ("<start_function_call>call:f{a:1}<end_function_call>", [F]), ("<start_function_call>call:g{x:<escape>a, b:c<escape>}<end_function_call>", [("g", {"x": "a, b:c"})]),
        # Several forms, in order.
        (f"<tool_call>{JSON_F}</tool_call>\n{JSON_G}", [F, G]), (f"{JSON_G}\n<tool_call>{JSON_F}</tool_call>", [G, F]), (f"<tool_call>{JSON_F}</tool_call><|tool_call>call:g{{}}<tool_call|>", [F, G]), (f"<tool_call>{JSON_F}</tool_call>f{{}}", [F, ("f", {})]),
        ("<" + f'invoke name="g"></invoke><tool_call>{JSON_F}</tool_call>', [G, F]), (f"I look.\n{JSON_F}\n{JSON_G}", [F, G]), (f"to=functions.g<|message|>{{}}\n<tool_call>{JSON_F}</tool_call>", [G, F]), (f"{JSON_F}{JSON_G}", [F, G]), (f'{JSON_F}\n{{"name": "h", "arguments": {{}}}}', [F, ("h", {})]),
        # Reasoning, and what is no call.
        (f"<think>perhaps <tool_call>{JSON_F}</tool_call></think>No.", []), (f"<think>perhaps {JSON_F}", []), (f"<think>hm</think><tool_call>{JSON_F}</tool_call>", [F]), ('{"name": "Bob"}', []), ('{"name": "Bob", "age": 3}', []), ('[{"name": "Bob"}, {"name": "Ann"}]', []), ('The customer is {"name": "Bob"}.', []),
        ("Action: none is needed", []), ("f is a function", []), ("[1] and [2]", []), ("", []), ('{"tool_calls": []}', []), ("{f}", []), ('{"answer": "f"}', []),
        # Not clear, or broken.
        (f"Example: {JSON_F}", "shown"), (f"```json\n{JSON_F}\n```", "shown"), ('{"name": "f", "args": {"a": 1}}', "not as a call"), ('{"tool": "f", "args": {}}', "not as a call"), ('{"action": "f", "action_input": {}}', "not as a call"), (f'[{JSON_F}, {{"x": 1}}]', "beside a call"),
        ("<tool_call><function=f><parameter=a>2</parameter><parameter=a>1</parameter></function></tool_call>", "twice"), ("<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value><arg_key>a</arg_key><arg_value>2</arg_value></tool_call>", "twice"), (f"<tool_call>{JSON_F}</tool_call><tool_call>", "no end"),
        ('[TOOL_CALLS]f[ARGS]{"a": ', "ends early"), ("<|python_tag|>import os", "is none"), ("{'name': 'f', 'arguments': {'a': 1}}", "single quotes"), ("[{'name': 'f'}]", "single quotes"), ("I call {'tool': 'g'}", "single quotes"), ("{'name': 'Bob'}", []), ('I look.\n{"name": "f", "arguments": {"a": ', "ends early"), ("<TOOLCALL>[]</TOOLCALL>", "names no tool"), ("f(a=[[[", "only shown"), ("I look.\n[f(a=1)]", "only shown"), ("```python\nf(a=1)\n```", "only shown"), ("g()\nand then", "only shown"), ("f(x) is a function", []), ("Use g() here.", []), ('<function=f>{"a": 1}', "no end"),
    ],
)  # fmt: skip
def test_calls_in_all_forms_are_found_in_order(text, calls):
    if isinstance(calls, str):
        with pytest.raises(CallError, match=calls):
            written_calls(text, TOOLS_OF)
    else:
        assert [(call.name, dict(call.arguments)) for call in written_calls(text, TOOLS_OF)] == calls


def test_an_answer_whose_call_cant_be_read_fails_negated_too(score):
    assert score("tool-calls", f"Example: {JSON_F}", value=[]).unclear
    assert not score("tool-calls", JSON_F, value=[]).unclear
