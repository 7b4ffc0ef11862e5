"""One blocking function for many callers of an event loop: items that wait together are computed together."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

# Questions that arrive together are a few milliseconds apart.
_GATHER_S = 0.01


class Gatherer(Generic[Question, Answer]):
    """Calls a function with all waiting items, in a thread, one call at a time."""

    def __init__(self, compute: Callable[[Sequence[Question]], Sequence[Answer]], most: int) -> None:
        """Start nothing yet.

        Args:
            compute: Returns an answer for each item, in order.
            most: Largest number of items in one call.
        """
        self._compute, self._most = compute, most
        self._queue: asyncio.Queue[tuple[Question, asyncio.Future[Answer]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, item: Question) -> Answer:
        """The function's answer for one item; its exceptions are raised here."""
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        answer: asyncio.Future[Answer] = loop.create_future()
        await self._queue.put((item, answer))
        return await answer

    async def _work(self) -> None:
        while True:
            waiting = [await self._queue.get()]
            await asyncio.sleep(_GATHER_S)
            while not self._queue.empty() and len(waiting) < self._most:
                waiting.append(self._queue.get_nowait())
            waiting = [one for one in waiting if not one[1].cancelled()]
            if not waiting:
                continue
            try:
                answers = await asyncio.to_thread(self._answers, [item for item, _ in waiting])
            except Exception as error:  # every exception is passed on to those who wait
                for _, answer in waiting:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), value in zip(waiting, answers, strict=True):
                if not answer.done():
                    answer.set_result(value)

    def _answers(self, items: Sequence[Question]) -> Sequence[Answer]:
        try:
            return self._compute(items)
        except StopIteration as error:
            # No future takes one, and whoever waits for it would wait for ever.
            raise RuntimeError("nothing was found") from error

    async def close(self) -> None:
        """Stop."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
