"""The web application: chat completions, whole or streamed, embeddings, and the list of models."""

import asyncio
import base64
import itertools
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.engines.base import GenerationRequest, StreamingEngine
from harness.engines.micro_batch import MicroBatcher
from harness.errors import EngineError, PromptError
from harness.serving.protocol import ChatRequest, EmbeddingRequest, chat_reply, error_reply
from harness.serving.streaming import stream_answer

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

# Vectors of texts, all of the same length.
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
        engine: The engine; its sides have the models' names.
        names: The served models.
        encoders: Functions that embed, by model name.
        key: The bearer token that a client must send; None for no restriction.
    """
    from fastapi import FastAPI

    batcher = MicroBatcher(engine)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await batcher.close()

    app = FastAPI(title="tunegate serve", lifespan=lifespan, docs_url=None, redoc_url=None)
    _refuse_invalid(app)
    _require_key(app, key)
    _list_models(app, (*names, *encoders))
    _answer_chats(app, engine, batcher, names)
    _embed_texts(app, encoders)
    return app


def _refuse_invalid(app: "FastAPI") -> None:
    """Refuse an invalid request, in the protocol's own form."""
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"][1:])
        message = first["msg"].removeprefix("Value error, ")
        return _refusal(400, f"{place}: {message}" if place else message, "invalid_request_error")


def _require_key(app: "FastAPI", key: str | None) -> None:
    """Check the client's key; without a key everyone may connect."""
    from fastapi import Request

    @app.middleware("http")
    async def authorised(request: Request, call_next: Callable[..., Any]) -> Any:
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            return _refusal(401, "no valid key was sent", "authentication_error", "invalid_api_key")
        return await call_next(request)


def _list_models(app: "FastAPI", names: Sequence[str]) -> None:
    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "tunegate"} for name in names]
        return {"object": "list", "data": data}


def _answer_chats(
    app: "FastAPI", engine: StreamingEngine, batcher: MicroBatcher, names: Sequence[str]
) -> None:
    from fastapi.responses import StreamingResponse

    numbers = itertools.count()

    @app.post("/v1/chat/completions")
    async def chat(body: ChatRequest) -> Any:
        if body.model not in names:
            return _unknown(body.model, names)
        request = GenerationRequest(
            key=f"request-{next(numbers)}" if body.seed is None else "request",
            side=body.model,
            messages=tuple(message.as_message() for message in body.messages),
            settings=body.settings(),
        )
        try:
            request = await asyncio.to_thread(_rendered, engine, request)
        except PromptError as error:
            return _refusal(400, str(error), "invalid_request_error")
        if body.stream:
            with_usage = body.stream_options is not None and body.stream_options.include_usage
            events = stream_answer(batcher, request, body.model, with_usage=with_usage)
            return StreamingResponse(events, media_type="text/event-stream")
        try:
            return chat_reply(body.model, await batcher.generate(request))
        except EngineError as error:
            return _refusal(500, str(error), "server_error")


def _rendered(engine: StreamingEngine, request: GenerationRequest) -> GenerationRequest:
    """The request with its prompt, rendered before it joins a batch that it could break.

    The answer ends at the model's context, whatever the requested limit.

    Raises:
        PromptError: The model can't answer it, or has no room for an answer.
    """
    prompt = engine.render(request.side, request.messages, request.settings)
    context, settings = engine.context(request.side), request.settings
    if prompt is not None and context is not None:
        if prompt.tokens >= context:
            raise PromptError(
                f"the prompt's {prompt.tokens} tokens fill the context of {context}; shorten the prompt"
            )
        settings = replace(settings, max_new_tokens=min(settings.max_new_tokens, context - prompt.tokens))
    return replace(request, prompt=prompt, settings=settings)


def _embed_texts(app: "FastAPI", encoders: Mapping[str, Embed]) -> None:
    @app.post("/v1/embeddings")
    async def embeddings(body: EmbeddingRequest) -> Any:
        if body.model not in encoders:
            return _unknown(body.model, tuple(encoders))
        vectors = await asyncio.to_thread(encoders[body.model], body.texts())
        data = [
            {"object": "embedding", "index": index, "embedding": _written(vector, body.encoding_format)}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return {"object": "list", "model": body.model, "data": data, "usage": usage}


def _refusal(status: int, message: str, kind: str, code: str | None = None) -> "JSONResponse":
    from fastapi.responses import JSONResponse

    return JSONResponse(error_reply(message, kind, code), status_code=status)


def _unknown(model: str, known: Sequence[str]) -> "JSONResponse":
    message = f"no model {model!r} here (served: {', '.join(known)})"
    return _refusal(404, message, "invalid_request_error", "model_not_found")


def _written(vector: list[float], form: str) -> list[float] | str:
    if form == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
