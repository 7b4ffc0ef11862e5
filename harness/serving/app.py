"""The web application: its common rules, the list of models, adapters, tokens and embeddings."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from harness.errors import EngineError, InputError
from harness.serving.answering import answered_text, text_of, tokens_of
from harness.serving.completions import add_completions
from harness.serving.error_replies import bad_request, refusal, unknown_model
from harness.serving.models import ServedModels
from harness.serving.protocol import (
    DetokenizeRequest,
    EmbeddingRequest,
    LoadAdapterRequest,
    TokenizeRequest,
    UnloadAdapterRequest,
)
from harness.serving.telling import CALLER
from harness.types import GenerationSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

# Vectors of texts, all of the same length.
Embed = Callable[[Sequence[str]], list[list[float]]]
_LOADING_OFF = "adapters can't be loaded here: start the server with --runtime-adapters"


def create_app(served: ServedModels, encoders: Mapping[str, Embed], *, key: str | None = None) -> "FastAPI":
    """The application.

    Args:
        served: The models.
        encoders: Functions that embed, by model name.
        key: The bearer token that a client must send; None for no restriction.
    """
    from fastapi import FastAPI

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await served.batcher.close()

    app = FastAPI(title="tunegate serve", lifespan=lifespan, docs_url=None, redoc_url=None)
    _refuse_invalid(app)
    _require_key(app, key)
    _list_models(app, served, tuple(encoders))
    add_completions(app, served)
    _exchange_adapters(app, served)
    _count_tokens(app, served)
    _embed_texts(app, encoders)
    return app


def _refuse_invalid(app: "FastAPI") -> None:
    """Refuse invalid requests, and report failures of a model, in the protocol's own form."""
    from fastapi import Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"][1:])
        message = first["msg"].removeprefix("Value error, ")
        return bad_request(f"{place}: {message}" if place else message)

    @app.exception_handler(HTTPException)
    async def elsewhere(request: Request, error: HTTPException) -> JSONResponse:
        message = f"{request.method} {request.url.path}: {error.detail}"
        return refusal(error.status_code, message, "invalid_request_error")

    @app.exception_handler(InputError)
    async def unusable(request: Request, error: InputError) -> JSONResponse:
        return bad_request(str(error))

    @app.exception_handler(EngineError)
    async def failed(request: Request, error: EngineError) -> JSONResponse:
        return refusal(500, str(error), "server_error")


def _require_key(app: "FastAPI", key: str | None) -> None:
    """Check the client's key, without which everyone may connect; and keep which trace a request is of."""
    from fastapi import Request

    @app.middleware("http")
    async def authorised(request: Request, call_next: Callable[..., Any]) -> Any:
        CALLER.set(request.headers.get("traceparent", ""))
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            return refusal(401, "no valid key was sent", "authentication_error", "invalid_api_key")
        return await call_next(request)


def _list_models(app: "FastAPI", served: ServedModels, encoders: Sequence[str]) -> None:
    def listed() -> dict[str, dict[str, Any]]:
        common = {"object": "model", "created": 0, "owned_by": "tunegate"}
        data = {
            name: {
                **common,
                "id": name,
                "root": model.adapter_dir or model.base_model,
                "parent": None if model.adapter_dir is None else served.base,
                "max_model_len": served.engine.context(name),
                "content": served.content(name),
            }
            for name, model in served.models.items()
        }
        return data | {name: {**common, "id": name} for name in encoders}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": list(listed().values())}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> Any:
        return listed().get(name) or unknown_model(name, tuple(listed()))


def _exchange_adapters(app: "FastAPI", served: ServedModels) -> None:
    from fastapi.responses import PlainTextResponse

    @app.post("/v1/load_lora_adapter")
    async def load(body: LoadAdapterRequest) -> Any:
        if not served.runtime_adapters:
            return refusal(403, _LOADING_OFF, "invalid_request_error")
        await served.load(body.lora_name, body.lora_path)
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' added successfully.")

    @app.post("/v1/unload_lora_adapter")
    async def unload(body: UnloadAdapterRequest) -> Any:
        if not served.runtime_adapters:
            return refusal(403, _LOADING_OFF, "invalid_request_error")
        try:
            await served.unload(body.lora_name)
        except KeyError:
            return unknown_model(body.lora_name, tuple(served.models))
        return PlainTextResponse(f"Success: LoRA adapter '{body.lora_name}' removed successfully.")


def _count_tokens(app: "FastAPI", served: ServedModels) -> None:
    def without_tokens(model: str) -> Any:
        if model not in served.models:
            return unknown_model(model, tuple(served.models))
        if not hasattr(served.engine, "tokenizer"):
            return bad_request(f"{model} has no tokens of its own")
        return None

    @app.post("/tokenize")
    async def tokenize(body: TokenizeRequest) -> Any:
        model = body.model or served.base
        if refused := without_tokens(model):
            return refused

        def found() -> list[int]:
            if body.messages is None:
                return tokens_of(served, model, body.prompt or "", begin=body.add_special_tokens)
            settings = GenerationSettings(chat_template_kwargs=body.template_values, tools=body.offered_tools)
            if not body.add_generation_prompt:
                return tokens_of(
                    served, model, answered_text(served, model, body.turns, settings), begin=False
                )
            prompt = served.engine.render(model, body.turns, settings)
            return tokens_of(served, model, prompt, begin=False)

        tokens = await asyncio.to_thread(found)
        return {"count": len(tokens), "max_model_len": served.engine.context(model), "tokens": tokens}

    @app.post("/detokenize")
    async def detokenize(body: DetokenizeRequest) -> Any:
        model = body.model or served.base
        if refused := without_tokens(model):
            return refused
        return {"prompt": await asyncio.to_thread(text_of, served, model, body.tokens)}


def _embed_texts(app: "FastAPI", encoders: Mapping[str, Embed]) -> None:
    @app.post("/v1/embeddings")
    async def embeddings(body: EmbeddingRequest) -> Any:
        if body.model not in encoders:
            return unknown_model(body.model, tuple(encoders))
        vectors = await asyncio.to_thread(encoders[body.model], body.texts())
        data = [
            {"object": "embedding", "index": index, "embedding": _written(vector, body.encoding_format)}
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return {"object": "list", "model": body.model, "data": data, "usage": usage}


def _written(vector: list[float], form: str) -> list[float] | str:
    if form == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
