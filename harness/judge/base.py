"""What the judge client asks of an engine."""

from typing import Protocol

from harness.types import JudgeReply, JudgeRequest


class JudgeEngine(Protocol):
    """Something that answers a judge's questions. All methods are called in one event loop."""

    @property
    def identity(self) -> str:
        """Which judge this is, by content where that is known; part of every cache key, never a secret."""

    @property
    def remote(self) -> bool:
        """Whether another process or machine does the work."""

    @property
    def requests(self) -> int:
        """How many requests were sent so far, repeated ones included."""

    @property
    def retried(self) -> int:
        """How many of them repeated one that failed in passing."""

    async def ask(self, request: JudgeRequest) -> JudgeReply:
        """Answer one question; ``data`` is left empty, the client reads it from the text.

        Raises:
            JudgeError: No reply came; the message says why.
        """

    async def close(self) -> None:
        """Release connections and weights."""
