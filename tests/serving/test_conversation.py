"""Conversations that clients send back: in the prompt as the gate's own cases are."""

import httpx
import pytest

from harness.serving.conversation import Conversation
from harness.types import Message, ToolCall

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"at": {}}}},
}

USER = [{"role": "user", "content": "both"}]


def post(url, body):
    return httpx.post(url, json=body, timeout=60)


def written(place):
    return f'<tool_call>\n{{"name": "weather", "arguments": {{"at": "{place}"}}}}\n</tool_call>'


def called(place, call_id):
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": "weather", "arguments": f'{{"at": "{place}"}}'},
    }


def result(text, call_id, **rest):
    return {"role": "tool", "tool_call_id": call_id, "content": text, **rest}


@pytest.fixture
def thinker(letters, shipped, save_tiny_llama, tmp_path):
    """A model with Qwen3's template."""
    return save_tiny_llama(tmp_path, letters(shipped("qwen3"), eos="<|im_end|>"))


@pytest.fixture
def texts_of(thinker, start_app):
    """Prompts of conversations, as a server says that it reads them."""
    root = start_app(thinker).removesuffix("/v1")

    def ask(messages, **rest):
        body = {"messages": messages, "tools": [WEATHER], **rest}
        tokens = post(f"{root}/tokenize", body).json()["tokens"]
        return post(f"{root}/detokenize", {"tokens": tokens}).json()["prompt"]

    return ask


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "oops"}}]}
                ]
            },
            "the arguments of f",
        ),
        ({"messages": USER, "chat_template_kwargs": {"tokenize": True}}, "tokenize is not a value"),
        ({"messages": []}, "messages: "),
        ({"messages": USER, "tool_choice": "required"}, "tool_choice"),
    ],
    ids=["arguments", "tokenize", "empty", "tool_choice"],
)
def test_what_is_no_conversation_has_no_tokens_either(thinker, start_app, asked, told):
    """Each was status 500 by /tokenize, or taken as another one."""
    url = start_app(thinker)
    for path in (f"{url.removesuffix('/v1')}/tokenize", f"{url}/chat/completions"):
        reply = post(path, {"model": thinker.name, **asked})
        assert reply.status_code == 400
        assert told in reply.json()["error"]["message"]


def test_the_tokens_of_a_conversation_are_those_that_its_answer_is_asked_with(thinker, start_app):
    url = start_app(thinker)
    turns = [*USER, {"role": "assistant", "tool_calls": [called("Oslo", "a")]}, result("rain", "a")]
    given = [
        {},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"tools": [WEATHER]},
        {"tools": [WEATHER], "tool_choice": "none"},
    ]
    for rest in given:
        body = {"model": thinker.name, "messages": turns, **rest}
        count = post(f"{url.removesuffix('/v1')}/tokenize", body).json()["count"]
        reply = post(f"{url}/chat/completions", {**body, "max_tokens": 1}).json()
        assert reply["usage"]["prompt_tokens"] == count


@pytest.mark.parametrize("words", ["", "I ask for both.\n"])
def test_a_call_that_comes_back_is_in_the_prompt_once(texts_of, words):
    """OpenAI's client and LangChain send back what our reply has: the calls in the text, and beside it."""
    calls = [called("Oslo", "a"), called("Rome", "b")]
    text = f"{words}{written('Oslo')}\n{written('Rome')}"
    ours = {"role": "assistant", "content": text, "tool_calls": calls, "tool_calls_in_content": True}
    others = {"role": "assistant", "content": words.strip() or None, "tool_calls": calls}
    results = [result("rain", "a"), result("sun", "b")]
    found = texts_of([*USER, ours, *results])
    assert found == texts_of([*USER, others, *results])
    assert found.count(written("Oslo")) == found.count(written("Rome")) == 1
    # As the model wrote it.
    assert f"<|im_start|>assistant\n{text}<|im_end|>" in found


def test_results_stand_under_their_own_calls(texts_of):
    """An agent's tools run at the same time, and the second may be the first to end."""
    asked = {"role": "assistant", "content": None, "tool_calls": [called("Oslo", "a"), called("Rome", "b")]}
    again = {"role": "assistant", "content": None, "tool_calls": [called("Bern", "b"), called("Bonn", "a")]}
    one, other = result("rain", "a"), result("sun", "b")
    expected = texts_of([*USER, asked, one, other, again, result("fog", "b"), result("hail", "a")])
    assert texts_of([*USER, asked, other, one, again, result("hail", "a"), result("fog", "b")]) == expected
    assert expected.index("rain") < expected.index("sun") < expected.index("fog") < expected.index("hail")


def test_results_have_the_names_of_their_tools():
    clock = {"id": "c", "function": {"name": "clock"}}
    asked = {"role": "assistant", "tool_calls": [called("Oslo", "a"), clock]}
    turns = Conversation(messages=[asked, result("noon", "c"), result("rain", "a")]).turns
    assert [(turn.name, turn.content) for turn in turns[1:]] == [("weather", "rain"), ("clock", "noon")]
    # What nobody asked for by this id stays where it is.
    turns = Conversation(messages=[asked, result("noon", "x"), result("rain", "a")]).turns
    assert [(turn.name, turn.content) for turn in turns[1:]] == [(None, "noon"), ("weather", "rain")]


def test_other_text_beside_calls_stays():
    text = "Such as {1: 2}."
    turn = {"role": "assistant", "content": text, "tool_calls": [called("Oslo", "a")]}
    call = ToolCall(name="weather", arguments={"at": "Oslo"})
    found = Conversation(messages=[turn]).turns
    assert found == (Message(role="assistant", content=text, tool_calls=(call,)),)
