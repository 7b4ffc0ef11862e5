"""Streams of chat and plain completions say what a whole reply says."""

import openai
import pytest

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


def by_choice(events, text_of):
    """The text, the reason of its end and the tokens of each answer, and how many events had text."""
    found, shown = {}, 0
    for event in events:
        for choice in event.choices:
            said = found.setdefault(choice.index, {"text": "", "reason": None, "tokens": []})
            text = text_of(choice) or ""
            said["text"] += text
            shown += bool(text)
            said["reason"] = choice.finish_reason or said["reason"]
            if choice.logprobs is not None:
                said["tokens"].append(choice.logprobs)
    return found, shown


def chat_text(choice):
    return choice.delta.content


def plain_text(choice):
    return choice.text


def test_several_answers_share_a_stream(serve, models, user):
    client, watched = serve()
    asked = {"model": next(iter(models)), "messages": user("one"), "max_tokens": 8, "n": 3}
    asked |= {"temperature": 1.5, "seed": 3}
    whole = client.chat.completions.create(**asked)
    watched.sizes.clear()
    options = {"include_usage": True}
    events = list(client.chat.completions.create(**asked, stream=True, stream_options=options))
    found, shown = by_choice(events, chat_text)
    assert {index: said["text"] for index, said in found.items()} == {
        choice.index: choice.message.content for choice in whole.choices
    }
    assert [found[choice.index]["reason"] for choice in whole.choices] == [
        choice.finish_reason for choice in whole.choices
    ]
    assert shown > 3
    assert watched.sizes == [3]
    assert events[-1].usage == whole.usage


def test_a_stream_lists_the_tokens_of_the_whole_answer(serve, models, user):
    client, _ = serve()
    asked = {"model": next(iter(models)), "messages": user("two"), "max_tokens": 6}
    asked |= {"logprobs": True, "top_logprobs": 2}
    (whole,) = client.chat.completions.create(**asked).choices
    found, _ = by_choice(client.chat.completions.create(**asked, stream=True), chat_text)
    assert found[0]["text"] == whole.message.content
    assert [token for part in found[0]["tokens"] for token in part.content] == whole.logprobs.content


@pytest.mark.parametrize("given", [{}, {"n": 2}, {"stop": "w1"}], ids=str)
def test_a_continued_text_is_streamed(serve, models, given):
    client, _ = serve()
    asked = {"model": list(models)[1], "prompt": "the cat sat", "max_tokens": 8, **given}
    whole = client.completions.create(**asked)
    options = {"include_usage": True}
    events = list(client.completions.create(**asked, stream=True, stream_options=options))
    found, shown = by_choice(events, plain_text)
    assert {index: (said["text"], said["reason"]) for index, said in found.items()} == {
        choice.index: (choice.text, choice.finish_reason) for choice in whole.choices
    }
    assert shown > len(whole.choices)
    assert events[-1].usage == whole.usage


def test_a_streamed_text_has_its_prompt_and_tokens(serve, models):
    client, _ = serve()
    asked = {"model": next(iter(models)), "prompt": ["the cat sat", "one"], "max_tokens": 3}
    asked |= {"echo": True, "logprobs": 1}
    whole = client.completions.create(**asked)
    found, _ = by_choice(client.completions.create(**asked, stream=True), plain_text)
    assert [found[choice.index]["text"] for choice in whole.choices] == [
        choice.text for choice in whole.choices
    ]
    assert [found[choice.index]["tokens"] for choice in whole.choices] == [
        [choice.logprobs] for choice in whole.choices
    ]


def test_a_call_ends_a_stream_as_it_ends_a_reply():
    from harness.serving.replies import chat_end
    from harness.types import Completion

    text = '<tool_call>\n{"name": "weather", "arguments": {"at": "here"}}\n</tool_call>'
    said = Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0)
    rest, called, end = chat_end(0, said, "call>", None, [WEATHER])
    assert rest["delta"] == {"content": "call>"}
    (call,) = called["delta"]["tool_calls"]
    assert (call["index"], call["function"]["name"]) == (0, "weather")
    assert end["finish_reason"] == "tool_calls"
    assert [part["finish_reason"] for part in chat_end(0, said, "", None, [])] == ["stop"]


def test_an_answer_that_fails_ends_its_stream_with_the_reason(serve, models, user):
    client, _ = serve()
    asked = {"model": next(iter(models)), "messages": user("break"), "max_tokens": 4}
    with pytest.raises(openai.APIError, match="broken on purpose"):
        list(client.chat.completions.create(**asked, stream=True))
