"""Replies in the protocol's form."""

import json
import time
import uuid
from collections.abc import Sequence
from typing import Any, TypeAlias

from harness.engines.traced import TracedAnswer, TracedToken
from harness.metrics.call_json import CallError, known_tools
from harness.metrics.written_calls import written_calls
from harness.prompts.running import RunningText
from harness.types import Completion, JsonValue, ToolCall

Choice: TypeAlias = dict[str, Any]
# In the place of half a character.
_UNFINISHED = "\ufffd"


def chat_reply(
    model: str,
    completions: Sequence[Completion],
    traces: Sequence[TracedAnswer] = (),
    *,
    tools: Sequence[JsonValue] = (),
) -> dict[str, Any]:
    """A whole reply of one or more answers to a conversation.

    Args:
        model: The served model's name.
        completions: The answers.
        traces: The answers' tokens, if they are wanted.
        tools: The offered tools, in OpenAI's form; the text's calls are listed beside it if there are any.

    Returns:
        The reply's JSON.
    """
    choices = [
        _chat_choice(index, completion, traces[index] if traces else None, tools)
        for index, completion in enumerate(completions)
    ]
    return {
        **head("chat.completion", model),
        "choices": choices,
        "usage": usage_of(completions, len(completions)),
    }


def _chat_choice(
    index: int, completion: Completion, trace: TracedAnswer | None, tools: Sequence[JsonValue]
) -> Choice:
    message: dict[str, Any] = {"role": "assistant", "content": completion.text}
    if completion.reasoning is not None:
        message["reasoning_content"] = completion.reasoning
    called, reason = _called(completion, tools)
    logprobs = None if trace is None else chat_logprobs(trace)
    return {"index": index, "message": {**message, **called}, "finish_reason": reason, "logprobs": logprobs}


def chat_logprobs(trace: TracedAnswer) -> dict[str, Any]:
    """The log-probabilities of an answer to a conversation."""
    return {"content": [_chat_token(token) for token in trace.written]}


def _called(completion: Completion, tools: Sequence[JsonValue]) -> tuple[dict[str, Any], str]:
    """The calls in an answer as fields of its message, and the reason of its end."""
    if not tools or not (calls := _calls(completion.text, tools)):
        return {}, completion.stop_reason
    # The text stays: it is what the model wrote, and what checks of calls read.
    return {"tool_calls": calls, "tool_calls_in_content": True}, "tool_calls"


def _calls(text: str, tools: Sequence[JsonValue]) -> list[dict[str, Any]]:
    """The calls in an answer; none where they can't be read."""
    try:
        found = written_calls(text, known_tools(tools))
    except CallError:
        return []
    return [_call(call) for call in found]


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
    return {"id": f"call_{uuid.uuid4().hex[:24]}", "type": "function", "function": function}


def _chat_token(token: TracedToken) -> dict[str, Any]:
    likeliest = [_token(text, logprob) for text, logprob in token.likeliest]
    return {**_token(token.text, token.logprob), "top_logprobs": likeliest}


def _token(text: str, logprob: float | None) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}


def completion_reply(
    model: str,
    answers: Sequence[TracedAnswer],
    each: int,
    *,
    echo: bool,
    logprobs_by: Any,
    with_ids: bool,
) -> dict[str, Any]:
    """A whole reply of one or more continued texts.

    Args:
        model: The served model's name.
        answers: The continuations with their tokens.
        each: How many there are to a prompt.
        echo: Whether each choice begins with its prompt.
        logprobs_by: The tokenizer by which log-probabilities are listed; None for none.
        with_ids: Whether token ids are listed.

    Returns:
        The reply's JSON.
    """
    choices = [
        text_choice(index, answer, echo=echo, logprobs_by=logprobs_by, with_ids=with_ids)
        for index, answer in enumerate(answers)
    ]
    completions = [answer.completion for answer in answers]
    return {**head("text_completion", model), "choices": choices, "usage": usage_of(completions, each)}


