"""What workers compute besides models' answers: functions of whole batches, such as an encoder's scores.

A function is a class that is made once where the workers' weights are, and called with the items of each
batch. The same scheduler deals them out, and the same transports reach the workers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import CasesFailedError, EngineError
from harness.registry import load_function

if TYPE_CHECKING:
    from harness.engines.library_faults import Batches
    from harness.types import ExecutionPlan, ModelRef


class BatchFunction(Protocol):
    """A function of whole batches, with what it needs loaded."""

    def compute(self, items: Sequence[Any]) -> Sequence[Any]:
        """A result for each item, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionKind:
    """A function as it is sent to workers.

    Attributes:
        path: ``module:name`` of a class that is called with the argument and returns a BatchFunction.
        argument: What it loads.
        together: Most items of a batch.
        versions: The libraries' versions here that decide its values.
    """

    path: str
    argument: Any
    together: int
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What one result is computed from.

    Attributes:
        key: Its name in messages.
        value: As the function takes it.
    """

    key: str
    value: Any


def function_batches(kind: FunctionKind, made: BatchFunction, items: Sequence[Item]) -> Batches[Any]:
    """Items in batches.

    Args:
        kind: The function.
        made: It, loaded.
        items: All items.
    """
    from harness.engines.library_faults import Batches

    def compute(rows: Sequence[int]) -> dict[int, Any]:
        return dict(zip(rows, made.compute([items[row].value for row in rows]), strict=True))

    size = kind.together
    rows = [list(range(start, min(start + size, len(items)))) for start in range(0, len(items), size)]
    return Batches(rows=rows, keys=[item.key for item in items], compute=compute)


def load_batch_function(kind: FunctionKind) -> BatchFunction:
    """The function, with what it needs loaded here.

    Raises:
        TunegateError: It can't be loaded.
    """
    made: BatchFunction = load_function(kind.path, "a worker")(kind.argument)
    return made


class Workers(Protocol):
    """An engine of several workers."""

    def compute(
        self, kind: FunctionKind, requests: Sequence[Item], on_batch: Callable[[Mapping[int, Any]], None]
    ) -> None:
        """Compute a function.

        Args:
            kind: The function.
            requests: Its items.
            on_batch: Called with each batch's results by index.

        Raises:
            CasesFailedError: Some items failed on their own.
            EngineError: All failed, or no worker is left.
        """


class Dealer:
    """Deals the items of functions to workers: those that answer, once they have answered, or its own."""

    def __init__(self, open_workers: Callable[[], Workers]) -> None:
        """Nothing is opened before the first item.

        Args:
            open_workers: Starts workers without models.
        """
        self._open = open_workers
        self._engine: Workers | None = None
        self._lock = threading.Lock()

    def lending(
        self, open_engine: Callable[[Mapping[str, ModelRef], ExecutionPlan], Any]
    ) -> Callable[[Mapping[str, ModelRef], ExecutionPlan], Any]:
        """Opens models as before; their workers then compute functions too.

        Args:
            open_engine: Loads the models on workers.
        """

        def opened(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> Any:
            # First those that are there: they hold the processors.
            self.close()
            engine = open_engine(sides, plan)
            with self._lock:
                self._engine = engine
            return engine

        return opened

    def compute(
        self, kind: FunctionKind, items: Sequence[Item], on_batch: Callable[[Mapping[int, Any]], None]
    ) -> dict[int, str]:
        """Compute a function; while models answer, it waits for them.

        Args:
            kind: The function.
            items: What it is computed for.
            on_batch: Called with each batch's results by index.

        Returns:
            Why items have no result, by index.

        Raises:
            EngineError: No worker is left.
            TunegateError: The function can't be loaded there.
        """
        with self._lock:
            if self._engine is None:
                self._engine = self._open()
            engine = self._engine
        found: set[int] = set()

        def note(batch: Mapping[int, Any]) -> None:
            found.update(batch)
            on_batch(batch)

        try:
            engine.compute(kind, items, note)
        except CasesFailedError as error:
            return dict(error.failures)
        except EngineError as error:
            if found or len(items) > 1:
                raise
            return {0: str(error)}
        return {}

    def close(self) -> None:
        """Let the workers go."""
        with self._lock:
            self._engine = None
