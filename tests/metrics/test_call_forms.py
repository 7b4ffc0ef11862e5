"""Calls between marks: in the form of every chat template that TRL ships, and what can't be read."""

import json
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from harness.metrics.call_json import CallError, known_tools
from harness.metrics.written_calls import written_calls
from harness.prompts.reasoning import split_reasoning
from tests.metrics.growth import LongText, grows_as_its_length

# Texts with signs of the forms themselves; a text that looks like a number; all kinds of values.
ARGUMENTS = {
    "city": "São <Paulo>, z: 1 {a}",
    "zip": "90210",
    "days": 3,
    "wet": True,
    "more": {"a": [1, 2.5, None, "é, b:c"], "deep": {"k-1": "v"}},
}
WANTED = [("get_weather", ARGUMENTS), ("now", {})]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "d",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "c"},
                    "zip": {"type": "string", "description": "c"},
                    "days": {"type": "integer", "description": "d"},
                    "wet": {"type": "boolean", "description": "d"},
                    "more": {"type": "object", "description": "m"},
                },
                "required": ["city"],
            },
        },
    }
    for name, _ in WANTED
]
TEXTS = known_tools(TOOLS)
_SPEC = find_spec("trl")
FOLDER = Path(_SPEC.submodule_search_locations[0], "chat_templates") if _SPEC else Path()
TEMPLATES = sorted(
    path.stem
    for path in FOLDER.glob("*.jinja")
    if "tool_call" in path.read_text() and not path.stem.endswith("_training")
)
# They concatenate the arguments as a text.
OF_TEXT = {"deepseekv3", "deepseek_r1_distill"}
# They write the first call only.
OF_ONE = {"gptoss", "llama3_1", "llama3_2"}
END_MARKS = ("<|eot_id|>", "<｜end▁of▁sentence｜>")


def rendered(name, calls):
    """What a template writes behind the question for an answer that calls tools."""
    from transformers.utils.chat_template_utils import _compile_jinja_template

    template = _compile_jinja_template((FOLDER / f"{name}.jinja").read_text())
    written = [
        {
            "type": "function",
            "id": "abcdefghi",
            "function": {
                "name": tool,
                "arguments": json.dumps(given, ensure_ascii=False) if name in OF_TEXT else given,
            },
        }
        for tool, given in calls
    ]
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None if name in OF_TEXT else "", "tool_calls": written},
    ]
    given = {"bos_token": "", "eos_token": "", "tools": TOOLS, "enable_thinking": False}
    text = template.render(messages=messages, **given).rpartition("hi")[2]
    for mark in END_MARKS:
        text = text.replace(mark, "")
    # Llama's begins with the call.
    return text[text.index("{") :] if name.startswith("llama") else text


