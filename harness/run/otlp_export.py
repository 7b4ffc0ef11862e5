"""Where OpenTelemetry's signals are sent: the standard variables, exporters, and failures of theirs."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from harness.engines.served.address import shown
from harness.run.export_failures import Export

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


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """A message without users and queries of endpoints, where a collector's password or key may be.

    Args:
        text: What is told.
        environment: The process's environment.
    """
    endpoints = [
        value.strip()
        for name, value in environment.items()
        if name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("ENDPOINT") and value.strip()
    ]
    for endpoint in sorted(endpoints, key=len, reverse=True):
        # One of gRPC has no scheme.
        known = shown(endpoint) if "//" in endpoint else shown(f"//{endpoint}").removeprefix("//")
        text = text.replace(endpoint, known)
    return text


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
