"""Makes batches from requests that arrive one by one: those that arrive during one batch form the next."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from harness.engines.base import GenerationRequest, StreamingEngine
from harness.errors import EngineError, FailedTogetherError, InputError, TunegateError
from harness.types import Completion

if TYPE_CHECKING:
    from harness.engines.traced import TracedAnswer

# Questions that arrive together are a few milliseconds apart.
_GATHER_S = 0.01
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Trace:
    """What a request wants to know about its tokens.

    Attributes:
        most: How many of the likeliest tokens at each place; None for the tokens alone.
        with_prompt: Whether the prompt's tokens too.
    """

    most: int | None
    with_prompt: bool = False


@dataclass(frozen=True, slots=True)
class _WaitingRequest:
    request: GenerationRequest
    answer: "asyncio.Future[Any]"
    on_text: Callable[[str], None] | None = None
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    run: Callable[[], Any]
    answer: "asyncio.Future[Any]"


class MicroBatcher:
    """One engine for many callers of one event loop.

    Attributes:
        engine: The engine. Replace it by work that ``run`` runs: nothing else uses it meanwhile.
        batches: How many batches were answered.
    """

    def __init__(self, engine: StreamingEngine) -> None:
        """Start nothing yet."""
        self.engine = engine
        self.batches = 0
        self._queue: asyncio.Queue[_WaitingRequest | _Work] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    async def generate(
        self, request: GenerationRequest, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """Answer one request, together with all others that wait.

        Args:
            request: The request.
            on_text: Called with the text so far, in the event loop, during generation.

        Raises:
            InputError: It can't be answered.
            EngineError: The model failed on it.
        """
        return cast("Completion", await self._put(lambda answer: _WaitingRequest(request, answer, on_text)))

    async def trace(self, request: GenerationRequest, wanted: Trace) -> "TracedAnswer":
        """Answer one request with its tokens, together with others that wait for the same.

        Args:
            request: The request.
            wanted: What it wants to know.

        Raises:
            InputError: It can't be answered.
            EngineError: The model failed on it.
        """
        found = await self._put(lambda answer: _WaitingRequest(request, answer, trace=wanted))
        return cast("TracedAnswer", found)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run other work between two batches, in a thread; its exception is raised here."""
        return cast("_T", await self._put(lambda answer: _Work(work, answer)))

    async def _put(self, entry: "Callable[[asyncio.Future[Any]], _WaitingRequest | _Work]") -> Any:
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker = loop.create_task(self._serve())
        answer: asyncio.Future[Any] = loop.create_future()
        await self._queue.put(entry(answer))
        return await answer

    async def _serve(self) -> None:
        while True:
            entries = [await self._queue.get()]
            await asyncio.sleep(_GATHER_S)
            while not self._queue.empty():
                entries.append(self._queue.get_nowait())
            # Nothing is computed for a caller that has gone.
            entries = [one for one in entries if not one.answer.cancelled()]
            groups: dict[Trace | None, list[_WaitingRequest]] = {}
            for one in entries:
                if isinstance(one, _WaitingRequest):
                    groups.setdefault(one.trace, []).append(one)
            for group in groups.values():
                self.batches += 1
                await self._answer(group)
            for one in entries:
                if isinstance(one, _Work):
                    await _run(one)

    async def _answer(self, waiting: list[_WaitingRequest]) -> None:
        loop = asyncio.get_running_loop()

        def settle(index: int, answer: Any) -> None:
            if not waiting[index].answer.done():
                waiting[index].answer.set_result(answer)

        def on_batch(batch: Mapping[int, Any]) -> None:
            for index, answer in batch.items():
                loop.call_soon_threadsafe(settle, index, answer)

        def on_text(index: int, text: str) -> None:
            if (listener := waiting[index].on_text) is not None:
                loop.call_soon_threadsafe(listener, text)

        streamed = any(one.on_text is not None for one in waiting)
        requests, wanted = [one.request for one in waiting], waiting[0].trace

        def compute() -> None:
            if wanted is None:
                self.engine.generate(requests, on_batch, on_text if streamed else None)
            else:
                tracing: Any = self.engine
                traced = tracing.trace(requests, wanted.most, with_prompts=wanted.with_prompt)
                on_batch(dict(enumerate(traced)))

        fault: TunegateError | None = None
        try:
            await asyncio.to_thread(compute)
        except (EngineError, InputError) as error:
            # That memory runs out for all is no fault of theirs.
            fault = EngineError(str(error)) if isinstance(error, FailedTogetherError) else error
        except Exception as error:  # an exception ends this batch, and the next one is still served
            fault = EngineError(f"{type(error).__name__}: {error}")
        # Only now is the memory free that the exception held.
        if fault is not None:
            await self._one_by_one(waiting, fault)
        await asyncio.sleep(0)  # lets the last settlements run
        _fail(waiting, EngineError("the engine gave no answer"))

    async def _one_by_one(self, waiting: list[_WaitingRequest], error: TunegateError) -> None:
        """Answer one by one: a batch may fail because of one of its rows, or because it is too large."""
        await asyncio.sleep(0)
        left = [one for one in waiting if not one.answer.done()]
        if len(left) == 1:
            _fail(left, error)
            return
        for one in left:
            await self._answer([replace(one)])

    async def close(self) -> None:
        """Stop; callers that still wait get an error."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
        while not self._queue.empty():
            _fail([self._queue.get_nowait()], EngineError("the engine is closed"))


async def _run(work: _Work) -> None:
    try:
        found = await asyncio.to_thread(work.run)
    except Exception as error:  # its caller raises it
        if not work.answer.done():
            work.answer.set_exception(error)
    else:
        if not work.answer.done():
            work.answer.set_result(found)


def _fail(waiting: "list[_WaitingRequest] | list[_WaitingRequest | _Work]", error: TunegateError) -> None:
    for one in waiting:
        if not one.answer.done():
            one.answer.set_exception(error)
