"""What became known about exports: a dead endpoint costs its time only once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any


@dataclass(slots=True)
class Export:
    """What became known about the exports.

    Attributes:
        problem: The first failure; nothing is sent after it, or for some time.
        pause_s: For how long; None: for ever.
        on_problem: Called once, with the first failure.
    """

    pause_s: float | None = None
    on_problem: Callable[[str], None] = lambda problem: None
    problem: str = ""
    lost: int = 0
    _until: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    def watch(self, exporter: Any, signal: str) -> Any:
        """The exporter, which stops with the first failure: a dead endpoint costs its time only once.

        Args:
            exporter: An exporter of the library; its method is replaced.
            signal: What it sends, for the message.
        """
        send: Callable[..., Any] = exporter.export

        def export(batch: Any, *args: Any, **options: Any) -> Any:
            with self._lock:
                failed = bool(self.problem) and (self.pause_s is None or time.monotonic() < self._until)
            result = None if failed else send(batch, *args, **options)
            if result is None or result.name != "SUCCESS":
                self._note_failure(f"{signal} were refused or not received", is_new=not failed)
                return result if result is not None else self._failure(exporter)
            return result

        exporter.export = export
        return exporter

    def _note_failure(self, problem: str, *, is_new: bool) -> None:
        with self._lock:
            is_first = not self.problem
            self.problem = self.problem or problem
            self.lost += 1
            if is_new:
                self._until = time.monotonic() + (self.pause_s or 0.0)
        if is_first:
            self.on_problem(problem)

    @staticmethod
    def _failure(exporter: Any) -> Any:
        from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
        from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
        from opentelemetry.sdk.trace.export import SpanExportResult

        if isinstance(exporter, MetricExporter):
            return MetricExportResult.FAILURE
        is_log = isinstance(exporter, LogRecordExporter)
        return LogRecordExportResult.FAILURE if is_log else SpanExportResult.FAILURE
