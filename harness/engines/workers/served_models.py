"""The models of a node of a cluster that runs a server with vLLM's API, and the batches that it asks for.

The server shares its device among requests as they come, so that a batch is only what is lost with the node.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.engines.base import OnEarly
from harness.engines.served.describe import UnreachableError
from harness.engines.served.engine import NO_DIVERGENCE
from harness.engines.workers.functions import FunctionKind
from harness.engines.workers.models import Models
from harness.errors import AllFailedError, CasesFailedError, EngineError, InputError, TextsUnmeasuredError
from harness.types import ExecutionPlan, ModelRef, ServerUse, TextLoss

# A batch has at most so many times the requests that a server is sent at a time: at its end some places of
# the server are empty.
_ROUNDS = 8
_TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class UnmeasuredText:
    """A text that a server gives no losses for.

    Attributes:
        reason: Why.
    """

    reason: str


class ServedModels(Models):
    """The models behind a server that this process starts; ``steps`` counts its replies."""

    def __init__(self) -> None:
        """Nothing is started yet."""
        super().__init__()
        self._kind: str | FunctionKind = ""
        self._requests: Sequence[Any] = ()
        # Asks while this thread watches the server.
        self._asking = ThreadPoolExecutor(1)

    def load(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> tuple[Any, dict[str, float]]:
        """Start the server, and check that it applies the adapters.

        Args:
            sides: The models by side.
            plan: How they are asked.

        Returns:
            The plan as it is followed, and each adapter's change of its base.

        Raises:
            EngineError: The server that was started here is not there any more; another node's may be.
        """
        from harness.engines.open import open_sides

        adapters = [side for side, model in sides.items() if model.adapter_dir is not None]
        try:
            self._engine = open_sides(sides, plan)
            changes = {side: self._engine.largest_logit_change(side) for side in adapters}
        except UnreachableError as error:
            raise EngineError(str(error)) from error
        return self._engine.plan, changes

    @property
    def use(self) -> ServerUse | None:
        """How the server was used so far."""
        plan: ExecutionPlan = self._engine.plan
        return plan.server

    def prepare(
        self, kind: str | FunctionKind, requests: Sequence[Any], workers: int
    ) -> Sequence[Sequence[int]]:
        """As of all models: batches in which the sides take turns, one or more for each server.

        Args:
            kind: As of all models.
            requests: The requests.
            workers: Number of all nodes' servers.
        """
        from harness.engines.served.vllm import turns

        self._kind, self._requests = kind, requests
        if isinstance(kind, FunctionKind):
            return super().prepare(kind, requests, workers)
        order = list(turns([request.side for request in requests]))
        concurrency = 1 if self.use is None else self.use.concurrency
        size = max(1, min(_ROUNDS * concurrency, -(-len(order) // workers)))
        return [order[start : start + size] for start in range(0, len(order), size)]

    def answer(
        self, batch: Sequence[int], on_early: OnEarly | None = None
    ) -> tuple[dict[int, Any], dict[int, str]]:
        """As of all models; a server's answers come together.

        Args:
            batch: The indices of its requests.
            on_early: Not called.

        Returns:
            Answers by index; reasons by index.

        Raises:
            InputError: No request of this session can be answered.
            EngineError: The server has ended, or answers nothing.
        """
        if isinstance(self._kind, FunctionKind):
            return super().answer(batch)
        asking = self._asking.submit(self._ask, batch)
        while not wait([asking], timeout=_TICK_S).done:
            self._require_server()
        if asking.exception() is not None:
            self._require_server()
        return asking.result()

    def _require_server(self) -> None:
        ending = self._engine.engine.ending
        if ending:
            raise EngineError(ending)

    def _ask(self, batch: Sequence[int]) -> tuple[dict[int, Any], dict[int, str]]:
        found: dict[int, Any] = {}
        requests = [self._requests[row] for row in batch]

        def keep(answers: Mapping[int, Any]) -> None:
            self.steps += len(answers)
            found.update({batch[place]: answer for place, answer in answers.items()})

        ask = self._engine.generate if self._kind == "answers" else self._engine.losses
        failures: dict[int, str] = {}
        try:
            ask(requests, keep)
        except TextsUnmeasuredError as error:
            found.update({batch[place]: UnmeasuredText(why) for place, why in error.reasons.items()})
            failures = self._failures(batch, error.failures)
        except CasesFailedError as error:
            failures = self._failures(batch, error.failures)
        except (AllFailedError, UnreachableError) as error:
            # A batch is no session: where all of it failed, other nodes may have the answers.
            unsent = dict.fromkeys(range(len(batch)), str(error))
            failures = self._failures(batch, error.failures or unsent)
            unasked = [row for row in batch if row not in failures]
            found.update(dict.fromkeys(unasked, UnmeasuredText(NO_DIVERGENCE)))
        except InputError:
            raise
        except EngineError as error:
            failures = {row: str(error) for row in batch if row not in found}
        return found, failures

    def _failures(self, batch: Sequence[int], reasons: Mapping[int, str]) -> dict[int, str]:
        """Why requests of a batch failed, by their index among all.

        Raises:
            EngineError: The server answers nothing, whatever it is asked.
        """
        if reasons:
            self.steps += 1
            self._engine.engine.require_reply()
        return {batch[place]: why for place, why in reasons.items()}


@contextmanager
def unmeasured_apart(
    on_batch: Callable[[Mapping[int, TextLoss]], None],
) -> Iterator[Callable[[Mapping[int, TextLoss | UnmeasuredText]], None]]:
    """Pass on the losses of texts that were measured, and raise for the others at the end.

    Args:
        on_batch: Called with the losses.

    Raises:
        TextsUnmeasuredError: Texts were not measured; others may have failed.
    """
    failures: dict[int, str] = {}
    unmeasured: dict[int, str] = {}

    def split(batch: Mapping[int, TextLoss | UnmeasuredText]) -> None:
        unmeasured.update({row: one.reason for row, one in batch.items() if isinstance(one, UnmeasuredText)})
        on_batch({row: one for row, one in batch.items() if not isinstance(one, UnmeasuredText)})

    try:
        yield split
    except CasesFailedError as error:
        if not unmeasured:
            raise
        failures = error.failures
    if unmeasured:
        raise TextsUnmeasuredError(unmeasured, failures)
