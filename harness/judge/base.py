"""The interface between the judge client and an engine."""

import time
from typing import Protocol

from harness.errors import JudgeError
from harness.registry.field_types import wrong_field
from harness.types import JudgeReply, JudgeRequest


class JudgeEngine(Protocol):
    """Answers a judge's questions. All methods are called in one event loop."""

    @property
    def identity(self) -> str:
        """Identifies the judge, by content if known; part of every cache key; contains no secret."""

    @property
    def remote(self) -> bool:
        """Whether another process or machine does the work."""

    @property
    def requests(self) -> int:
        """How many requests were sent so far, repeated ones included."""

    @property
    def retried(self) -> int:
        """How many of them repeated one after a temporary fault."""

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Answer one question; ``data`` stays empty: the client reads it from the text.

        Raises:
            JudgeError: There was no reply; the message says why.
        """

    async def close(self) -> None:
        """Release connections and weights."""


def may_be_asked_again(outcome: object) -> bool:
    """Whether a question failed at a judge that was away, and some time has passed since."""
    return (
        isinstance(outcome, JudgeError)
        and outcome.again_from_s is not None
        and time.monotonic() >= outcome.again_from_s
    )


def checked_reply(reply: object) -> JudgeReply:
    """An engine's reply; those of plug-ins are written without our type checks.

    Raises:
        JudgeError: It is no reply, or a field of it has another type.
    """
    if not isinstance(reply, JudgeReply):
        raise JudgeError(f"the judge gave a {type(reply).__name__} (allowed: a JudgeReply)")
    if problem := wrong_field(reply):
        raise JudgeError(f"the judge gave a JudgeReply with {problem}")
    return reply
