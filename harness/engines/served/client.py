"""Sends requests to one OpenAI-compatible server; repeats them after temporary faults."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from harness.engines.served.address import shown, without_key, without_proxy
from harness.engines.served.parameters import OptionalParameters, UnfitParameterError, shortened
from harness.engines.served.patience import Patience, Silence, pause_before_s, retry_after_s
from harness.engines.served.repeats import retrying
from harness.errors import EngineError

_LIMITED = 429
# No server sends this one.
UNTRUSTED = 495
_PASSING_STATUSES = frozenset({408, 409, 425, _LIMITED})
# What a server will not do at the next attempt either, such as llama.cpp what it was not started for.
_NEVER_STATUSES = frozenset({501, 505})
# If a server asks for a pause that is longer than this and than the time limit, the request fails at once.
_LONGEST_PAUSE_S = 120.0
# How long one that gave no reply is asked whether it is there again.
_LOOKED_AT_S = 10.0
# Most attempts for one request.
ATTEMPTS = 6
# After so many requests in a row that failed in all attempts, a server that fails at a short one too is down.
_GONE_AFTER = 24
_T = TypeVar("_T")
# Sends one request by the official client, which comes first; gives the reply.
Send = Callable[[Any, dict[str, Any]], Awaitable[Any]]
# Reads a reply to the parameters that were sent.
_Read = Callable[[Any, dict[str, Any]], Any]


class ServerError(EngineError):
    """A server gave no usable reply to a request; the message says why.

    Attributes:
        is_unreachable: Whether nothing answered at its address.
    """

    is_unreachable = False


class BusyError(ServerError):
    """A server takes no request for now; another one may.

    Attributes:
        limited: Whether it limits the rate, and is there.
        timed_out: Whether the whole time limit was waited for.
    """

    limited = timed_out = False


class RefusedError(ServerError):
    """A server refused a request, which would be refused again.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, reason: str, status: int) -> None:
        """Store the reason and the status."""
        super().__init__(reason)
        self.status = status


class PassingFaultError(Exception):
    """A temporary fault.

    Attributes:
        pause_s: The pause that the server asks for.
        limited: Whether the server is there and takes no more requests for now.
        replied: Whether it is there at all.
        timed_out: Whether the whole time limit was waited for.
    """

    def __init__(
        self,
        reason: str,
        pause_s: float | None = None,
        *,
        limited: bool = False,
        replied: bool = True,
        timed_out: bool = False,
    ) -> None:
        """Store the reason, the pause and the kind."""
        super().__init__(reason)
        self.pause_s, self.limited, self.replied, self.timed_out = pause_s, limited, replied, timed_out

    @property
    def passed_on(self) -> bool:
        """Whether another server is asked: this one takes requests later, as it says, or gave no reply."""
        return self.limited or bool(self.pause_s) or not self.replied


