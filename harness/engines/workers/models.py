"""The models and functions of a worker, and the batches that they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.engines.workers.functions import (
    BatchFunction,
    FunctionKind,
    function_batches,
    load_batch_function,
)

if TYPE_CHECKING:
    from harness.engines.base import OnEarly
    from harness.engines.library_faults import Batches
    from harness.types import ServerUse


class Models:
    """The models of a process, and the batches of requests that it divided last.

    Attributes:
        steps: How often a model has begun to read tokens since ``count_steps``.
    """

    def __init__(self) -> None:
        """Nothing is loaded yet."""
        self._engine: Any = None
        self._batches: Batches[Any] | None = None
        self._functions: list[tuple[FunctionKind, BatchFunction]] = []
        self.steps = 0

    @property
    def use(self) -> ServerUse | None:
        """How their server was used so far; None where they have none."""
        return None

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

    def count_steps(self) -> None:
        """Count in ``steps`` from now on, however the models are called."""

        def count(*_: Any) -> None:
            self.steps += 1

        sides = getattr(self._engine, "sides", {}).values()
        for model in {id(side.model): side.model for side in sides}.values():
            model.get_input_embeddings().register_forward_pre_hook(count)

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

    def answer(
        self, batch: Sequence[int], on_early: OnEarly | None = None
    ) -> tuple[dict[int, Any], dict[int, str]]:
        """What a batch gives by index, and why other rows of it have no answer.

        Args:
            batch: The indices of its requests.
            on_early: Called with answers that have ended before the others.

        Returns:
            Answers by index; reasons by index.
        """
        from harness.engines.library_faults import answer_batch

        if self._batches is None:
            raise RuntimeError("a batch before its requests")
        if on_early is not None and self._engine is not None:
            self._engine.on_early = on_early
        found: dict[int, Any] = {}
        failures = answer_batch(self._batches, batch, found.update)
        return found, {row: str(error) for row, error in failures.items()}
