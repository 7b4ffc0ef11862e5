"""Workers on this machine: processes that share one copy of the weights, and the engine made of them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import send_handle
from pathlib import Path
from typing import Any

from harness.engines.base import GenerationRequest, LossRequest, OnEarly, OnText
from harness.engines.library_faults import raise_failures
from harness.engines.questions import SMALLEST_PART
from harness.engines.transformers_engine import late_answers_apart
from harness.engines.workers.deal import (
    EarlyAnswers,
    Event,
    FinishedBatch,
    LostWorker,
    Transport,
    deal,
    evened,
)
from harness.engines.workers.functions import FunctionKind
from harness.errors import EngineError, first_line
from harness.types import EXACT_DTYPES, Completion, ExecutionPlan, ModelRef, TextLoss

# The path is that of the process that starts it: a project may have a package of the same name.
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from harness.engines.workers.template import serve; serve(int(sys.argv[1]))"
)
# Read by the libraries when they are loaded. One thread: a fork copies no other.
_THREADS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_POLL_S = 1.0
# A process whose connection is closed has ended, or does so in less.
_END_S = 10.0
# A worker that uses no processor time in so many polls waits for something that doesn't come.
HUNG_POLLS = 60


def open_workers(
    sides: Mapping[str, ModelRef], plan: ExecutionPlan, most: int, cores: int
) -> "WorkersEngine":
    """Load the models of all sides in a process of their own.

    Args:
        sides: The models by side.
        plan: How to compute.
        most: Most workers.
        cores: Processor cores that all of them may use.

    Raises:
        InputError: A model can't be run.
        EngineError: Loading failed for another reason.
    """
    return WorkersEngine(Template(), sides, plan, most, cores)


class WorkersEngine:
    """As the engine in this process, by several workers.

    Attributes:
        plan: How they compute.
        on_early: As the engine's in this process.
    """

    on_early: OnEarly | None = None

    def __init__(
        self,
        template: "Template",
        sides: Mapping[str, ModelRef],
        plan: ExecutionPlan,
        most: int,
        cores: int,
    ) -> None:
        """Load the models.

        Args:
            template: A started one.
            sides: The models by side.
            plan: How to compute.
            most: Most workers.
            cores: Processor cores.
        """
        self._template, self._most, self._cores = template, most, cores
        self._one_job = threading.Lock()
        # Kept from look to look, and ended with the engine.
        self._end = weakref.finalize(self, template.end)
        try:
            self.plan, self._changes = template.call("load", dict(sides), plan)
        except BaseException:
            self._end()
            raise

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_batch: Callable[[Mapping[int, Completion]], None],
        on_text: OnText | None = None,
    ) -> None:
        """As an Engine's; texts are not shown during generation."""
        del on_text
        with late_answers_apart(on_batch) as split:
            self.compute("answers", requests, split)

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """As an Engine's."""
        self.compute("losses", requests, on_batch)

    def largest_logit_change(self, side: str) -> float:
        """Largest absolute change of the base's logits or embeddings by a side's adapter."""
        return float(self._changes[side])

    def compute(
        self,
        kind: str | FunctionKind,
        requests: Sequence[Any],
        on_batch: Callable[[Mapping[int, Any]], None],
    ) -> None:
        """Compute one job; another thread's waits for it.

        Args:
            kind: ``answers``, ``losses``, or a function.
            requests: The requests, or the function's items.
            on_batch: Called with each batch's results by index.

        Raises:
            CasesFailedError: Some requests failed on their own.
            EngineError: All failed, or no worker is left.
        """
        with self._one_job:
            self._compute(kind, requests, on_batch)

    def _compute(
        self,
        kind: str | FunctionKind,
        requests: Sequence[Any],
        on_batch: Callable[[Mapping[int, Any]], None],
    ) -> None:
        batches = self._template.call("prepare", kind, list(requests), self._most)
        self._deal(batches, self._most, requests, on_batch, self._transport, kind)

    def _transport(self, workers: int) -> Transport:
        return LocalTransport(self._template, max(1, self._cores // workers))

    def _deal(
        self,
        batches: Sequence[Sequence[int]],
        most: int,
        requests: Sequence[Any],
        on_batch: Callable[[Mapping[int, Any]], None],
        transport: Callable[[int], Transport],
        kind: str | FunctionKind = "losses",
    ) -> None:
        """Compute batches by at most so many workers, which a transport for their number reaches."""
        if self.plan.dtype in EXACT_DTYPES:
            # In lower precision a text depends on its batch: these stay as in one process.
            batches = evened(batches, most, SMALLEST_PART if kind == "answers" else 1)
        workers = max(1, min(most, len(batches)))
        keys = [each.key for each in requests]
        failures = deal(batches, transport(workers), workers, keys, on_batch, self.on_early)
        raise_failures(failures, len(requests))


class Template:
    """The process with the models, which forks workers."""

    def __init__(self) -> None:
        ours, theirs = Pipe()
        self._one_at_a_time = threading.Lock()
        self.connection = ours
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, str(theirs.fileno()), json.dumps(sys.path)],
            pass_fds=[theirs.fileno()],
            env={**os.environ, **_THREADS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()

    def call(self, name: str, *arguments: Any) -> Any:
        """The reply to a question.

        Args:
            name: A method of what that process serves.
            arguments: The method's.

        Raises:
            EngineError: The process has ended.
        """
        return self._asked(lambda: self.connection.send((name, *arguments)))

    def fork(self, threads: int) -> tuple[int, Connection]:
        """A new worker: its process and the connection to it."""
        ours, theirs = Pipe()

        def ask() -> None:
            self.connection.send(("fork", threads))
            send_handle(self.connection, theirs.fileno(), self.process.pid)

        child = self._asked(ask)
        theirs.close()
        return child, ours

    def _asked(self, ask: Callable[[], None]) -> Any:
        try:
            with self._one_at_a_time:
                ask()
                answered, reply = self.connection.recv()
        except (EOFError, OSError) as error:
            raise EngineError(
                f"the process with the models {self._happened(error)}; --gate-workers 1 needs none"
            ) from error
        if not answered:
            raise reply
        return reply

    def _happened(self, error: Exception) -> str:
        """How it ended; one that goes on waits for the rest of a question, and hears no other."""
        try:
            return _ending(self.process.wait(_END_S))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return f"can't be asked: {first_line(error)}"

    def end(self) -> None:
        """End it; its workers end with it."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


class LocalTransport:
    """The transport to workers on this machine, each known by its process."""

    def __init__(self, template: Template, threads: int) -> None:
        self._template, self._threads = template, threads
        self._connections: dict[int, Connection] = {}
        self._busy: dict[int, _Pulse] = {}
        self._polled = time.monotonic()

    def start(self) -> int:
        """As a Transport's; the number is the process's."""
        worker, connection = self._template.fork(self._threads)
        self._connections[worker] = connection
        return worker

    def give(self, worker: int, batch: Sequence[int]) -> None:
        """As a Transport's."""
        self._busy[worker] = _Pulse(worker)
        try:
            self._connections[worker].send(list(batch))
        except OSError:
            return  # it has ended: the next wait tells

    def wait(self) -> list[Event]:
        """As a Transport's."""
        places = {self._connections[worker]: worker for worker in self._busy}
        ready = [places[each] for each in wait(list(places), _POLL_S) if isinstance(each, Connection)]
        events = [self._received(worker) for worker in ready]
        if time.monotonic() - self._polled >= _POLL_S:
            self._polled = time.monotonic()
            hung = [worker for worker, pulse in self._busy.items() if pulse.polls_without() >= HUNG_POLLS]
            events += [self._lost(worker, hung=True) for worker in hung]
        return events

    def end(self, worker: int) -> None:
        """As a Transport's."""
        self._busy.pop(worker, None)
        if (connection := self._connections.pop(worker, None)) is not None:
            connection.close()
            _kill(worker)

    def _received(self, worker: int) -> Event:
        try:
            found, failures = self._connections[worker].recv()
        except (EOFError, OSError):
            return self._lost(worker)
        if failures is None:
            return EarlyAnswers(worker=worker, found=found)
        del self._busy[worker]
        return FinishedBatch(worker=worker, found=found, failures=failures)

    def _lost(self, worker: int, *, hung: bool = False) -> LostWorker:
        self._busy.pop(worker)
        self._connections.pop(worker).close()
        if hung:
            _kill(worker)
        status = self._template.call("ended", worker)
        happened = f"used no processor time for {HUNG_POLLS * _POLL_S:.0f} s and was ended" if hung else ""
        return LostWorker(
            worker=worker,
            reason=f"worker {worker} {happened or _ending(status)}",
            memory=not hung and status == -signal.SIGKILL,
        )


class _Pulse:
    """Whether a process goes on: by its processor time, which a busy machine makes grow slowly, but grow."""

    def __init__(self, process: int) -> None:
        self._process, self._seen, self._polls = process, _processor_time(process), 0

    def polls_without(self) -> int:
        """Polls in a row, this one included, without any processor time."""
        now = _processor_time(self._process)
        self._polls = self._polls + 1 if now == self._seen and now is not None else 0
        self._seen = now
        return self._polls


def _processor_time(process: int) -> int | None:
    """In clock ticks; None where it is unknown."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, ValueError, IndexError):
        return None


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _ending(status: int) -> str:
    """How a process ended, by its status."""
    if status == -signal.SIGKILL:
        return "was killed by signal 9: did memory run out?"
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
