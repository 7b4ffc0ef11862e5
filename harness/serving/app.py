"""The web application: chat completions, whole or streamed, embeddings, and the list of models."""

import asyncio
import base64
import itertools
import json
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from harness.engines.base import GenerationRequest, StreamingEngine
from harness.engines.micro_batch import MicroBatcher
from harness.errors import EngineError
from harness.serving.protocol import (
    ChatRequest,
    EmbeddingRequest,
    chat_reply,
    chunk,
    error_reply,
    new_stream,
    usage_of,
)
from harness.types import Completion

if TYPE_CHECKING:
    from fastapi import FastAPI

# Vectors of texts, each of one length.
Embed = Callable[[Sequence[str]], list[list[float]]]


def create_app(
    engine: StreamingEngine,
    names: Sequence[str],
    encoders: Mapping[str, Embed],
    *,
    key: str | None = None,
) -> "FastAPI":
    """The application.

    Args:
        engine: Answers; its sides bear the models' names.
        names: The served models.
        encoders: Functions that embed, by model name.
        key: What a client has to send as bearer token; None lets everyone in.
    """
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, StreamingResponse

    batcher = MicroBatcher(engine)
    numbers = itertools.count()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await batcher.close()

    app = FastAPI(title="tunegate serve", lifespan=lifespan, docs_url=None, redoc_url=None)

    def refusal(status: int, message: str, kind: str, code: str | None = None) -> JSONResponse:
        return JSONResponse(error_reply(message, kind, code), status_code=status)

    def unknown(model: str, known: Sequence[str]) -> JSONResponse:
        message = f"no model {model!r} here (served: {', '.join(known)})"
        return refusal(404, message, "invalid_request_error", "model_not_found")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"][1:])
        message = first["msg"].removeprefix("Value error, ")
        return refusal(400, f"{place}: {message}" if place else message, "invalid_request_error")

    @app.middleware("http")
    async def authorised(request: Request, call_next: Callable[..., Any]) -> Any:
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            return refusal(401, "no valid key was sent", "authentication_error", "invalid_api_key")
        return await call_next(request)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "tunegate"}
            for name in (*names, *encoders)
        ]
        return {"object": "list", "data": data}

    @app.post("/v1/chat/completions")
    async def chat(body: ChatRequest) -> Any:
        if body.model not in names:
            return unknown(body.model, names)
        request = GenerationRequest(
            key=f"request-{next(numbers)}" if body.seed is None else "request",
            side=body.model,
            messages=tuple(message.as_message() for message in body.messages),
            settings=body.settings(),
        )
        if body.stream:
            with_usage = body.stream_options is not None and body.stream_options.include_usage
            events = _stream(batcher, request, body.model, with_usage=with_usage)
            return StreamingResponse(events, media_type="text/event-stream")
        try:
            return chat_reply(body.model, await batcher.generate(request))
        except EngineError as error:
            return refusal(500, str(error), "server_error")

    @app.post("/v1/embeddings")
    async def embeddings(body: EmbeddingRequest) -> Any:
        if body.model not in encoders:
            return unknown(body.model, tuple(encoders))
        texts = body.texts()
        vectors = await asyncio.to_thread(encoders[body.model], texts)
        data = [
            {"object": "embedding", "index": index, "embedding": _written(vector, body.encoding_format)}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return {"object": "list", "model": body.model, "data": data, "usage": usage}

    return app


def _written(vector: list[float], form: str) -> list[float] | str:
    if form == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


async def _stream(
    batcher: MicroBatcher, request: GenerationRequest, model: str, *, with_usage: bool
) -> AsyncIterator[str]:
    """Server-sent events: the text as it grows, how it ended, what it took."""
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
    if rest := completion.text.removeprefix(sent):
        yield _event(chunk(head, {"content": rest}))
    yield _event(chunk(head, {}, completion.stop_reason))
    if with_usage:
        yield _event({**head, "choices": [], "usage": usage_of(completion)})
    yield "data: [DONE]\n\n"


def _settled(text: str, stops: Sequence[str]) -> str:
    """The text without what the next token may still change: half a character, half a stop string."""
    text = text.rstrip("\ufffd")
    longest = max(
        (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0
    )
    return text[: len(text) - longest]


def _event(content: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(content)}\n\n"
