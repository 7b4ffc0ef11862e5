"""Requests for answers and their replies, in the forms of chat and of plain completions."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.engines.base import GenerationRequest
from harness.engines.served.client import PassingFaultError
from harness.engines.served.parameters import UnfitParameterError
from harness.engines.served.pool import Job
from harness.engines.served.replies import (
    as_text,
    first_choice,
    is_cut,
    is_empty,
    message_text,
    reasoned_unseen,
    tokens_used,
    written_tools,
)
from harness.engines.served.reports import Reports
from harness.errors import SettingsError
from harness.prompts.reasoning import bare_answer, split_reasoning
from harness.prompts.rendering import chat_turns
from harness.prompts.tokenizers import before_stop
from harness.types import PINNED_DATE, Completion, Message


def refuse_unsupported(requests: Sequence[GenerationRequest], *, chat: bool) -> None:
    """Check that a server can be asked the requests: what can't be sent would be ignored.

    Args:
        requests: The requests.
        chat: Whether the server renders conversations.

    Raises:
        SettingsError: Something can't be sent.
    """
    for request in requests:
        settings, reason = request.settings, ""
        if settings.max_reasoning_tokens is not None:
            reason = "max_reasoning_tokens"
        elif settings.date != PINNED_DATE:
            reason = "a date for the template"
        elif not chat and (settings.tools or settings.chat_template_kwargs):
            reason = "tools or values for a template (there is none in plain completions)"
        elif not chat and any(turn.tool_calls or turn.role == "tool" for turn in request.messages):
            reason = "calls of tools and their results (there are none in plain completions)"
        if reason:
            raise SettingsError(
                f"{request.key}: {reason} can't be sent to a server; leave it out, or run the model here"
            )


def chat_job(model: str, request: GenerationRequest, reports: Reports) -> Job:
    """The request for a chat completion.

    Args:
        model: The server's name of the model.
        request: What is asked.
        reports: Takes what the server says of itself.
    """
    settings, extra = request.settings, dict[str, Any]()
    if settings.chat_template_kwargs:
        extra["chat_template_kwargs"] = dict(settings.chat_template_kwargs)
    if settings.task is not None and reports.fingerprint is not None:
        # Our own server, which lists its weights, takes the name of a head; others may refuse the word.
        extra["task"] = settings.task
    body = {
        **_sampling(model, request),
        "messages": [written_turn(turn) for turn in chat_turns(request.messages)],
        **({"tools": list(settings.tools)} if settings.tools else {}),
        **({"extra_body": extra} if extra else {}),
    }

    async def send(client: Any, sent: dict[str, Any]) -> Any:
        started = time.perf_counter()
        return await client.chat.completions.create(**sent), time.perf_counter() - started

    def read(reply: Any, sent: dict[str, Any]) -> Completion:
        answer, elapsed = reply
        return _chat_answer(answer, elapsed, request, reports, is_stopped="stop" in sent)

    return Job(body=body, send=send, read=read)


async def send_text(client: Any, sent: dict[str, Any]) -> Any:
    """Ask for a plain completion; returns the reply.

    Args:
        client: The official client.
        sent: The request's parameters.
    """
    return await client.completions.create(**sent)


async def send_timed_text(client: Any, sent: dict[str, Any]) -> Any:
    """Ask for a plain completion; returns the reply and its time in seconds.

    Args:
        client: The official client.
        sent: The request's parameters.
    """
    started = time.perf_counter()
    return await send_text(client, sent), time.perf_counter() - started


def plain_job(model: str, request: GenerationRequest, reports: Reports) -> Job:
    """The request for a plain completion; a conversation is continued as a text.

    Args:
        model: The server's name of the model.
        request: What is asked.
        reports: Takes what the server says of itself.
    """
    body = {**_sampling(model, request), "prompt": plain_text(request.messages)}

    def read(reply: Any, _sent: dict[str, Any]) -> Completion:
        answer, elapsed = reply
        reports.take(answer)
        choice = first_choice(answer, "completion")
        text = as_text(getattr(choice, "text", None))
        # What has no such field is a reply of another kind.
        if text is None and not ("text" in choice.model_fields_set and is_empty(answer, choice)):
            raise PassingFaultError("the reply has no text")
        reports.note_end(choice)
        text, whole = before_stop(text or "", request.settings.stop), text or ""
        found = _completion(answer, choice, text, None, elapsed)
        # Behind a stop text that the server does not take, the limit ends nothing.
        return found if text == whole else replace(found, stop_reason="stop")

    return Job(body=body, send=send_timed_text, read=read)


def plain_text(messages: Sequence[Message]) -> str:
    """A conversation as the text that a model without a chat template continues."""
    return "\n".join(message.content for message in messages)


def _sampling(model: str, request: GenerationRequest) -> dict[str, Any]:
    settings = request.settings
    return {
        "model": model,
        "max_tokens": settings.token_limit,
        "temperature": settings.temperature,
        "seed": settings.seed,
        **({"top_p": settings.top_p} if settings.temperature > 0 and settings.top_p < 1 else {}),
        **({"stop": list(settings.stop)} if settings.stop else {}),
    }


def written_turn(turn: Mapping[str, Any]) -> dict[str, Any]:
    """A turn as the protocol writes it: the arguments of calls are a JSON text."""
    if "tool_calls" not in turn:
        return dict(turn)
    calls = [
        {
            **call,
            "function": {
                "name": call["function"]["name"],
                "arguments": json.dumps(call["function"]["arguments"]),
            },
        }
        for call in turn["tool_calls"]
    ]
    return {**turn, "tool_calls": calls}


def _chat_answer(
    reply: Any, elapsed: float, request: GenerationRequest, reports: Reports, *, is_stopped: bool
) -> Completion:
    reports.take(reply)
    choice = first_choice(reply, "chat completion")
    message = getattr(choice, "message", None)
    text, calls = message_text(message), written_tools(message)
    thought = as_text(
        getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or None
    )
    is_there = hasattr(message, "content")
    if text is None and not thought and not calls and not (is_there and is_empty(reply, choice)):
        raise PassingFaultError("the reply has no text")
    reports.note_end(choice)
    text = text or ""
    if thought:
        # A server that takes the reasoning out leaves what is around it and the answer.
        text, thought = bare_answer(text), thought.strip()
    elif not request.settings.score_reasoning:
        # A server without a parser of reasoning leaves it in the text.
        parts = split_reasoning(text)
        text, thought = parts.answer, parts.reasoning
    if is_stopped and not (text or calls or request.settings.score_reasoning or is_cut(choice)):
        # Servers look for stop texts in the reasoning too, where they end nothing; its first line break may
        # be one.
        raise UnfitParameterError("stop")
    # TGI leaves the stop text at the end. Behind one that the server did not get, the limit ends nothing.
    whole, text = text, before_stop(text, request.settings.stop)
    is_whole = text != whole or not is_cut(choice)
    if thought and request.settings.score_reasoning:
        text, thought = f"<think>\n{thought}\n</think>\n\n{text}", None
    text = "\n".join([*([text] if text else []), *calls])
    # A limit that a hidden reasoning used up leaves an empty text, which is no answer.
    hidden = "" if not text and reasoned_unseen(reply) else None
    found = _completion(reply, choice, text, thought or hidden, elapsed)
    return replace(found, stop_reason="stop" if is_whole else "length")


def _completion(reply: Any, choice: Any, text: str, thought: str | None, elapsed: float) -> Completion:
    asked, written = tokens_used(reply)
    return Completion(
        text=text,
        reasoning=thought,
        stop_reason="length" if is_cut(choice) else "stop",
        prompt_tokens=asked,
        completion_tokens=written,
        latency_s=elapsed,
    )
