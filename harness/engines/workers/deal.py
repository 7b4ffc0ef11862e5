"""Deals batches out to workers, the next one to whoever has finished.

How a worker is reached is the transport's affair: here a process of this machine, elsewhere it may be another
machine. A batch whose worker is lost is given to another one, once. Where memory ran out, its halves are,
until a row is alone.
"""

import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from harness.engines.base import OnEarly
from harness.errors import EngineError
from harness.types import ServerUse

# Most rows that are computed again together after their worker was lost.
_SMALL = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedBatch:
    """A worker has finished its batch.

    Attributes:
        found: Answers by index.
        failures: Why rows have no answer, by index.
        use: How its server was used so far; None where it has none.
    """

    worker: int
    found: Mapping[int, Any]
    failures: Mapping[int, str]
    use: ServerUse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyAnswers:
    """A worker has some answers of its batch, and goes on; once it has finished, it gives them again.

    Attributes:
        found: Answers by index.
    """

    worker: int
    found: Mapping[int, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWorker:
    """A worker has ended, or was ended because it did nothing.

    Attributes:
        reason: What happened, with the worker's name.
        memory: Whether memory may have run out.
        of_batch: Whether its batch may be the cause, and not only the machine.
    """

    worker: int
    reason: str
    memory: bool = False
    of_batch: bool = True


Event: TypeAlias = EarlyAnswers | FinishedBatch | LostWorker


class Transport(Protocol):
    """Reaches workers, each known by a number."""

    def start(self) -> int | None:
        """Start a worker that has the models loaded; returns its number, or None while there is no room."""

    def give(self, worker: int, batch: Sequence[int]) -> None:
        """Give a worker a batch.

        Args:
            worker: An idle one.
            batch: The indices of its requests.
        """

    def wait(self) -> Sequence[Event]:
        """What happened, at the latest after a second; a lost worker is told once, also an idle one."""

    def end(self, worker: int) -> None:
        """End a worker, whatever it does."""


def deal(
    batches: Sequence[Sequence[int]],
    transport: Transport,
    most: int,
    keys: Sequence[str],
    on_batch: Callable[[Mapping[int, Any]], None],
    on_early: OnEarly | None = None,
) -> dict[int, EngineError]:
    """Compute batches on workers.

    Args:
        batches: The indices of each batch's requests, the largest batches first.
        transport: Reaches the workers.
        most: Most workers at a time.
        keys: The requests' names, for messages.
        on_batch: Called with each batch's answers, in the order in which they are finished.
        on_early: Called with answers of a batch that goes on, which stay if its worker is lost; None where
            nobody asked for them.

    Returns:
        Why rows have no answer, by index.
    """
    waiting = deque(list(batch) for batch in batches)
    given: dict[int, list[int]] = {}
    idle: list[int] = []
    again: set[int] = set()
    failures: dict[int, EngineError] = {}
    try:
        while waiting or given:
            while waiting and len(given) < most:
                worker = idle.pop() if idle else transport.start()
                if worker is None:
                    break
                given[worker] = waiting.popleft()
                transport.give(worker, given[worker])
            for event in transport.wait():
                if event.worker in idle:
                    idle.remove(event.worker)
                    continue
                if isinstance(event, EarlyAnswers):
                    if on_early is not None:  # else nobody has kept them
                        given[event.worker] = [row for row in given[event.worker] if row not in event.found]
                        on_early(event.found)
                    continue
                batch = given.pop(event.worker)
                if isinstance(event, FinishedBatch):
                    idle.append(event.worker)
                    failures.update({row: EngineError(why) for row, why in event.failures.items()})
                    on_batch(event.found)
                    continue
                # Where memory ran out, smaller batches on fewer workers need less of it.
                most = max(1, most - 1) if event.memory else most
                left_out, parts = _after_loss(event, batch, keys, again)
                failures.update(left_out)
                waiting.extendleft(reversed(parts))
    finally:
        for worker in (*given, *idle):
            transport.end(worker)
    return failures


def _after_loss(
    event: LostWorker, batch: list[int], keys: Sequence[str], again: set[int]
) -> tuple[dict[int, EngineError], list[list[int]]]:
    """The rows of a lost batch that get no answer, and those that are computed again, in parts."""
    if not batch:
        return {}, []  # all its answers were there
    is_divided = event.memory and len(batch) > 1
    if event.of_batch and not is_divided and not again.isdisjoint(batch):
        return {row: EngineError(f"{keys[row]}: {event.reason}, for the second time") for row in batch}, []
    warnings.warn(
        f"{event.reason}; its {len(batch)} requests, from {keys[batch[0]]} on, are computed again",
        RuntimeWarning,
        stacklevel=3,
    )
    again.update(batch if event.of_batch else ())
    return {}, _halves(batch) if event.memory else _small(batch)


def _halves(batch: list[int]) -> list[list[int]]:
    middle = len(batch) // 2
    return [batch] if not middle else [batch[:middle], batch[middle:]]


def _small(batch: list[int]) -> list[list[int]]:
    """Parts so small that a row that ends every worker takes few others with it."""
    return [batch[start : start + _SMALL] for start in range(0, len(batch), _SMALL)]


def evened(batches: Sequence[Sequence[int]], workers: int, least: int = 1) -> list[list[int]]:
    """Batches of which every worker gets as many: those left over at the end are split among all.

    Args:
        batches: The batches, the largest first.
        workers: Number of workers.
        least: A part has no fewer rows.

    Returns:
        The same rows in the same order, in as many batches or more.
    """
    left = len(batches) % workers
    whole, rest = batches[: len(batches) - left], batches[len(batches) - left :]
    found = [list(batch) for batch in whole]
    for place, batch in enumerate(rest):
        # Of 2 batches for 5 workers, the first is split in 3.
        parts = min(max(1, len(batch) // least), (workers + left - 1 - place) // left)
        size, longer = divmod(len(batch), parts)
        start = 0
        for part in range(parts):
            end = start + size + (part < longer)
            found.append(list(batch[start:end]))
            start = end
    return found
