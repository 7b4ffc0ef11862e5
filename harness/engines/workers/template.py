"""The process that loads the models once, and forks workers that share their weights.

It computes nothing itself after loading and has one thread, so that it can be forked at any time; pages of
memory that nobody writes to are shared. It ends when the process that started it does.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import TYPE_CHECKING, Any

from harness.engines.workers.functions import (
    BatchFunction,
    FunctionKind,
    function_batches,
    load_batch_function,
)
from harness.errors import EngineError, TunegateError, first_line

if TYPE_CHECKING:
    from harness.engines.library_faults import Batches


def serve(descriptor: int) -> None:
    """Load models, prepare batches and fork workers, until the other side closes the connection.

    Args:
        descriptor: The file descriptor of the connection.
    """
    # Ctrl-C is sent to all processes of a terminal; the one that started this process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    template = _Template(connection)
    try:
        while True:
            name, *arguments = connection.recv()
            try:
                reply = (True, getattr(template, name)(*arguments))
            except Exception as error:  # it is raised on the other side
                reply = (False, error if isinstance(error, TunegateError) else EngineError(first_line(error)))
            connection.send(reply)
    except (EOFError, OSError):
        template.end()


class Models:
    """The models of a process, and the batches of requests that it divided last."""

    def __init__(self) -> None:
        """Nothing is loaded yet."""
        self._engine: Any = None
        self._batches: Batches[Any] | None = None
        self._functions: list[tuple[FunctionKind, BatchFunction]] = []

    def load(self, sides: Any, plan: Any) -> tuple[Any, dict[str, float]]:
        """Load models.

        Args:
            sides: The models by side; none for functions alone.
            plan: How to compute.

        Returns:
            The plan as it is followed, and each side's change of its base.
        """
        if not sides:
            return plan, {}
        from harness.engines.open import open_own

        self._engine = open_own(sides, plan)
        return self._engine.plan, {side: self._engine.largest_logit_change(side) for side in sides}

    def prepare(
        self, kind: str | FunctionKind, requests: Sequence[Any], workers: int
    ) -> Sequence[Sequence[int]]:
        """The batches of requests.

        Args:
            kind: ``answers`` or ``losses``, or a function, whose requests are its items.
            requests: The requests.
            workers: How many compute them.

        Returns:
            The indices of each batch's requests.
        """
        if isinstance(kind, FunctionKind):
            self._batches = function_batches(kind, self._loaded(kind), requests)
        elif kind == "answers":
            self._batches = self._engine.answer_batches(requests, workers=workers)
        else:
            self._batches = self._engine.loss_batches(requests)
        rows: Sequence[Sequence[int]] = self._batches.rows
        return rows

    def _loaded(self, kind: FunctionKind) -> BatchFunction:
        """A function, loaded once."""
        for known, made in self._functions:
            if known == kind:
                return made
        made = load_batch_function(kind)
        self._functions.append((kind, made))
        return made

    def answer(self, batch: Sequence[int]) -> tuple[dict[int, Any], dict[int, str]]:
        """What a batch gives by index, and why other rows of it have no answer."""
        from harness.engines.library_faults import answer_batch

        if self._batches is None:
            raise RuntimeError("a batch before its requests")
        found: dict[int, Any] = {}
        failures = answer_batch(self._batches, batch, found.update)
        return found, {row: str(error) for row, error in failures.items()}


class _Template(Models):
    """What the other side may ask for; each method's result is the reply."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._children: set[int] = set()

    def prepare(
        self, kind: str | FunctionKind, requests: Sequence[Any], workers: int
    ) -> Sequence[Sequence[int]]:
        """The batches of requests; workers that are forked from now on compute these.

        Those of the batches before have been ended.
        """
        for child in tuple(self._children):
            self.ended(child)
        rows = super().prepare(kind, requests, workers)
        gc.collect()
        gc.freeze()  # else a worker's collector writes to all objects, and copies their pages
        return rows

    def fork(self, threads: int) -> int:
        """The process of a new worker, which gets the other end of a connection."""
        descriptor = recv_handle(self._connection)
        child = os.fork()
        if child == 0:
            self._connection.close()
            _work(descriptor, self, threads)
        os.close(descriptor)
        self._children.add(child)
        return child

    def ended(self, child: int) -> int:
        """How a worker ended: its status, or less than 0, the signal; it is ended if it hasn't."""
        self._children.discard(child)
        _kill(child)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def end(self) -> None:
        """End all workers."""
        for child in self._children:
            _kill(child)


def _kill(child: int) -> None:
    """End a process of ours; one that has ended keeps its status."""
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        return


def _work(descriptor: int, models: Models, threads: int) -> None:
    """Compute batches as they are asked for, and never return."""
    status = 1
    try:
        import torch

        torch.set_num_threads(threads)
        connection = Connection(descriptor)
        while True:
            connection.send(models.answer(connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
    finally:
        os._exit(status)
