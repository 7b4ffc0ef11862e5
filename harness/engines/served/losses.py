"""Cross-entropy of texts by servers that give a prompt's log-probabilities (``echo`` with ``logprobs``)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engines.base import LossRequest
from harness.engines.served.chat import send_text, written_turn
from harness.engines.served.client import RefusedError
from harness.engines.served.pool import Job
from harness.engines.served.replies import tokens_used
from harness.engines.served.reports import Reports
from harness.prompts.rendering import chat_turns
from harness.prompts.training import STAND_IN
from harness.types import TextLoss

# JSON has no infinity: vLLM writes this number.
_MINUS_INFINITY = -9999.0
_ROUNDING = 1e-3


class NoLossError(RefusedError):
    """A server gives no log-probabilities of a prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringText:
    """A text to score, as the server reads it.

    Attributes:
        prompt: What is sent: a text, or tokens.
        start: Number of the first tokens that are not scored; at least 1: before the first there is nothing.
            All after them are scored.
        direct: Whether marks that a template writes before an answer are between a prompt and the text.
    """

    prompt: str | list[int]
    start: int
    direct: bool = False


def asking_text(model: str, text: str, *, begins: bool) -> dict[str, Any]:
    """What asks for the tokens of a text (vLLM's ``/tokenize``).

    Args:
        model: The server's name of the model.
        text: The text.
        begins: Whether nothing is before it, so that it gets the tokenizer's beginning.

    Returns:
        The body of a request.
    """
    return {"model": model, "prompt": text, "add_special_tokens": begins}


def asking_conversation(model: str, request: LossRequest) -> dict[str, Any]:
    """What asks for the tokens of a conversation, which the server renders.

    Args:
        model: The server's name of the model.
        request: Has the conversation.

    Returns:
        The body of a request.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [written_turn(turn) for turn in chat_turns(request.messages)],
        "add_generation_prompt": True,
    }
    if request.settings.chat_template_kwargs:
        body["chat_template_kwargs"] = dict(request.settings.chat_template_kwargs)
    if request.settings.tools:
        body["tools"] = list(request.settings.tools)
    return body


def asking_answered(model: str, request: LossRequest) -> dict[str, Any]:
    """The same of the conversation with an answer that stands for any other one.

    Args:
        model: The server's name of the model.
        request: Has the conversation.

    Returns:
        The body of a request.
    """
    body = asking_conversation(model, request)
    answer = {"role": "assistant", "content": STAND_IN}
    return {**body, "messages": [*body["messages"], answer], "add_generation_prompt": False}


def tokenize_job(body: dict[str, Any]) -> Job:
    """The request for tokens.

    Args:
        body: Whose.
    """

    async def send(client: Any, sent: dict[str, Any]) -> Any:
        return await client.post(f"{_root(client)}/tokenize", cast_to=object, body=sent)

    def read(reply: Any, _sent: dict[str, Any]) -> list[int]:
        tokens = reply.get("tokens") if isinstance(reply, Mapping) else None
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise NoLossError("the server's /tokenize gives no tokens", 200)
        return tokens

    return Job(body=body, send=send, read=read)


def detokenize_job(body: dict[str, Any]) -> Job:
    """The request for the text of tokens (vLLM's ``/detokenize``).

    Args:
        body: Which tokens.
    """

    async def send(client: Any, sent: dict[str, Any]) -> Any:
        return await client.post(f"{_root(client)}/detokenize", cast_to=object, body=sent)

    def read(reply: Any, _sent: dict[str, Any]) -> str:
        text = reply.get("prompt") if isinstance(reply, Mapping) else None
        if not isinstance(text, str):
            raise NoLossError("the server's /detokenize gives no text", 200)
        return text

    return Job(body=body, send=send, read=read)


def _root(client: Any) -> str:
    """The server's address without the version of the protocol."""
    return str(client.base_url).rstrip("/").removesuffix("/v1")


def loss_job(model: str, key: str, scored: ScoringText, reports: Reports) -> Job:
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
        wanted = prompt_logprobs(reply, scored.prompt)[scored.start - 1 :]
        if not wanted:
            raise NoLossError("the text has no token of its own", 200)
        nats = -math.fsum(wanted) / len(wanted)
        return TextLoss(passage=key, nats_per_token=nats, tokens=len(wanted), direct=scored.direct)

    return Job(body=body, send=send_text, read=read)


def token_logprobs_job(model: str, ids: list[int], reports: Reports) -> Job:
    """The request for the log-probability of each token of a row but the first.

    Args:
        model: The server's name of the model.
        ids: The tokens.
        reports: Takes what the server says of itself.
    """
    job = loss_job(model, "", ScoringText(prompt=ids, start=1), reports)

    def read(reply: Any, _sent: dict[str, Any]) -> list[float]:
        reports.take(reply)
        return prompt_logprobs(reply, ids)

    return Job(body=job.body, send=job.send, read=read)


def prompt_logprobs(reply: Any, prompt: str | Sequence[int]) -> list[float]:
    """The log-probability of each of a prompt's tokens but the first, from a reply with ``echo``.

    Args:
        reply: The reply.
        prompt: What was sent: a text, or tokens.

    Returns:
        Natural logarithms, one fewer than the prompt's tokens.

    Raises:
        NoLossError: It has none, or they are of other tokens.
    """
    choice = (getattr(reply, "choices", None) or [None])[0]
    listed = getattr(getattr(choice, "logprobs", None), "token_logprobs", None)
    asked, written = tokens_used(reply)
    # A server without echo lists those of its answer.
    if not isinstance(listed, list) or not asked or len(listed) < asked + written:
        raise NoLossError("the server gives no log-probabilities of a prompt (echo with logprobs)", 200)
    if isinstance(prompt, str):
        same = prompt in (getattr(choice, "text", None) or "")
    else:
        same = asked == len(prompt)
    if not same:
        raise NoLossError("the server gives log-probabilities of another text than it was sent", 200)
    wanted = listed[1:asked]
    if not wanted or not all(map(_is_logprob, wanted)):
        raise NoLossError("the server gives no finite log-probability for each of a prompt's tokens", 200)
    return [float(value) for value in wanted]


def _is_logprob(value: Any) -> bool:
    """Whether it is the logarithm of a probability, with room for rounding."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and math.isfinite(value) and _MINUS_INFINITY < value < _ROUNDING
