"""Asks one or more servers of one model many requests at a time, from code that just waits."""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engines.served.client import RefusedError, Send, ServerClient, ServerError

# Longest wait for a result before the main thread looks whether it was interrupted.
_TICK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request.

    Attributes:
        body: Its parameters.
        send: Sends them by the official client.
        read: Makes the result from the reply and the sent parameters; it may raise PassingFaultError.
    """

    body: dict[str, Any]
    send: Send
    read: Callable[[Any, dict[str, Any]], Any]


class ServerPool:
    """Servers that all serve the same model."""

    def __init__(self, clients: Sequence[ServerClient], concurrency: int) -> None:
        """Nothing is sent yet.

        Args:
            clients: One per server.
            concurrency: Most requests to each of them that are under way at a time.
        """
        self.clients = tuple(clients)
        self._concurrency = concurrency

    def ask(self, job: Job) -> Any:
        """Ask one request.

        Raises:
            ServerError: There was no usable reply.
        """
        found: list[Any] = []
        self.ask_all([job], lambda _place, result: found.append(result))
        if isinstance(found[0], ServerError):
            raise found[0]
        return found[0]

    def ask_all(self, jobs: Sequence[Job], on_result: Callable[[int, Any], None]) -> None:
        """Ask many requests.

        Args:
            jobs: The requests.
            on_result: Called in this thread with each request's index and its result or a ServerError, as
                they come.
        """
        found: queue.Queue[tuple[int, Any]] = queue.Queue()
        run_in_thread(self._ask_all(jobs, lambda place, result: found.put((place, result))), found, on_result)

    async def _ask_all(self, jobs: Sequence[Job], put: Callable[[int, Any], None]) -> None:
        slots = {client: asyncio.Semaphore(self._concurrency) for client in self.clients}
        waiting = dict.fromkeys(self.clients, 0)

        async def answer(place: int, job: Job) -> None:
            try:
                put(place, await self._answer(job, slots, waiting))
            except ServerError as error:
                put(place, error)
            except Exception as error:  # a fault of one request is never one of the others
                put(place, ServerError(f"{type(error).__name__}: {error}"))

        try:
            await asyncio.gather(*(answer(place, job) for place, job in enumerate(jobs)))
        finally:
            for client in self.clients:
                await client.close()

    async def _answer(
        self, job: Job, slots: dict[ServerClient, asyncio.Semaphore], waiting: dict[ServerClient, int]
    ) -> Any:
        """The result of the server with the fewest waiting requests, or of another one if it fails."""
        left, last = list(self.clients), ServerError("no server is left")
        while left:
            client = min(left, key=lambda one: (one.is_gone, waiting[one]))
            left.remove(client)
            waiting[client] += 1
            try:
                async with slots[client]:
                    return await client.send(job.body, job.send, job.read)
            except RefusedError:
                raise
            except ServerError as error:
                last = error
            finally:
                waiting[client] -= 1
        raise last


def run_in_thread(
    work: Coroutine[Any, Any, None],
    found: "queue.Queue[tuple[int, Any]]",
    on_result: Callable[[int, Any], None],
) -> None:
    """Run a coroutine in a thread of its own, and hand its results over in this one.

    Args:
        work: It puts its results into the queue.
        found: The queue.
        on_result: Called with each of them.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)
    thread = threading.Thread(target=_until_done, args=(loop, task), name="served", daemon=True)
    thread.start()
    try:
        while thread.is_alive() or not found.empty():
            try:
                on_result(*found.get(timeout=_TICK_S if thread.is_alive() else 0))
            except queue.Empty:
                continue
    except BaseException:
        loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        thread.join(timeout=10)
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


def _until_done(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    try:
        loop.run_until_complete(asyncio.wait([task]))
    finally:
        loop.close()
