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
from typing import Any

from harness.engines.workers.functions import FunctionKind
from harness.engines.workers.models import Models
from harness.errors import EngineError, TunegateError, first_line


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
            batch = connection.recv()
            connection.send(models.answer(batch, lambda found: connection.send((found, None))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
    finally:
        os._exit(status)
