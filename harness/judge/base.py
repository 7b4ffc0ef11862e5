"""The interface between the judge client and an engine."""

from typing import Protocol

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
