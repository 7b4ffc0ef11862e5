"""An answer as server-sent events during generation."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from harness.engines.base import GenerationRequest
from harness.engines.micro_batch import MicroBatcher
from harness.errors import EngineError
from harness.serving.error_replies import error_reply
from harness.serving.replies import chunk, new_stream, usage_of
from harness.types import Completion


async def stream_answer(
    batcher: MicroBatcher, request: GenerationRequest, model: str, *, with_usage: bool
) -> AsyncIterator[str]:
    """Server-sent events: the growing text, the reason of its end, the tokens.

    Args:
        batcher: Answers requests.
        request: The request.
        model: The model's name for the client.
        with_usage: Whether the last event has the number of tokens.
    """
    texts: asyncio.Queue[str | None] = asyncio.Queue()
    answer = asyncio.ensure_future(batcher.generate(request, texts.put_nowait))
    answer.add_done_callback(lambda _: texts.put_nowait(None))
    head, sent = new_stream(model), ""
    yield _event(chunk(head, {"role": "assistant", "content": ""}))
    try:
        while (text := await texts.get()) is not None:
            ready = _settled(text, request.settings.stop)
            if ready.startswith(sent) and ready != sent:
                yield _event(chunk(head, {"content": ready[len(sent) :]}))
                sent = ready
        completion: Completion = await answer
    except EngineError as error:
        yield _event(error_reply(str(error), "server_error"))
        return
    finally:
        answer.cancel()
    if completion.reasoning:
        yield _event(chunk(head, {"reasoning_content": completion.reasoning}))
    if rest := completion.text.removeprefix(sent):
        yield _event(chunk(head, {"content": rest}))
    yield _event(chunk(head, {}, completion.stop_reason))
    if with_usage:
        yield _event({**head, "choices": [], "usage": usage_of([completion])})
    yield "data: [DONE]\n\n"


def _settled(text: str, stops: Sequence[str]) -> str:
    """The text without a part that the next token may change: half a character, half a stop string."""
    text = text.rstrip("\ufffd")
    longest = max(
        (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0
    )
    return text[: len(text) - longest]


def _event(content: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"
