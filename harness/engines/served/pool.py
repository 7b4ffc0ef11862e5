"""Asks one or more servers of one model many requests at a time, from code that just waits."""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness.engines.served.client import (
    UNTRUSTED,
    BusyError,
    RefusedError,
    Send,
    ServerClient,
    ServerError,
)
from harness.engines.served.dealt import RequestDealer
from harness.errors import InputError

# Statuses that say something of the server, and not of the request: its address, model's name and key; the
# key's account; what it was started for.
ADDRESSED = frozenset({301, 302, 303, 307, 308, 401, 403, 404, 405, UNTRUSTED})
UNPAID, UNABLE = frozenset({402, 429}), frozenset({501, 505})
# A reply without what was asked for, such as log-probabilities, which another server may give. It says
# nothing of other requests.
_LACKING = 200
_OF_SERVER = ADDRESSED | UNPAID | UNABLE | {_LACKING}
# Longest wait for a result before the main thread looks whether it was interrupted.
_TICK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request.

    Attributes:
        body: Its parameters.
        send: Sends them by the official client.
        read: Makes the result from the reply and the sent parameters; it may raise PassingFaultError, or
            UnfitParameterError to have the request sent without one of them.
    """

    body: dict[str, Any]
    send: Send
    read: Callable[[Any, dict[str, Any]], Any]


class ServerPool:
    """Servers that all serve the same model.

    Attributes:
        refusals: Why servers refused what others were asked then, by address.
    """

    def __init__(self, clients: Sequence[ServerClient], concurrency: int) -> None:
        """Nothing is sent yet.

        Args:
            clients: One per server.
            concurrency: Most requests to each of them that are under way at a time.
        """
        self.clients = tuple(clients)
        self.refusals: dict[str, str] = {}
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
        dealt = RequestDealer(len(jobs), self.clients)
        if jobs:
            first = jobs[0]
            await asyncio.gather(
                *(client.try_again(first.body, first.send, first.read) for client in self.clients)
            )

        async def work(client: ServerClient) -> None:
            while (place := await dealt.next_for(client)) is not None:
                job = jobs[place]
                try:
                    busy = dealt.busy_before(place, client)
                    put(place, await client.send(job.body, job.send, job.read, busy_before=busy))
                    dealt.settle()
                except BusyError as error:
                    if not dealt.give_back(place, client, error):
                        put(place, error)
                        dealt.settle()
                except ServerError as error:
                    status = error.status if isinstance(error, RefusedError) else None
                    refuses = status not in {None, _LACKING}
                    is_final = status is not None and status not in _OF_SERVER
                    if is_final or not dealt.pass_on(place, client, refuses=refuses):
                        put(place, error)
                        dealt.settle()
                    elif refuses:
                        self.refusals.setdefault(client.url, str(error))
                except InputError:
                    raise  # the session can't go on
                except Exception as error:  # a fault of one request is never one of the others
                    put(place, ServerError(f"{type(error).__name__}: {error}"))
                    dealt.settle()

        workers = min(self._concurrency, len(jobs))
        tasks = [asyncio.create_task(work(client)) for _ in range(workers) for client in self.clients]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for client in self.clients:
                await client.close()


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
        # The loop is closed where the work has just ended: what was raised is still what counts.
        with suppress(RuntimeError):
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
