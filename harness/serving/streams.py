"""The streams of chat completions and of plain completions."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from harness.engines.base import GenerationRequest
from harness.engines.micro_batch import Trace
from harness.engines.traced import TracedAnswer
from harness.errors import EngineError
from harness.serving.error_replies import exchanged
from harness.serving.models import ServedModels
from harness.serving.protocol import ChatRequest, CompletionRequest
from harness.serving.replies import Choice, chat_end, chat_part, head, text_choice, text_part
from harness.serving.streaming import Answer, Ask, Wording, stream_answers
from harness.types import Completion


def chat_stream(
    served: ServedModels, body: ChatRequest, requests: Sequence[GenerationRequest]
) -> AsyncIterator[str]:
    """The events of answers to a conversation.

    Args:
        served: The models.
        body: What the client asked.
        requests: The engine's requests, one for each answer.
    """

    def end(index: int, answer: Any, rest: str) -> list[Choice]:
        trace = answer if isinstance(answer, TracedAnswer) else None
        completion: Completion = answer if trace is None else trace.completion
        return chat_end(index, completion, rest, trace, body.offered_tools)

    wording = Wording(
        head=_signed_head(served, "chat.completion.chunk", body.model),
        begin=lambda index: chat_part(index, {"role": "assistant", "content": ""}),
        part=lambda index, text: chat_part(index, {"content": text}),
        end=end,
    )
    wanted = None if body.traced is None else Trace(body.traced)
    asks = _asks(served, body.model, wanted)
    return stream_answers(asks, requests, wording, each=body.answers, with_usage=body.streams_usage)


def text_stream(
    served: ServedModels, body: CompletionRequest, requests: Sequence[GenerationRequest]
) -> AsyncIterator[str]:
    """The events of continued texts; with their tokens, a text comes when it is finished.

    Args:
        served: The models.
        body: What the client asked.
        requests: The engine's requests, one for each text.
    """
    is_traced = body.with_prompt or body.logprobs is not None
    given: dict[str, Any] = {
        "echo": body.echo,
        "logprobs_by": None if body.logprobs is None else served.engine.tokenizer(body.model),
        "with_ids": bool(body.return_token_ids),
    }

    def end(index: int, answer: Any, rest: str) -> list[Choice]:
        if isinstance(answer, TracedAnswer):
            return [text_choice(index, answer, **given)]
        return [{**text_part(index, rest), "finish_reason": answer.stop_reason}]

    signed = _signed_head(served, "text_completion", body.model)
    wording = Wording(head=signed, begin=None, part=text_part, end=end)
    wanted = Trace(body.logprobs, body.with_prompt) if is_traced else None
    asks = _asks(served, body.model, wanted)
    return stream_answers(asks, requests, wording, each=body.answers, with_usage=body.streams_usage)


def _signed_head(served: ServedModels, kind: str, model: str) -> dict[str, Any]:
    """The common fields of a stream's events, with what names the weights that answer."""
    return {**head(kind, model), "system_fingerprint": served.fingerprint(model)}


def _asks(served: ServedModels, model: str, wanted: Trace | None) -> Ask:
    """Asks for answers; those with tokens are not shown before they are finished."""
    fingerprint = served.fingerprint(model)

    async def ask(request: GenerationRequest, on_text: Callable[[str], None]) -> Answer:
        batcher = served.batcher
        found = await (
            batcher.generate(request, on_text) if wanted is None else batcher.trace(request, wanted)
        )
        if served.fingerprint(model) != fingerprint:
            raise EngineError(exchanged(model))
        return found

    return ask
