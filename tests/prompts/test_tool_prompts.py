"""Tools, calls and results in prompts: as transformers renders them, or refused in one line."""

import json

import pytest

from harness.errors import PromptError
from harness.prompts.rendering import chat_turns, render_prompt
from harness.types import GenerationSettings, Message, ToolCall
from tests.prompts.test_rendering import TEMPLATES

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CONVERSATION = (
    Message(role="user", content="How is the weather in Oslo?"),
    Message(
        role="assistant", content="", tool_calls=(ToolCall(name="get_weather", arguments={"city": "Oslo"}),)
    ),
    Message(role="tool", content='{"sky": "grey"}', name="get_weather"),
)
WITH_TOOL = GenerationSettings(tools=(TOOL,))
# Their templates describe tools, and write calls and results.
KNOW_TOOLS = {
    *("diffusion_gemma", "gemma4", "gemma4_v2", "gemma4_v3", "gemma4_v4", "gemma4_v5", "glm4moe", "gptoss"),
    *("lfm2_2_5", "lfm2_2_5_v2", "lfm2_2_5_vl", "lfm2_v2", "llama3_1", "llama3_2", "muse_glimmer"),
    *(
        "nemotron_3_5_lightning",
        "nemotron_3_nano",
        "nemotron_3_super",
        "nemotron_3_ultra",
        "qwen2_5",
        "qwen3",
    ),
    *("qwen3_5_nothink", "qwen3_5_think", "qwen3_6", "qwen3_8", "qwen3_instruct_2507", "qwen3_vl"),
}


@pytest.mark.parametrize("name", [name for name in TEMPLATES if not name.endswith("_training")])
def test_a_template_writes_tools_or_is_refused(name, letters, shipped):
    tokenizer = letters(shipped(name))
    if name not in KNOW_TOOLS:
        with pytest.raises(PromptError) as caught:
            render_prompt(tokenizer, CONVERSATION, WITH_TOOL)
        assert "\n" not in str(caught.value)
        return
    assert "get_weather" in render_prompt(tokenizer, CONVERSATION[:1], WITH_TOOL).text
    text = render_prompt(tokenizer, CONVERSATION, WITH_TOOL).text
    assert text.count("get_weather") > 1
    assert "Oslo" in text.partition("How is the weather in Oslo?")[2]
    assert "grey" in text


def test_a_prompt_is_what_transformers_renders(letters, shipped):
    tokenizer = letters(shipped("qwen3"))
    bare = tokenizer.apply_chat_template(
        [
            {"role": "user", "content": "How is the weather in Oslo?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
                ],
            },
            {"role": "tool", "name": "get_weather", "content": '{"sky": "grey"}'},
        ],
        tools=[TOOL],
        add_generation_prompt=True,
        tokenize=False,
    )
    assert render_prompt(tokenizer, CONVERSATION, WITH_TOOL).text == bare


def test_results_have_the_ids_of_their_calls():
    calls = tuple(ToolCall(name=name) for name in ("a", "b", "a"))
    turns = chat_turns(
        [
            Message(role="assistant", content="", tool_calls=calls),
            *(Message(role="tool", content="r", name=name) for name in ("b", "a", None, "a")),
        ]
    )
    ids = [call["id"] for call in turns[0]["tool_calls"]]
    assert len(set(ids)) == 3
    assert all(len(one) == 9 and one.isalnum() for one in ids)
    assert [turn["tool_call_id"] for turn in turns[1:]] == [ids[1], ids[0], ids[2], ""]
    assert [turn["name"] for turn in turns[1:]] == ["b", "a", "a", "a"]


def test_a_model_without_a_template_is_given_no_tools(letters):
    with pytest.raises(PromptError, match="no chat template, so it can't be given tools"):
        render_prompt(letters(None), CONVERSATION[:1], WITH_TOOL)


def test_of_several_templates_the_one_for_tools_describes_them(letters):
    """Command R, Hermes and others ship a template of its own for tools; transformers chooses it by itself."""
    plain = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tokenizer = letters(None)
    tokenizer.chat_template = {"default": plain, "tool_use": "{{ tools[0].function.name }}: " + plain}
    asked = CONVERSATION[:1]
    assert render_prompt(tokenizer, asked, WITH_TOOL).text == "get_weather: How is the weather in Oslo?"
    assert render_prompt(tokenizer, asked, GenerationSettings()).text == "How is the weather in Oslo?"


def test_calls_are_part_of_a_message():
    plain = Message(role="assistant", content="")
    assert plain.key == ["assistant", ""]
    assert CONVERSATION[1].key != plain.key
    assert CONVERSATION[1].shown == 'get_weather({"city": "Oslo"})'
    assert json.loads(json.dumps(CONVERSATION[1].key)) == [
        "assistant",
        "",
        [["get_weather", {"city": "Oslo"}]],
        None,
    ]
