"""Deals requests to the servers of a pool."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress

from harness.engines.served.client import BusyError, ServerClient
from harness.engines.served.patience import Patience

# After so many times a server counts as one that failed at a request.
_MOST_TIMES_BUSY = 6


class RequestDealer:
    """Which server takes which request: the next one that has room, so that a slow server gets fewer."""

    def __init__(self, jobs: int, clients: Sequence[ServerClient]) -> None:
        """All requests wait for any of the servers.

        Args:
            jobs: Number of requests.
            clients: The servers.
        """
        self._clients = tuple(clients)
        self._untried = deque(range(jobs))
        self._passed_on: list[int] = []
        # The servers that failed at a request.
        self._tried: dict[int, set[ServerClient]] = {}
        self._refusing: set[ServerClient] = set()  # any request
        # How often a server was too busy for a request, or gave no reply to it.
        self._busy: dict[tuple[int, ServerClient], Patience] = {}
        # How often it gave none.
        self._unanswered: Counter[tuple[int, ServerClient]] = Counter()
        self._left = jobs
        self._changed = asyncio.Event()

    async def next_for(self, client: ServerClient) -> int | None:
        """The next request for a server; None if there is none left.

        Args:
            client: The server.
        """
        while self._left:
            pause_s = client.pause_s
            place = None if pause_s else self._take(client)
            if place is not None:
                return place
            # Another server may fail at what it has.
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s or None):
                    await self._changed.wait()
        return None

    def busy_before(self, place: int, client: ServerClient) -> int | None:
        """How often a server was too busy for a request, or gave no reply; None if there is no other one.

        Args:
            place: The request.
            client: The server.
        """
        if len(self._clients) == 1:
            return None
        known = self._busy.get((place, client))
        return known.times if known else 0

    def give_back(self, place: int, client: ServerClient, error: BusyError) -> bool:
        """Leave a request to the server that has room first; False if all were asked too often.

        Args:
            place: The request.
            client: The server that has no room for it, or gave no reply.
            error: What it said.
        """
        # Another one takes it first.
        self._unanswered[place, client] += error.is_unreachable
        patience = self._busy.setdefault((place, client), Patience(client))
        if patience.count(error) >= _MOST_TIMES_BUSY:
            return self.pass_on(place, client)
        self._put_back(place)
        return True

    def pass_on(self, place: int, client: ServerClient, *, refuses: bool = False) -> bool:
        """Leave a request to the other servers; False if all have failed at it.

        Args:
            place: The request.
            client: The server that failed.
            refuses: Whether it would refuse any request: then others are asked first.
        """
        self._refusing |= {client} if refuses else set()
        failed = self._tried.setdefault(place, set())
        failed.add(client)
        if len(failed) == len(self._clients):
            return False
        self._put_back(place)
        return True

    def settle(self) -> None:
        """A request has its result."""
        self._left -= 1
        self._changed.set()

    def _put_back(self, place: int) -> None:
        self._passed_on.append(place)
        self._changed.set()

    def _take(self, client: ServerClient) -> int | None:
        for at, place in enumerate(self._passed_on):
            if self._is_for(client, place):
                return self._passed_on.pop(at)
        return self._untried.popleft() if self._untried and self._is_for(client, self._untried[0]) else None

    def _is_for(self, client: ServerClient, place: int) -> bool:
        """Whether a server is asked: one that is there, and no other left it without reply less often."""
        failed = self._tried.get(place, ())
        left = [each for each in self._clients if each not in failed]
        there = [each for each in left if not (each.is_gone or each in self._refusing)] or left
        fewest = min((self._unanswered[place, each] for each in there), default=0)
        return client in there and self._unanswered[place, client] == fewest
