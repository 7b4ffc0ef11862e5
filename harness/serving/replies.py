"""Replies in the protocol's form."""

import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

from harness.engines.traced import TracedAnswer, TracedToken
from harness.metrics.call_json import CallError, known_tools
from harness.metrics.written_calls import written_calls
from harness.types import Completion, JsonValue, ToolCall


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
    choices = []
    for index, completion in enumerate(completions):
        message: dict[str, Any] = {"role": "assistant", "content": completion.text}
        if completion.reasoning is not None:
            message["reasoning_content"] = completion.reasoning
        reason: str = completion.stop_reason
        if tools and (calls := _calls(completion.text, tools)):
            # The text stays: it is what the model wrote, and what checks of calls read.
            message["tool_calls"], reason = calls, "tool_calls"
            message["tool_calls_in_content"] = True
        choice = {"index": index, "message": message, "finish_reason": reason, "logprobs": None}
        if traces:
            choice["logprobs"] = {"content": [_chat_token(token) for token in traces[index].answer]}
        choices.append(choice)
    return {**_head("chat.completion", model), "choices": choices, "usage": usage_of(completions)}


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
    model: str, answers: Sequence[TracedAnswer], *, echo: bool, logprobs: bool, with_ids: bool
) -> dict[str, Any]:
    """A whole reply of one or more continued texts.

    Args:
        model: The served model's name.
        answers: The continuations with their tokens.
        echo: Whether each choice begins with its prompt.
        logprobs: Whether log-probabilities are listed.
        with_ids: Whether token ids are listed.

    Returns:
        The reply's JSON.
    """
    choices = []
    for index, answer in enumerate(answers):
        tokens = [*(answer.prompt if echo else ()), *answer.answer]
        prompt = (answer.completion.prompt or "") if echo else ""
        choice: dict[str, Any] = {
            "index": index,
            "text": prompt + answer.completion.text,
            "finish_reason": answer.completion.stop_reason,
            "logprobs": _plain_logprobs(tokens) if logprobs else None,
        }
        if with_ids:
            choice["token_ids"] = [token.id for token in answer.answer]
            choice["prompt_token_ids"] = [token.id for token in answer.prompt]
        choices.append(choice)
    completions = [answer.completion for answer in answers]
    return {**_head("text_completion", model), "choices": choices, "usage": usage_of(completions)}


def _plain_logprobs(tokens: Sequence[TracedToken]) -> dict[str, Any]:
    offsets, length = [], 0
    for token in tokens:
        offsets.append(length)
        length += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        # A token that is none of the likeliest is listed after them, as OpenAI's server does.
        "top_logprobs": [
            None if token.logprob is None else {token.text: token.logprob, **dict(reversed(token.likeliest))}
            for token in tokens
        ],
        "text_offset": offsets,
    }


def new_stream(model: str) -> dict[str, Any]:
    """The common fields of all chunks of a stream."""
    return _head("chat.completion.chunk", model)


def chunk(head: dict[str, Any], delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """One chunk of a stream.

    Args:
        head: The common fields of all chunks.
        delta: The text of this chunk.
        finish_reason: Why the answer ended; only in the last chunk.

    Returns:
        The chunk's JSON.
    """
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    return {**head, "choices": [choice]}


def usage_of(completions: Sequence[Completion]) -> dict[str, int]:
    """The tokens of completions."""
    asked = sum(one.prompt_tokens for one in completions)
    written = sum(one.completion_tokens for one in completions)
    return {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}


def _head(kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"{'cmpl' if kind == 'text_completion' else 'chatcmpl'}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }
