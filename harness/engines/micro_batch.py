"""Makes batches from requests that arrive one by one: those that arrive during one batch form the next."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from harness.engines.base import GenerationRequest, StreamingEngine
from harness.errors import EngineError
from harness.types import Completion

# Questions that arrive together are a few milliseconds apart.
_GATHER_S = 0.01


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: GenerationRequest
    answer: "asyncio.Future[Completion]"
    on_text: Callable[[str], None] | None


class MicroBatcher:
    """One engine for many callers of one event loop."""

    def __init__(self, engine: StreamingEngine) -> None:
        """Start nothing yet."""
        self._engine = engine
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self.batches = 0

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
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        answer: asyncio.Future[Completion] = loop.create_future()
        await self._queue.put(_Waiting(request, answer, on_text))
        return await answer

    async def _work(self) -> None:
        while True:
            waiting = [await self._queue.get()]
            await asyncio.sleep(_GATHER_S)
            while not self._queue.empty():
                waiting.append(self._queue.get_nowait())
            # Nothing is computed for a caller that has gone.
            waiting = [one for one in waiting if not one.answer.cancelled()]
            if waiting:
                self.batches += 1
                await self._answer(waiting)

    async def _answer(self, waiting: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()

        def settle(index: int, completion: Completion) -> None:
            if not waiting[index].answer.done():
                waiting[index].answer.set_result(completion)

        def on_batch(batch: Mapping[int, Completion]) -> None:
            for index, completion in batch.items():
                loop.call_soon_threadsafe(settle, index, completion)

        def on_text(index: int, text: str) -> None:
            if (listener := waiting[index].on_text) is not None:
                loop.call_soon_threadsafe(listener, text)

        streamed = any(one.on_text is not None for one in waiting)
        requests = [one.request for one in waiting]
        try:
            await asyncio.to_thread(self._engine.generate, requests, on_batch, on_text if streamed else None)
        except EngineError as error:
            await self._one_by_one(waiting, error)
        except Exception as error:  # an exception ends this batch, and the next one is still served
            _fail(waiting, EngineError(f"{type(error).__name__}: {error}"))
        await asyncio.sleep(0)  # lets the last settlements run
        _fail(waiting, EngineError("the engine gave no answer"))

    async def _one_by_one(self, waiting: list[_Waiting], error: EngineError) -> None:
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


def _fail(waiting: list[_Waiting], error: EngineError) -> None:
    for one in waiting:
        if not one.answer.done():
            one.answer.set_exception(error)
