"""How long a request, and a whole server, is waited for."""

import random
import time
from collections.abc import Mapping
from typing import Any, Protocol

# Fewer requests say more of themselves than of the server: they are too long for it, or break it.
_FEWEST_REQUESTS = 4
_LONGEST_BACKOFF_S = 20.0


class AnsweringClient(Protocol):
    """What answers requests.

    Attributes:
        answered: How many got an answer.
    """

    answered: int


class Patience:
    """How often a request failed at a server, for the question whether to go on.

    Attributes:
        times: How often it did.
    """

    def __init__(self, client: AnsweringClient) -> None:
        """Nothing failed yet.

        Args:
            client: The server.
        """
        self.times = 0
        self._client, self._answered = client, client.answered

    def count(self, fault: object) -> int:
        """How often it failed, with this fault; a second wait to the time limit counts twice.

        Args:
            fault: The error.
        """
        # While a server that limits the rate answers others, it is only a matter of time.
        is_spared = getattr(fault, "limited", False) and self._client.answered > self._answered
        counted = 2 if self.times and getattr(fault, "timed_out", False) else 1
        self.times, self._answered = self.times + counted * (not is_spared), self._client.answered
        return self.times


class Silence:
    """Since when nothing at all has come from a server that was asked.

    A slow server sends something to one of the requests that are under way. One at which several of them find
    nothing is gone after their first time limit: others are asked instead. After the second it is down.

    Attributes:
        is_long: Whether it is gone.
        is_over: Whether it is down.
    """

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self._since_s: float | None = None
        self._unanswered: dict[int, Mapping[str, Any]] = {}
        self._limits = 2
        self.is_long = self.is_over = False

    def begin(self) -> None:
        """Something is sent to the server."""
        if self._since_s is None:
            self._since_s = time.monotonic()

    def end(self) -> None:
        """Something came from it."""
        self._since_s, self._limits = None, 2
        self._unanswered.clear()
        self.is_long = self.is_over = False

    def try_again(self) -> None:
        """Let a server that is down be asked once more: after one more time limit it is down again."""
        if self.is_over:
            self._since_s, self._limits, self.is_over = None, 1, False

    def count(self, body: Mapping[str, Any], limit_s: float) -> int:
        """How many requests found nothing, with this one.

        Args:
            body: The request's parameters; the same object if it is repeated.
            limit_s: Time after which it found nothing.
        """
        if self._since_s is not None:
            self._unanswered[id(body)] = body
            length_s = time.monotonic() - self._since_s
            if len(self._unanswered) >= _FEWEST_REQUESTS:
                self.is_long = self.is_long or length_s >= limit_s
                self.is_over = self.is_over or length_s >= self._limits * limit_s
        return len(self._unanswered)


def pause_before_s(attempt: int, asked_s: float | None, first_wait_s: float) -> float:
    """Seconds before another attempt.

    Args:
        attempt: How many there were.
        asked_s: What the server asks for; None or 0 says nothing: all attempts would be spent at once.
        first_wait_s: Mean wait before the second attempt; it doubles with each.
    """
    # With jitter, requests that failed together are not repeated together.
    backoff_s = first_wait_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
    return asked_s or min(backoff_s, _LONGEST_BACKOFF_S)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Pause in seconds that a server asks for (RFC 9110, section 10.2.3: seconds or a date)."""
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