class ServerClient:
    """One server.

    Attributes:
        url: Its address.
        requests: How many requests were sent so far, repeated ones included.
        retried: How many of them repeated one after a temporary fault.
        answered: How many got an answer.
        parameters: Which optional parameters it takes.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        timeout_s: float = 60.0,
        attempts: int = ATTEMPTS,
        first_wait_s: float = 0.5,
        optional: Mapping[str, str | None] | None = None,
    ) -> None:
        """Store the address; no connection is made.

        Args:
            url: The server's address up to ``/v1``.
            key: Its key.
            timeout_s: Longest time for one attempt.
            attempts: Most attempts for one request.
            first_wait_s: Mean wait before the second attempt; it doubles with each.
            optional: Parameters that some servers refuse and that may be left out, and their replacements.
        """
        self.url = url
        self.requests = self.retried = self.answered = 0
        self._key, self._timeout_s, self._attempts = key, timeout_s, attempts
        self._longest_pause_s = max(timeout_s, _LONGEST_PAUSE_S)
        self._first_wait_s = first_wait_s
        self.parameters = OptionalParameters(optional or {})
        self._client: Any = None
        self._not_before = self._away_until = 0.0
        self._failed_in_a_row = self._unanswered = 0
        self._silence = Silence()
        # Twice this is how long the repeats of one request take.
        self._cut_off_s = first_wait_s * (2 ** (attempts - 1) - 1) / 2
        self._under_way: set[asyncio.Timeout] = set()
        self._last_fault: PassingFaultError | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it gives no reply, or asks for a pause that nobody waits for."""
        return self._is_down or self._silence.is_long or time.monotonic() < self._away_until

    @property
    def _is_down(self) -> bool:
        return self._silence.is_over or self._failed_in_a_row >= _GONE_AFTER

    @property
    def pause_s(self) -> float:
        """Seconds for which it takes no request."""
        return max(0.0, self._not_before - time.monotonic())

    async def send(
        self,
        body: dict[str, Any],
        send: Send,
        read: Callable[[Any, dict[str, Any]], _T],
        *,
        busy_before: int | None = None,
    ) -> _T:
        """Send one request, and repeat it after temporary faults.

        Args:
            body: The request's parameters.
            send: Sends them.
            read: Makes the result from the reply and the parameters that were sent; it may raise
                PassingFaultError, or UnfitParameterError to have one of them left out.
            busy_before: How often the server was too busy for this request, which another one may take; None
                if there is no other one, and this one is waited for.

        Raises:
            BusyError: The server takes it later, and another one may take it now.
            RefusedError: The server refused it.
            ServerError: All attempts failed.
        """
        attempt = 0
        try:
            async for one in self._retrying(is_alone=busy_before is None):
                with one:
                    attempt = one.retry_state.attempt_number
                    return await self._attempt(body, send, read, attempt + (busy_before or 0))
        except PassingFaultError as fault:
            if self._silence.is_over:
                raise self._down() from None
            if busy_before is not None and fault.passed_on:
                self._rest(self._wait_s(fault, busy_before + 1))
                busy = BusyError(f"no reply in {busy_before + 1} attempts; the last: {fault}")
                busy.limited, busy.timed_out = fault.limited, fault.timed_out
                busy.is_unreachable = not fault.replied
                raise busy from None
            if fault.replied and not fault.limited:
                await self._note_failed(body, send, read)
            failed = ServerError(f"no reply in {attempt} attempts; the last: {fault}")
            failed.is_unreachable = not fault.replied
            raise failed from None
        raise ServerError("no attempt was made")  # pragma: no cover # tenacity always makes one

    async def _note_failed(self, body: Mapping[str, Any], send: Send, read: _Read) -> None:
        """Count a request at which a server fails that replies; perhaps only at some, such as with tools."""
        self._failed_in_a_row += 1
        if self._failed_in_a_row < _GONE_AFTER:
            return
        # Others that are under way go on meanwhile.
        failed, self._failed_in_a_row = self._failed_in_a_row, 0
        if await self._fault_at_least(body, send, read) is not None:
            self._failed_in_a_row += failed

    async def _fault_at_least(self, body: Mapping[str, Any], send: Send, read: _Read) -> Any:
        """What goes wrong at the least there is to ask; None where the server gives a reply."""
        self.requests += 1
        try:
            await self._once(shortened(body), send, read)
        except PassingFaultError as fault:
            return fault
        except ServerError:
            pass  # a reply, too
        return None

    def expect_again(self) -> None:
        """Let a server that counted as down be asked once more; it is down after one more time limit."""
        self._failed_in_a_row = min(self._failed_in_a_row, _GONE_AFTER - 1)
        self._silence.try_again()

    async def try_again(self, body: Mapping[str, Any], send: Send, read: _Read) -> None:
        """Let a server that counted as down show whether it still is.

        Args:
            body: The first of the requests to come, all of which would wait for one that gave no reply.
            send: Sends it.
            read: Reads the reply.
        """
        self._failed_in_a_row = min(self._failed_in_a_row, _GONE_AFTER - 1)
        if self._silence.is_long:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOKED_AT_S):
                    fault = await self._fault_at_least(body, send, read)
                if fault is None or fault.replied:
                    self._silence.end()

    def _retrying(self, *, is_alone: bool) -> Any:
        """How a request is repeated here; where the server is not alone, not while it is busy."""
        patience = Patience(self)
        return retrying(
            lambda fault: patience.count(fault) >= self._attempts or self._is_down,
            self._wait_s,
            lambda fault: isinstance(fault, PassingFaultError) and (is_alone or not fault.passed_on),
        )

    async def _attempt(
        self, body: dict[str, Any], send: Send, read: Callable[[Any, dict[str, Any]], _T], attempt: int
    ) -> _T:
        if self._is_down:
            raise self._down()
        # A rate limit applies to all requests, not only to this one.
        while (pause_s := self.pause_s) > 0:
            await asyncio.sleep(pause_s)
        self.requests += 1
        self.retried += attempt > 1
        self._silence.begin()
        try:
            found = await self._once(body, send, read)
        except ServerError:
            self._silence.end()
            raise
        except PassingFaultError as fault:
            # What a reply says is a part of some faults.
            fault.args = (self.clean(str(fault)),)
            # Of a server that is down, what was under way is cut off: that is no fault of its own.
            self._last_fault = self._last_fault if self._silence.is_over else fault
            self._note(fault, body)
            self._rest(fault.pause_s or 0.0)
            raise
        self._failed_in_a_row = 0
        self._silence.end()
        self.answered += 1
        return found

    def _note(self, fault: PassingFaultError, body: Mapping[str, Any]) -> None:
        """What a fault says of the server; if it is down, requests that are under way wait no longer."""
        if fault.replied:
            self._silence.end()
            return
        self._unanswered = self._silence.count(body, self._timeout_s if fault.timed_out else self._cut_off_s)
        if self._silence.is_over:
            for limit in self._under_way:
                if not limit.expired():
                    limit.reschedule(asyncio.get_running_loop().time())

    def _down(self) -> ServerError:
        requests = max(self._unanswered, self._failed_in_a_row)
        is_silent = self._last_fault is not None and not self._last_fault.replied
        said = f"{'gave no reply to' if is_silent else 'failed at'} {requests} requests in a row"
        error = ServerError(f"{self.url} {said}; the last: {self._last_fault}")
        error.is_unreachable = is_silent
        return error

    def _rest(self, pause_s: float) -> None:
        """Take no request for some seconds."""
        self._not_before = max(self._not_before, time.monotonic() + pause_s)

    def _wait_s(self, fault: object, attempt: int) -> float:
        """Seconds until the next attempt: those that the server asks for, or more with each attempt."""
        return pause_before_s(attempt, getattr(fault, "pause_s", None), self._first_wait_s)

    async def _once(self, body: dict[str, Any], send: Send, read: Callable[[Any, dict[str, Any]], _T]) -> _T:
        import openai

        if self._client is None:
            # The client requires a key, also for servers that need none. Another server that it is sent on to
            # was not named, and would get the questions.
            self._client = openai.AsyncOpenAI(
                base_url=self.url,
                api_key=self._key or "none",
                max_retries=0,
                timeout=self._timeout_s,
                http_client=openai.DefaultAsyncHttpxClient(
                    follow_redirects=False, mounts=without_proxy(self.url)
                ),
            )
        left_out: set[str] = set()
        while True:
            sent = self.parameters.accepted(body, left_out)
            try:
                # The client's own limit is of each wait for a part of the reply.
                async with self._limited():
                    reply = await send(self._client, sent)
                self.parameters.note(body, left_out)
                return read(reply, sent)
            except UnfitParameterError as unfit:
                body = {name: value for name, value in body.items() if name != unfit.name}
                self.requests += 1
            except openai.APIStatusError as error:
                if (name := self.parameters.refused_by(error, sent)) is None:
                    raise self._fault_of_status(error) from None
                left_out.add(name)
                self.requests += 1
            except (openai.APITimeoutError, TimeoutError):
                reason = f"no reply within {self._timeout_s:g} s"
                raise PassingFaultError(reason, replied=False, timed_out=True) from None
            except openai.APIConnectionError as error:
                reason = self.clean(f"connection failed: {error.__cause__ or error}")
                if "CERTIFICATE_VERIFY_FAILED" in reason:
                    remedy = "if you trust it, name its file in the variable SSL_CERT_FILE"
                    raise RefusedError(f"{reason}; {remedy}", UNTRUSTED) from None
                raise PassingFaultError(reason, replied=False) from None
            except (openai.APIResponseValidationError, json.JSONDecodeError, UnicodeDecodeError) as error:
                raise PassingFaultError(self.clean(f"the reply is not JSON: {error}")) from None
            except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
                reason = f"the reply can't be read: {type(error).__name__}: {error}"
                raise PassingFaultError(self.clean(reason)) from None

    @asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        """The time limit of one request."""
        async with asyncio.timeout(self._timeout_s) as limit:
            self._under_way.add(limit)
            try:
                yield
            finally:
                self._under_way.discard(limit)

    def _fault_of_status(self, error: Any) -> Exception:
        """A temporary fault, or a final error."""
        told = error.body.get("message") if isinstance(error.body, Mapping) else None
        reason = self.clean(f"status {error.status_code}: {told or error.message}")[:300]
        if 300 <= error.status_code < 400:
            place = shown(str(error.response.headers.get("location", "another address")))
            reason = f"status {error.status_code}: it sends requests on to {place}; name that server"
        status = error.status_code
        passing = status in _PASSING_STATUSES or (status >= 500 and status not in _NEVER_STATUSES)
        if not passing or getattr(error, "code", None) == "insufficient_quota":
            return RefusedError(reason, error.status_code)
        pause_s = retry_after_s(error.response.headers)
        if pause_s is not None and pause_s > self._longest_pause_s:
            self._away_until = time.monotonic() + pause_s
            return ServerError(f"{reason}; the server asks for a pause of {pause_s:.0f} s")
        return PassingFaultError(reason, pause_s, limited=error.status_code == _LIMITED)

    def clean(self, text: str, shortest: int = 1) -> str:
        """The text without the key.

        Args:
            text: What the server said.
            shortest: As for without_key.
        """
        return without_key(text, self._key, shortest)

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
