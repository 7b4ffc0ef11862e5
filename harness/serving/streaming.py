"""Answers as server-sent events during generation."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from harness.engines.base import GenerationRequest
from harness.engines.traced import TracedAnswer
from harness.errors import EngineError, InputError
from harness.prompts.running import settled
from harness.serving.error_replies import error_reply
from harness.serving.replies import Choice, usage_of
from harness.types import Completion

Answer: TypeAlias = Completion | TracedAnswer
# Answers a request; the function that it gets may be called with the text so far.
Ask: TypeAlias = Callable[[GenerationRequest, Callable[[str], None]], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How events are written.

    Attributes:
        head: The common fields of all events.
        begin: The choice with which an answer begins; None for none.
        part: The choice with a further text of an answer.
        end: The last choices of an answer, with what is left of its text.
    """

    head: Mapping[str, Any]
    begin: Callable[[int], Choice] | None
    part: Callable[[int, str], Choice]
    end: Callable[[int, Any, str], Sequence[Choice]]


async def stream_answers(
    ask: Ask, requests: Sequence[GenerationRequest], wording: Wording, *, each: int, with_usage: bool
) -> AsyncIterator[str]:
    """Server-sent events: the growing texts, the reasons of their ends, the tokens.

    Args:
        ask: Answers a request.
        requests: The requests, one for each answer.
        wording: How events are written.
        each: How many answers there are to a prompt.
        with_usage: Whether the last event has the number of tokens.
    """
    texts: asyncio.Queue[tuple[int, str | None]] = asyncio.Queue()

    def put(index: int, text: str | None) -> None:
        texts.put_nowait((index, text))

    def ended(index: int, _: object) -> None:
        put(index, None)

    answers = [
        asyncio.ensure_future(ask(request, partial(put, index))) for index, request in enumerate(requests)
    ]
    for index, answer in enumerate(answers):
        answer.add_done_callback(partial(ended, index))
        if wording.begin is not None:
            yield _event(wording.head, [wording.begin(index)])
    sent = [""] * len(requests)
    found: list[Completion] = []
    try:
        while len(found) < len(requests):
            index, text = await texts.get()
            if text is None:
                finished = await answers[index]
                found.append(_completion(finished))
                rest = found[-1].text.removeprefix(sent[index])
                for choice in wording.end(index, finished, rest):
                    yield _event(wording.head, [choice])
                continue
            ready = settled(text, requests[index].settings.stop)
            if ready.startswith(sent[index]) and ready != sent[index]:
                yield _event(wording.head, [wording.part(index, ready[len(sent[index]) :])])
                sent[index] = ready
    except (EngineError, InputError) as error:
        kind = "server_error" if isinstance(error, EngineError) else "invalid_request_error"
        yield f"data: {json.dumps(error_reply(str(error), kind))}\n\n"
        return
    finally:
        for answer in answers:
            answer.cancel()
    if with_usage:
        yield _event({**wording.head, "usage": usage_of(found, each)}, [])
    yield "data: [DONE]\n\n"


def _completion(answer: Answer) -> Completion:
    return answer.completion if isinstance(answer, TracedAnswer) else answer


def _event(head: Mapping[str, Any], choices: Sequence[Choice]) -> str:
    return f"data: {json.dumps({**head, 'choices': list(choices)})}\n\n"
