"""A judge behind an OpenAI-compatible server: vLLM, Ollama, llama.cpp, ``tunegate serve``, a hosted one."""

import os
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from harness.engines.served.address import SECRET, find_key
from harness.engines.served.client import PassingFaultError, RefusedError, ServerClient, ServerError
from harness.engines.served.replies import as_text
from harness.errors import JudgeError, SettingsError
from harness.judge.spec import KEY_VARIABLES, JudgeSpec
from harness.types import JudgeReply, JudgeRequest

_LIBRARIES = ("openai", "tenacity")
# A server that is started anew may answer after so long what failed before.
_AWAY_S = 60.0
_REPLIED, _SHOWN = 200, 200
# Parameters that some servers refuse, and their replacements.
_OPTIONAL: dict[str, str | None] = {
    "response_format": None,
    "seed": None,
    "temperature": None,
    "max_tokens": "max_completion_tokens",
}


def open_openai(spec: JudgeSpec, timeout_s: float, environment: Mapping[str, str]) -> "OpenAIEngine":
    """The engine of ``openai:MODEL@URL``.

    Args:
        spec: The judge.
        timeout_s: Seconds that one request may take.
        environment: Variables, among which is the server's key.
    """
    return OpenAIEngine(spec, timeout_s=timeout_s, environment=environment)


async def _send(client: Any, body: dict[str, Any]) -> Any:
    """Send a question by the official client, without its classes of requests and replies.

    They take half of its time, in which other replies wait to be read.
    """
    return await client.post("/chat/completions", cast_to=object, body=body)


class OpenAIEngine:
    """Asks a server by the client that also asks served models under test."""

    remote = True

    def __init__(
        self,
        spec: JudgeSpec,
        *,
        timeout_s: float = 60.0,
        attempts: int = 6,
        first_wait_s: float = 0.5,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Store the address; no connection is made.

        Args:
            spec: The model and the server.
            timeout_s: Longest time for one attempt.
            attempts: Most requests for one question.
            first_wait_s: Mean wait before the second attempt; it doubles with each.
            environment: Holds the key.

        Raises:
            SettingsError: A library is missing, or the server is OpenAI's own, and there is no key.
        """
        if missing := [name for name in _LIBRARIES if find_spec(name) is None]:
            raise SettingsError(f"{spec}: {', '.join(missing)} not installed: pip install 'tunegate[judge]'")
        self._spec, url = spec, spec.url or ""
        key = find_key(environment, url, own=KEY_VARIABLES[0])
        if key is None and "api.openai.com" in url:
            raise SettingsError(f"{spec}: no key: set {' or '.join(KEY_VARIABLES)}")
        self._client = ServerClient(
            url, key, timeout_s=timeout_s, attempts=attempts, first_wait_s=first_wait_s, optional=_OPTIONAL
        )

    @property
    def identity(self) -> str:
        """Model and address."""
        return str(self._spec)

    @property
    def requests(self) -> int:
        """How many requests were sent so far, repeated ones included."""
        return self._client.requests

    @property
    def retried(self) -> int:
        """How many of them repeated one after a temporary fault."""
        return self._client.retried

    def prepare(self) -> None:
        """Import what sends questions and reads replies."""
        import jsonschema  # noqa: F401 # by the reader of replies
        import openai.resources.chat  # noqa: F401 # by the client
        import tenacity  # noqa: F401 # by the client

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Send one question, and repeat it after temporary faults.

        Raises:
            JudgeError: The server refused it, or all attempts failed.
        """
        try:
            return await self._client.send(self._body(request), _send, self._reply)
        except ServerError as error:
            failed = JudgeError(str(error))
            if not isinstance(error, RefusedError):
                failed.again_from_s = time.monotonic() + _AWAY_S
            raise failed from None

    def try_again(self) -> None:
        """Send requests once more to a server that gave no reply."""
        self._client.expect_again()

    def _body(self, request: JudgeRequest) -> dict[str, Any]:
        return {
            "model": self._spec.model,
            "messages": [{"role": one.role, "content": one.content} for one in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "seed": request.repeat,
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "verdict",
                    "strict": True,
                    "schema": {**request.reply_schema, "additionalProperties": False},
                },
            },
        }

    def _reply(self, completion: Any, body: Mapping[str, Any]) -> JudgeReply:
        """The reply; an incomplete completion is a fault, and that the judge won't say is final."""
        try:
            choice, usage = completion["choices"][0], completion.get("usage") or {}
            text, refusal = as_text(choice["message"].get("content")), choice["message"].get("refusal")
            reply = JudgeReply(
                text=self._client.clean(text or "", SECRET),
                model=self._client.clean(str(completion.get("model") or self._spec.model)),
                stop_reason=str(choice.get("finish_reason") or ""),
                prompt_tokens=int(usage.get("prompt_tokens") or 0),
                completion_tokens=int(usage.get("completion_tokens") or 0),
                structured="response_format" in body,
            )
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise PassingFaultError(f"the reply is not a chat completion: {type(error).__name__}") from None
        if not text and refusal:
            raise RefusedError(f"it refuses to judge: {self._client.clean(str(refusal))[:_SHOWN]}", _REPLIED)
        # A reasoning that the limit cut has none; a second time it would be the same.
        if text is None and reply.stop_reason != "length":
            raise PassingFaultError("the reply has no text")
        return reply

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
