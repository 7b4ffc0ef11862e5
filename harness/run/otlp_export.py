"""Where OpenTelemetry's signals are sent: the standard variables, exporters, and failures of theirs."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from threading import Lock
from typing import Any

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SIGNALS = ("traces", "metrics", "logs")
_EXPORTERS = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}
_TIMEOUT_S = 3


def wanted_signals(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Which of traces, metrics and logs the standard variables ask for.

    Args:
        environment: The process's environment.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    return tuple(
        signal
        for signal in _SIGNALS
        if environment.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp").strip() in {"otlp", ""}
        and (environment.get(ENDPOINT) or environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"))
    )


def protocol_of(environment: Mapping[str, str], signal: str) -> str:
    """The protocol that the standard variables ask for.

    Args:
        environment: The process's environment.
        signal: One of traces, metrics and logs.

    Returns:
        Its name; empty if none is named.
    """
    own = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL")
    return (own or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")).strip()


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


def _resource_of(environment: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource

    named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create({} if named else {"service.name": "tunegate"})


def providers_of(
    signals: tuple[str, ...], environment: Mapping[str, str], watcher: Export
) -> tuple[Any, Any, Any]:
    """What spans, events and metrics are made by.

    Args:
        signals: Which are sent.
        environment: The process's environment; the exporters read it themselves.
        watcher: Is told of each export.

    Returns:
        The providers of tracers, loggers and meters; of a signal that is not sent, one that sends nothing.
    """
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

    resource = _resource_of(environment)
    exporters = _exporters_of(signals, environment, watcher)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
    readers = []
    if "traces" in exporters:
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        tracers.add_span_processor(BatchSpanProcessor(exporters["traces"]))
    if "logs" in exporters:
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        loggers.add_log_record_processor(BatchLogRecordProcessor(exporters["logs"]))
    if "metrics" in exporters:
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        readers.append(PeriodicExportingMetricReader(exporters["metrics"]))
    return tracers, loggers, MeterProvider(readers, resource=resource, shutdown_on_exit=False)


def _exporters_of(
    signals: tuple[str, ...], environment: Mapping[str, str], watcher: Export
) -> dict[str, Any]:
    # A gate waits for the last export: not ten seconds, unless the user says so.
    is_timed = any(name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("TIMEOUT") for name in environment)
    options = {} if is_timed else {"timeout": _TIMEOUT_S}
    found = {}
    for signal in signals:
        transport = protocol_of(environment, signal).partition("/")[0] or "http"
        room = f"opentelemetry.exporter.otlp.proto.{transport}"
        module, name = _EXPORTERS[signal]
        found[signal] = watcher.watch(getattr(import_module(f"{room}.{module}"), name)(**options), signal)
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' own messages about a dead endpoint off the terminal."""
    logger = logging.getLogger("opentelemetry")
    before, silent = logger.propagate, logging.NullHandler()
    logger.propagate = False
    logger.addHandler(silent)
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(silent)