def text_choice(index: int, answer: TracedAnswer, *, echo: bool, logprobs_by: Any, with_ids: bool) -> Choice:
    """One continued text.

    Args:
        index: Its place.
        answer: The continuation with its tokens.
        echo: Whether it begins with its prompt.
        logprobs_by: The tokenizer by which log-probabilities are listed; None for none.
        with_ids: Whether token ids are listed.
    """
    tokens = [*(answer.prompt if echo else ()), *answer.written]
    prompt = (answer.completion.prompt or "") if echo else ""
    choice = text_part(index, prompt + answer.completion.text)
    choice["finish_reason"] = answer.completion.stop_reason
    if logprobs_by is not None:
        before = answer.prompt if echo else ()
        choice["logprobs"] = _plain_logprobs(tokens, _offsets(logprobs_by, before, answer.written, prompt))
    if with_ids:
        choice["token_ids"] = [token.id for token in answer.written]
        choice["prompt_token_ids"] = [token.id for token in answer.prompt]
    return choice


def _offsets(
    tokenizer: Any, asked: Sequence[TracedToken], written: Sequence[TracedToken], prompt: str
) -> list[int]:
    """Where each token begins in a prompt and what is written behind it."""
    places = _ends(tokenizer, asked)
    # A tokenizer may read its prompt back with another beginning; clients look for the end.
    shift = len(prompt) - places[-1]
    begins = [0, *(max(0, place + shift) for place in places[1:])]
    return begins[: len(asked)] + [len(prompt) + place for place in _ends(tokenizer, written)[:-1]]


def _ends(tokenizer: Any, tokens: Sequence[TracedToken]) -> list[int]:
    """The lengths of the text of no token, one, two and so on: a token alone may lose its space."""
    running, ids = RunningText(tokenizer, skip_special_tokens=False), [token.id for token in tokens]
    return [len(running.of(ids[:count]).rstrip(_UNFINISHED)) for count in range(len(ids) + 1)]


def _plain_logprobs(tokens: Sequence[TracedToken], offsets: Sequence[int]) -> dict[str, Any]:
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        # A token that is none of the likeliest is listed after them, as OpenAI's server does.
        "top_logprobs": [
            None if token.logprob is None else {token.text: token.logprob, **dict(reversed(token.likeliest))}
            for token in tokens
        ],
        "text_offset": list(offsets),
    }


def text_part(index: int, text: str) -> Choice:
    """A further part of a continued text.

    Args:
        index: Its place.
        text: The part.
    """
    return {"index": index, "text": text, "finish_reason": None, "logprobs": None}


def chat_part(index: int, delta: dict[str, Any]) -> Choice:
    """A further part of an answer to a conversation.

    Args:
        index: Its place.
        delta: The message's new fields.
    """
    return {"index": index, "delta": delta, "finish_reason": None, "logprobs": None}


def chat_end(
    index: int, completion: Completion, rest: str, trace: TracedAnswer | None, tools: Sequence[JsonValue]
) -> list[Choice]:
    """The last parts of an answer to a conversation.

    Args:
        index: Its place.
        completion: The answer.
        rest: What is left of its text.
        trace: Its tokens, if they are wanted.
        tools: The offered tools, in OpenAI's form.
    """
    parts = []
    if completion.reasoning:
        parts.append(chat_part(index, {"reasoning_content": completion.reasoning}))
    if rest or trace is not None:
        logprobs = None if trace is None else chat_logprobs(trace)
        parts.append({**chat_part(index, {"content": rest}), "logprobs": logprobs})
    called, reason = _called(completion, tools)
    if called:
        calls = [{"index": place, **call} for place, call in enumerate(called["tool_calls"])]
        parts.append(chat_part(index, {**called, "tool_calls": calls}))
    return [*parts, {**chat_part(index, {}), "finish_reason": reason}]


def usage_of(completions: Sequence[Completion], each: int) -> dict[str, int]:
    """The tokens of prompts and of the answers to them.

    Args:
        completions: The answers.
        each: How many there are to a prompt, which counts once.

    Returns:
        As the protocol names them.
    """
    asked = sum(one.prompt_tokens for one in completions) // each
    written = sum(one.completion_tokens for one in completions)
    return {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}


def head(kind: str, model: str) -> dict[str, Any]:
    """The common fields of a reply, or of all events of a stream.

    Args:
        kind: The protocol's kind of object.
        model: The served model's name.

    Returns:
        The fields.
    """
    return {
        "id": f"{'cmpl' if kind == 'text_completion' else 'chatcmpl'}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }
