"""Tells whoever listens of each answer that the server gives."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from harness.engines.base import GenerationRequest
from harness.engines.micro_batch import MicroBatcher, Trace
from harness.registry.listeners import LISTENERS, Work, tell
from harness.types import Completion

if TYPE_CHECKING:
    from harness.engines.traced import TracedAnswer

# The trace that a client's request belongs to: its header traceparent.
CALLER: ContextVar[str] = ContextVar("caller", default="")
_ENGINE = "tunegate"
_T = TypeVar("_T")


class ToldBatcher(MicroBatcher):
    """A batcher of whose answers listeners are told, each with the time that its client waited."""

    async def generate(
        self, request: GenerationRequest, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """Answer one request, together with all others that wait.

        Args:
            request: The request.
            on_text: Called with the text so far, in the event loop, during generation.

        Raises:
            EngineError: The model failed on it.
        """
        return await _told(request, super().generate(request, on_text), lambda found: found)

    async def trace(self, request: GenerationRequest, wanted: Trace) -> "TracedAnswer":
        """Answer one request with its tokens, together with others that wait for the same.

        Args:
            request: The request.
            wanted: What it wants to know.

        Raises:
            EngineError: The model failed on it.
        """
        return await _told(request, super().trace(request, wanted), lambda found: found.completion)


async def _told(request: GenerationRequest, work: Awaitable[_T], answer_of: Callable[[_T], Completion]) -> _T:
    started = time.time_ns()
    error, completion = "", None
    try:
        found = await work
    except asyncio.CancelledError:
        error = "cancelled"  # the client has gone
        raise
    except Exception:
        error = "generation_failed"
        raise
    else:
        completion = answer_of(found)
        return found
    finally:
        if LISTENERS:
            tell(
                Work(
                    kind="answer",
                    name=request.side,
                    engine=_ENGINE,
                    is_served=True,
                    parent=CALLER.get(),
                    started_ns=started,
                    ended_ns=time.time_ns(),
                    input_tokens=0 if completion is None else completion.prompt_tokens,
                    output_tokens=0 if completion is None else completion.completion_tokens,
                    stop_reason="" if completion is None else completion.stop_reason,
                    errors=int(bool(error)),
                    error=error,
                )
            )
