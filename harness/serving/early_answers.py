"""Answers that are given while others of their batch go on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.engines.base import EarlyEngine, GenerationRequest, OnText
from harness.types import Completion


class EarlyAnswers:
    """An engine that gives answers as they end, if it can; all else is the engine's own."""

    def __init__(self, engine: Any) -> None:
        """Take an engine, or what stands for one."""
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_batch: Callable[[Mapping[int, Completion]], None],
        on_text: OnText | None = None,
    ) -> None:
        """Answer all requests.

        Args:
            requests: The requests, of any side.
            on_batch: Called with finished completions, by index; with some of them twice.
            on_text: Called with an index and the answer's text so far.
        """
        early = self._engine if isinstance(self._engine, EarlyEngine) else None
        if early is not None:
            early.on_early = on_batch
        try:
            self._engine.generate(requests, on_batch, on_text)
        finally:
            if early is not None:
                early.on_early = None
