"""The routes that answer: chat completions and plain completions, whole or streamed."""

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from harness.serving.answering import answer, trace, while_connected
from harness.serving.checked_requests import chat_requests, completion_requests
from harness.serving.error_replies import bad_request, exchanged, refusal, unknown_model
from harness.serving.models import ServedModels
from harness.serving.protocol import ChatRequest, CompletionRequest
from harness.serving.replies import chat_reply, completion_reply
from harness.serving.streams import chat_stream, text_stream

if TYPE_CHECKING:
    from fastapi import FastAPI

_CONFLICT = 409


def add_completions(app: "FastAPI", served: ServedModels) -> None:
    """Add the routes.

    Args:
        app: The application.
        served: The models.
    """
    from fastapi import Request
    from fastapi.responses import StreamingResponse

    events = partial(StreamingResponse, media_type="text/event-stream")

    @app.post("/v1/chat/completions")
    async def chat(body: ChatRequest, request: Request) -> Any:
        if body.model not in served.models:
            return unknown_model(body.model, tuple(served.models))
        if problem := _unable(served, body):
            return bad_request(problem)
        fingerprint = served.fingerprint(body.model)
        requests = await chat_requests(served, body)
        if body.stream:
            return events(chat_stream(served, body, requests))
        if body.traced is None:
            answers = await while_connected(request, answer(served, requests))
            reply = chat_reply(body.model, answers, tools=body.offered_tools)
            return _signed(served, body.model, fingerprint, reply)
        traced = await while_connected(request, trace(served, requests, body.traced, with_prompt=False))
        answers = [one.completion for one in traced]
        reply = chat_reply(body.model, answers, traced, tools=body.offered_tools)
        return _signed(served, body.model, fingerprint, reply)

    @app.post("/v1/completions")
    async def complete(body: CompletionRequest, request: Request) -> Any:
        if body.model not in served.models:
            return unknown_model(body.model, tuple(served.models))
        if not hasattr(served.engine, "trace"):
            return bad_request(f"{body.model} continues no texts; use chat completions")
        if set(body.stop_token_ids or ()) - served.engine.stop_ids(body.model):
            return bad_request("stop_token_ids: only tokens that end this model's answers anyway")
        fingerprint = served.fingerprint(body.model)
        requests = await completion_requests(served, body)
        if body.stream:
            return events(text_stream(served, body, requests))
        traced = trace(served, requests, body.logprobs, with_prompt=body.with_prompt)
        answers = await while_connected(request, traced)
        reply = completion_reply(
            body.model,
            answers,
            body.answers,
            echo=body.echo,
            logprobs_by=None if body.logprobs is None else served.engine.tokenizer(body.model),
            with_ids=bool(body.return_token_ids),
        )
        return _signed(served, body.model, fingerprint, reply)


def _signed(served: ServedModels, model: str, fingerprint: str | None, reply: dict[str, Any]) -> Any:
    """The reply with what names the weights that answered; a refusal if they were exchanged meanwhile."""
    if served.fingerprint(model) != fingerprint:
        return refusal(_CONFLICT, exchanged(model), "server_error")
    return {**reply, "system_fingerprint": fingerprint}


def _unable(served: ServedModels, body: ChatRequest) -> str:
    """What this server or model can't do; empty if nothing."""
    if body.traced is not None and not hasattr(served.engine, "trace"):
        return f"logprobs: {body.model} gives none"
    wanted = body.response_format is not None and body.response_format.schema_of_answer is not None
    if wanted and find_spec("llguidance") is None:
        return "response_format needs llguidance on the server: pip install 'tunegate[serve]'"
    if wanted and not hasattr(served.engine, "check_schema"):
        return f"response_format is not supported by {body.model}"
    return ""
