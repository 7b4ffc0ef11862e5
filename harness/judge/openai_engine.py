"""A judge behind an OpenAI-compatible server: vLLM, Ollama, llama.cpp, ``tunegate serve``, a hosted one."""

import asyncio
import json
import os
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.errors import JudgeError, SettingsError
from harness.judge.secrets import find_key, without_key
from harness.judge.spec import JudgeSpec
from harness.types import JudgeReply, JudgeRequest

_PASSING_STATUSES = frozenset({408, 409, 425, 429})
# If a server asks for a longer pause, the question fails at once.
_LONGEST_PAUSE_S = 120.0
_LONGEST_BACKOFF_S = 20.0
# After this many faults in a row, over all questions, the server counts as down.
_GONE_AFTER = 24
# Parameters that some servers refuse, and their replacements.
_OPTIONAL: dict[str, str | None] = {
    "response_format": None,
    "seed": None,
    "temperature": None,
    "max_tokens": "max_completion_tokens",
}


class _PassingFaultError(Exception):
    """A temporary fault; ``pause_s`` is the pause that the server asks for."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


def open_openai(spec: JudgeSpec, timeout_s: float, environment: Mapping[str, str]) -> "OpenAIEngine":
    """The engine of ``openai:MODEL@URL``.

    Args:
        spec: The judge.
        timeout_s: Seconds that one request may take.
        environment: Variables, among which is the server's key.
    """
    return OpenAIEngine(spec, timeout_s=timeout_s, environment=environment)


class OpenAIEngine:
    """Asks a server, repeats requests after temporary faults, and waits as long as the server says."""

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
            SettingsError: The server is OpenAI's own, and there is no key.
        """
        self._spec, self._timeout_s, self._attempts = spec, timeout_s, attempts
        self._first_wait_s = first_wait_s
        self._key = find_key(environment, spec.url or "")
        if self._key is None and "api.openai.com" in (spec.url or ""):
            raise SettingsError(f"{spec}: no key: set TUNEGATE_JUDGE_API_KEY or OPENAI_API_KEY")
        self._client: Any = None
        self._refused: set[str] = set()
        self._not_before = 0.0
        self._faults_in_a_row = 0
        self.requests = 0
        self.retried = 0

    @property
    def identity(self) -> str:
        """Model and address."""
        return str(self._spec)

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Send one question, and repeat it after temporary faults.

        Raises:
            JudgeError: The server refused it, or all attempts failed.
        """
        import tenacity

        def wait(state: tenacity.RetryCallState) -> float:
            fault = state.outcome.exception() if state.outcome else None
            asked = getattr(fault, "pause_s", None)
            # With jitter, requests that failed together are not repeated together.
            backoff = self._first_wait_s * 2 ** (state.attempt_number - 1) * random.uniform(0.5, 1.5)
            return min(backoff, _LONGEST_BACKOFF_S) if asked is None else float(asked)

        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            wait=wait,
            retry=tenacity.retry_if_exception_type(_PassingFaultError),
            reraise=True,
        )
        attempt = 0
        try:
            async for one in retrying:
                with one:
                    attempt = one.retry_state.attempt_number
                    return await self._attempt(request, attempt)
        except _PassingFaultError as fault:
            raise JudgeError(f"no reply in {attempt} attempts; the last: {fault}") from None
        raise JudgeError("no attempt was made")  # pragma: no cover # tenacity always makes one

    async def _attempt(self, request: JudgeRequest, attempt: int) -> JudgeReply:
        if self._faults_in_a_row >= _GONE_AFTER:
            raise JudgeError(f"{self._spec.url} gave no reply to {self._faults_in_a_row} requests in a row")
        # A rate limit applies to all questions, not only to this one.
        while (pause := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        self.requests += 1
        self.retried += attempt > 1
        try:
            reply = await self._send(request)
        except _PassingFaultError as fault:
            self._faults_in_a_row += 1
            if fault.pause_s is not None:
                self._not_before = max(self._not_before, time.monotonic() + fault.pause_s)
            raise
        self._faults_in_a_row = 0
        return reply

    async def _send(self, request: JudgeRequest) -> JudgeReply:
        import openai

        if self._client is None:
            # The client requires a key, also for servers that need none.
            self._client = openai.AsyncOpenAI(
                base_url=self._spec.url,
                api_key=self._key or "none",
                max_retries=0,
                timeout=self._timeout_s,
            )
        while True:
            try:
                body = self._body(request)
                completion = await self._client.chat.completions.create(**body)
                return replace(self._reply(completion), structured="response_format" in body)
            except openai.APIStatusError as error:
                if not self._drop_refused(error):
                    raise self._fault_of_status(error) from None
            except openai.APITimeoutError:
                raise _PassingFaultError(f"no reply within {self._timeout_s:g} s") from None
            except openai.APIConnectionError as error:
                cause = error.__cause__ or error
                raise _PassingFaultError(self._clean(f"connection failed: {cause}")) from None
            except (openai.APIResponseValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
                raise _PassingFaultError(self._clean(f"the reply is not JSON: {error}")) from None

    def _body(self, request: JudgeRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
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
        for name in self._refused:
            value, other = body.pop(name), _OPTIONAL[name]
            if other is not None:
                body[other] = value
        return body

    def _drop_refused(self, error: Any) -> bool:
        """Leave out a parameter that the server named in its refusal; False if it named none."""
        if error.status_code not in {400, 422}:
            return False
        complaint = f"{error.message} {error.body}"
        for name in _OPTIONAL:
            word = "json_schema" if name == "response_format" else name
            if name not in self._refused and (name in complaint or word in complaint):
                self._refused.add(name)
                self.requests += 1
                return True
        return False

    def _fault_of_status(self, error: Any) -> Exception:
        """A temporary fault, or a final error."""
        reason = self._clean(f"status {error.status_code}: {error.message}")[:300]
        passing = error.status_code in _PASSING_STATUSES or error.status_code >= 500
        if not passing or getattr(error, "code", None) == "insufficient_quota":
            return JudgeError(reason)
        pause_s = _retry_after_s(error.response.headers)
        if pause_s is not None and pause_s > _LONGEST_PAUSE_S:
            return JudgeError(f"{reason}; the server asks for a pause of {pause_s:.0f} s")
        return _PassingFaultError(reason, pause_s)

    def _reply(self, completion: Any) -> JudgeReply:
        """The reply; an incomplete completion is a fault."""
        try:
            text = completion.choices[0].message.content
            usage = completion.usage
            reply = JudgeReply(
                text=self._clean(text) if isinstance(text, str) else "",
                model=self._clean(str(completion.model or self._spec.model)),
                stop_reason=str(getattr(completion.choices[0], "finish_reason", "") or ""),
                prompt_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
                completion_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
            )
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise _PassingFaultError(f"the reply is not a chat completion: {type(error).__name__}") from None
        if not isinstance(text, str):
            raise _PassingFaultError("the reply has no text")
        return reply

    def _clean(self, text: str) -> str:
        return without_key(text, self._key)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Pause in seconds that the server asks for (RFC 9110, section 10.2.3: seconds or a date)."""
    from email.utils import parsedate_to_datetime

    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