def test_there_are_templates_to_read():
    assert {"deepseekv3", "glm4moe", "gptoss", "gemma4_v5", "qwen3_5_think", "lfm2_v2"} <= set(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_calls_are_read_as_the_models_template_writes_them(name):
    wanted = WANTED[:1] if name in OF_ONE else WANTED
    found = [(call.name, dict(call.arguments)) for call in written_calls(rendered(name, wanted), TEXTS)]
    assert found == wanted


@pytest.mark.parametrize("name", ["gptoss", "muse_glimmer"])
def test_a_call_in_a_channel_is_the_answer_and_no_reasoning(name):
    """Its marks are special tokens, which answers are shown without."""
    text = rendered(name, WANTED[:1]).partition("<|start|>assistant")[2]
    answer = split_reasoning(text, "<|start|>assistant").answer
    for mark in ("<|message|>", "<|channel|>", "<|call|>", "<|constrain|>", "<|eot|>"):
        answer = answer.replace(mark, "")
    assert [(call.name, dict(call.arguments)) for call in written_calls(answer, TEXTS)] == WANTED[:1]


OSLO = ("get_weather", {"city": "Oslo"})


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        # DeepSeek V3.1.
        ('<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>', [OSLO]),
        # GLM without line breaks, and a call without arguments.
        ("I look.\n<tool_call>get_weather<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call><tool_call>now</tool_call>", [OSLO, ("now", {})]),
        # gpt-oss: either order, with and without marks, several.
        ('<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Oslo"}<|call|>', [OSLO]),
        ('commentary to=functions.get_weather json{"city": "Oslo"}', [OSLO]),
        (' to=functions.get_weathercommentary json{"city": "Oslo"}', [OSLO]),
        ('to=functions.get_weather<|message|>{"city": "<|x|>"}<|call|><|start|>assistant to=functions.now<|message|>{}', [("get_weather", {"city": "<|x|>"}), ("now", {})]),
        # Kimi.
        ('<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|><|tool_calls_section_end|>', [OSLO]),
        # MiniMax.
        ('<minimax:tool_call>\n<' + 'invoke name="get_weather">\n<' + 'parameter name="city">Oslo</parameter>\n</invoke>\n</minimax:tool_call>', [OSLO]),
    ],
)  # fmt: skip
def test_forms_that_have_no_template_here(text, calls):
    assert [(call.name, dict(call.arguments)) for call in written_calls(text, TEXTS)] == calls


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{", "the call has no end"),
        ("<｜tool▁call▁begin｜>now<｜tool▁call▁end｜>", "'now' names no tool"),
        ("<｜tool▁call▁begin｜>now<｜tool▁sep｜>[1]<｜tool▁call▁end｜>", "now are [1], not an object"),
        ("<tool_call>now<arg_key>a</arg_key></tool_call>", "begins with"),
        ("<tool_call>now<arg_key>a</tool_call>", "an argument has no end"),
        ('to=functions.now<|message|>{"a": ', "the arguments of now"),
        ("to=functions.now", "a call has no arguments"),
        ('<|tool_call>call:now{a:<|"|>b}<tool_call|>', "a text has no end"),
        ("<|tool_call_start|>sunny<|tool_call_end|>", "is none"),
        ("<" + 'invoke name="now">', "the call has no end"),
    ],
)
def test_a_call_that_cant_be_read_says_why(text, why):
    with pytest.raises(CallError) as caught:
        written_calls(text, TEXTS)
    assert why in str(caught.value)


def test_without_a_schema_a_value_is_json_if_it_can_be():
    text = "<tool_call>get_weather<arg_key>zip</arg_key><arg_value>90210</arg_value></tool_call>"
    (call,) = written_calls(text)
    assert call.arguments == {"zip": 90210}
    (call,) = written_calls(text, TEXTS)
    assert call.arguments == {"zip": "90210"}


@pytest.mark.parametrize(
    "text",
    [
        LongText("<arg_key>", 20_000, before="<tool_call>now", after="</tool_call>"),
        LongText("<arg_key>a</arg_key> ", 5_000, before="<tool_call>now", after="</tool_call>"),
        LongText(" ", 100_000, before="<tool_call>now", after="</tool_call>"),
        LongText(
            "<parameter=a>", 10_000, before="<tool_call><function=now>", after="</function></tool_call>"
        ),
        LongText("<tool_call>", 20_000),
        LongText(" ", 100_000, before="to=functions.now"),
        LongText("a", 100_000, before="to=functions."),
        LongText("to=functions.a ", 10_000),
        LongText(
            "\n",
            100_000,
            before="<｜tool▁call▁begin｜>function<｜tool▁sep｜>now",
            after="<｜tool▁call▁end｜>",
        ),
        LongText("a:,", 50_000, before="<|tool_call>call:now{", after="}<tool_call|>"),
        LongText('<|"|>', 20_001, before="<|tool_call>call:now{", after="}<tool_call|>"),
        LongText("a:1", 50_000, before="<|tool_call_begin|>", after="<|tool_call_end|>"),
        LongText("<" + 'parameter name="a">', 10_000, before="<" + 'invoke name="now">', after="</invoke>"),
        LongText("<" + 'invoke name="now">', 10_000),
        LongText("now(", 20_000, before="<|tool_call_start|>[", after="]"),
        LongText('{"name": ', 20_000),
        LongText('{"name": "now", "x": ', 5_000),
        LongText('{"name": "now", "arguments": {}} and ', 5_000),
        LongText("now{", 20_000),
        LongText("[TOOL_CALLS]now[ARGS]{", 10_000),
        LongText("<function=now>", 20_000),
        LongText("<think>", 20_000),
        LongText("Action: now\n", 10_000),
        LongText("functools[", 10_000),
        LongText("<|python_tag|>now(", 10_000),
        LongText("<tool_calls>", 20_000),
        LongText("print(default_api.", 10_000),
    ],
    ids=str,
)
def test_hostile_answers_are_read_in_time(text):
    def read(answer):
        with suppress(CallError):
            written_calls(answer, TEXTS)

    assert grows_as_its_length(read, text)
