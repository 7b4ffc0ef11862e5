"""Cross-entropy of texts by servers that give a prompt's log-probabilities (``echo`` with ``logprobs``)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engines.base import LossRequest
from harness.engines.served.chat import Reports, send_text
from harness.engines.served.client import RefusedError
from harness.engines.served.pool import Job
from harness.prompts.rendering import chat_turns
from harness.types import TextLoss


class NoLossError(RefusedError):
    """A server gives no log-probabilities of a prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A text to score, as the server reads it.

    Attributes:
        prompt: What is sent: a text, or tokens.
        start: Number of the first tokens that are not scored; at least 1: before the first there is nothing.
        tokens: Number of scored tokens; None for all that the prompt has.
    """

    prompt: str | list[int]
    start: int
    tokens: int | None


def tokenize_job(model: str, request: LossRequest, *, of_text: bool) -> Job:
    """The request for the tokens of a text, or of the rendered conversation before it (vLLM's ``/tokenize``).

    Args:
        model: The server's name of the model.
        request: The text and the conversation.
        of_text: Whether the text's tokens are wanted.
    """
    body: dict[str, Any] = {"model": model}
    if of_text:
        body |= {"prompt": request.text, "add_special_tokens": False}
    else:
        body |= {"messages": chat_turns(request.messages), "add_generation_prompt": True}
        if request.settings.chat_template_kwargs:
            body["chat_template_kwargs"] = dict(request.settings.chat_template_kwargs)
        if request.settings.tools:
            body["tools"] = list(request.settings.tools)

    async def send(client: Any, sent: dict[str, Any]) -> Any:
        root = str(client.base_url).rstrip("/").removesuffix("/v1")
        return await client.post(f"{root}/tokenize", cast_to=object, body=sent)

    def read(reply: Any, _sent: dict[str, Any]) -> list[int]:
        tokens = reply.get("tokens") if isinstance(reply, Mapping) else None
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise NoLossError("the server's /tokenize gives no tokens", 200)
        return tokens

    return Job(body=body, send=send, read=read)


def loss_job(model: str, key: str, scored: Scored, reports: Reports) -> Job:
    """The request for a text's cross-entropy.

    Args:
        model: The server's name of the model.
        key: The text's name in results.
        scored: The text.
        reports: Takes what the server says of itself.
    """
    body = {
        "model": model,
        "prompt": scored.prompt,
        "echo": True,
        "logprobs": 1,
        # Some servers refuse 0.
        "max_tokens": 1,
        "temperature": 0,
    }

    def read(reply: Any, _sent: dict[str, Any]) -> TextLoss:
        reports.take(reply)
        found = prompt_logprobs(reply)
        end = len(found) if scored.tokens is None else scored.start + scored.tokens
        wanted = found[scored.start : end]
        if (
            not wanted
            or len(found) < end
            or any(value is None or not math.isfinite(value) for value in wanted)
        ):
            raise NoLossError("the server gives no finite log-probability for each of a prompt's tokens", 200)
        nats = -math.fsum(value for value in wanted if value is not None) / len(wanted)
        return TextLoss(passage=key, nats_per_token=nats, tokens=len(wanted))

    return Job(body=body, send=send_text, read=read)


def token_logprobs_job(model: str, ids: list[int], reports: Reports) -> Job:
    """The request for the log-probability of each token of a row but the first.

    Args:
        model: The server's name of the model.
        ids: The tokens.
        reports: Takes what the server says of itself.
    """
    job = loss_job(model, "", Scored(prompt=ids, start=1, tokens=len(ids) - 1), reports)

    def read(reply: Any, _sent: dict[str, Any]) -> list[float]:
        reports.take(reply)
        found = prompt_logprobs(reply)[1:]
        if len(found) != len(ids) - 1 or any(value is None or not math.isfinite(value) for value in found):
            raise NoLossError("the server gives no finite log-probability for each of a prompt's tokens", 200)
        return [float(value) for value in found if value is not None]

    return Job(body=job.body, send=job.send, read=read)


def prompt_logprobs(reply: Any) -> Sequence[float | None]:
    """The log-probability of each of a prompt's tokens, from a reply with ``echo``.

    Raises:
        NoLossError: It has none.
    """
    choices = getattr(reply, "choices", None) or [None]
    listed = getattr(getattr(choices[0], "logprobs", None), "token_logprobs", None)
    asked = int(getattr(getattr(reply, "usage", None), "prompt_tokens", 0) or 0)
    if not isinstance(listed, list) or not asked or len(listed) < asked:
        raise NoLossError("the server gives no log-probabilities of a prompt (echo with logprobs)", 200)
    return listed[:asked]
