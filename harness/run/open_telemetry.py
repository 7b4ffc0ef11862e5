"""A gate as OpenTelemetry's traces, metrics and events, sent by OTLP over HTTP or gRPC.

The names are those of its semantic conventions for generative AI. It is on where the standard variables name
an endpoint. Whatever goes wrong with it is one line, and never affects a verdict.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from threading import Lock
from typing import Any

from harness.registry import active
from harness.registry.listeners import LISTENERS, Work
from harness.run.inputs import Inputs
from harness.types import CaseResult, GateRecord, MetricError, Score

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SIGNALS = ("traces", "metrics", "logs")
_HTTP = "http/protobuf"
_EXPORTERS = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}
# By protocol, the extra that brings its exporter.
_EXTRAS = {_HTTP: "otel", "grpc": "otel-grpc"}
# Bounds of the conventions, in seconds and tokens.
_SECONDS = [0.01 * 2**power for power in range(14)]
_TOKENS = [4**power for power in range(14)]
# The SDK drops what waits in longer queues.
_FLUSH_EACH, _TIMEOUT_S, _FLUSH_MS = 400, 3, 15_000


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
        and (environment.get(_ENDPOINT) or environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"))
    )


def open_telemetry(environment: Mapping[str, str], inputs: Inputs) -> "GateTelemetry | None":
    """Start to tell of a gate; None where nothing is configured, or it can't be told, which is a warning.

    Args:
        environment: The process's environment.
        inputs: The gate's models.
    """
    signals = wanted_signals(environment)
    if not signals:
        return None
    protocols = {_protocol(environment, signal) for signal in signals}
    if unknown := protocols - {"", *_EXTRAS}:
        allowed = ", ".join(_EXTRAS)
        active().note(f"OpenTelemetry: nothing is sent: protocol {min(unknown)} (allowed: {allowed})")
        return None
    try:
        return GateTelemetry(environment, signals, inputs)
    except ImportError:
        extra = _EXTRAS["grpc" if "grpc" in protocols else _HTTP]
        why = f"its libraries are not installed: pip install 'tunegate[{extra}]'"
    except Exception as error:  # the libraries' own faults, such as a variable that they can't read
        why = str(error).partition("\n")[0] or type(error).__name__
    active().note(f"OpenTelemetry: nothing is sent: {why}")
    return None


def _protocol(environment: Mapping[str, str], signal: str) -> str:
    own = environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL")
    return (own or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")).strip()


@dataclass(slots=True)
class _Export:
    """What became known about the exports.

    Attributes:
        problem: The first failure; nothing is sent after it.
    """

    problem: str = ""
    lost: int = 0
    _lock: Lock = field(default_factory=Lock)

    def watch(self, exporter: Any, signal: str) -> Any:
        """The exporter, which stops with the first failure: a dead endpoint costs its time only once."""
        send: Callable[..., Any] = exporter.export

        def export(batch: Any, *args: Any, **options: Any) -> Any:
            with self._lock:
                failed = bool(self.problem)
            result = None if failed else send(batch, *args, **options)
            if result is None or result.name != "SUCCESS":
                with self._lock:
                    self.problem = self.problem or f"{signal} were refused or not received"
                    self.lost += 1
                return result if result is not None else self._failure(exporter)
            return result

        exporter.export = export
        return exporter

    @staticmethod
    def _failure(exporter: Any) -> Any:
        from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
        from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
        from opentelemetry.sdk.trace.export import SpanExportResult

        if isinstance(exporter, MetricExporter):
            return MetricExportResult.FAILURE
        is_log = isinstance(exporter, LogRecordExporter)
        return LogRecordExportResult.FAILURE if is_log else SpanExportResult.FAILURE


class GateTelemetry:
    """One gate that is told of, from its first answer to its verdict."""

    def __init__(self, environment: Mapping[str, str], signals: tuple[str, ...], inputs: Inputs) -> None:
        """Open the exporters and begin the gate's span.

        Args:
            environment: The process's environment.
            signals: Which of traces, metrics and logs are sent.
            inputs: The gate's models.
        """
        from opentelemetry.sdk._logs import LoggerProvider
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._environment = environment
        self._models = {side: model.label for side, model in inputs.sides.items()}
        self._sides = {each.name: each.side for each in inputs.candidates}
        self._export = _Export()
        self._spans: dict[tuple[str, str], Any] = {}
        self._told = 0
        self._is_closed = False
        resource = _resource(environment)
        exporters = _exporters(signals, environment, self._export)
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        readers = []
        if "traces" in exporters:
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            self._tracers.add_span_processor(BatchSpanProcessor(exporters["traces"]))
        if "logs" in exporters:
            from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

            self._loggers.add_log_record_processor(BatchLogRecordProcessor(exporters["logs"]))
        if "metrics" in exporters:
            from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

            readers.append(PeriodicExportingMetricReader(exporters["metrics"]))
        self._meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._tracer, self._logger = (
            self._tracers.get_tracer("tunegate"),
            self._loggers.get_logger("tunegate"),
        )
        meter = self._meters.get_meter("tunegate")
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", explicit_bucket_boundaries_advisory=_TOKENS
        )
        self._cases = meter.create_counter("tunegate.cases", "{case}", "Cases by outcome")
        # A pipeline that has a trace of its own gives it in the environment.
        parent = TraceContextTextMapPropagator().extract({"traceparent": environment.get("TRACEPARENT", "")})
        self._root = self._tracer.start_span("tunegate gate", context=parent)
        self._context = set_span_in_context(self._root)
        LISTENERS.append(self.note)

    def note(self, work: Work) -> None:
        """Send one piece of work as a span, and count it.

        Args:
            work: What was done.
        """
        from opentelemetry.trace import SpanKind, Status, StatusCode

        attributes = self._attributes(work)
        span = self._tracer.start_span(
            f"{attributes.get('gen_ai.operation.name', 'score')} {self._model(work)}",
            context=self._context,
            kind=SpanKind.CLIENT if work.is_remote else SpanKind.INTERNAL,
            start_time=work.started_ns,
            attributes=attributes,
        )
        if work.error:
            span.set_attribute("error.type", work.error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(work.ended_ns)
        if work.kind == "answer":
            self._spans[work.name, work.key] = span
        if work.kind != "score":
            self._measure(work)
        self._told += 1
        if self._told % _FLUSH_EACH == 0:
            self._flush()

    def _model(self, work: Work) -> str:
        return self._models.get(work.name, work.name)

    def _attributes(self, work: Work) -> dict[str, Any]:
        if work.kind == "score":
            return {
                "tunegate.metric": work.name,
                "tunegate.answers": work.rows,
                "tunegate.errors": work.errors,
            }
        found = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": work.engine or "judge",
            "gen_ai.request.model": self._model(work),
            "gen_ai.usage.input_tokens": work.input_tokens,
            "gen_ai.usage.output_tokens": work.output_tokens,
            "tunegate.case": work.key,
            "tunegate.role": work.kind if work.kind == "judge" else work.name,
            "tunegate.batch.rows": work.rows,
        }
        return found | ({"gen_ai.response.finish_reasons": [work.stop_reason]} if work.stop_reason else {})

    def _measure(self, work: Work) -> None:
        common = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": work.engine or "judge",
            "gen_ai.request.model": self._model(work),
        }
        failed = {"error.type": work.error} if work.error else {}
        self._seconds.record((work.ended_ns - work.started_ns) / 1e9, {**common, **failed})
        if not work.error:
            for kind, count in (("input", work.input_tokens), ("output", work.output_tokens)):
                self._tokens.record(count, {**common, "gen_ai.token.type": kind})

    def close(self, records: Mapping[str, GateRecord]) -> None:
        """Send the results of the judged models, end the gate's span, and warn of what was not received.

        Args:
            records: By the models' names.
        """
        if self._is_closed:
            return
        self._is_closed = True
        LISTENERS.remove(self.note)
        with _quiet():
            try:
                self._finish(records)
            except Exception as error:  # a fault of the libraries
                self._export.problem = (
                    self._export.problem or f"{type(error).__name__}: {error}".partition("\n")[0]
                )
        if self._export.problem:
            named = self._environment.get(_ENDPOINT) or "the configured endpoints"
            active().note(f"OpenTelemetry: not all was sent to {named}: {self._export.problem}")

    def _finish(self, records: Mapping[str, GateRecord]) -> None:
        for name, record in records.items():
            for result in record.run.results:
                self._cases.add(
                    1, {"tunegate.outcome": str(result.outcome), "tunegate.set": result.case.set_name}
                )
                self._evaluate(result, self._sides.get(name, name))
        verdicts = [str(each.verdict.outcome) for each in records.values() if each.verdict is not None]
        self._root.set_attribute("tunegate.run.ids", [record.run.id for record in records.values()])
        self._root.set_attribute("tunegate.verdicts", verdicts)
        self._root.end()
        self._flush()
        for provider in (self._tracers, self._loggers, self._meters):
            provider.shutdown()

    def _evaluate(self, result: CaseResult, side: str) -> None:
        """An event for each score and error of a case, beside the answer's span if it was computed now."""
        from opentelemetry.trace import set_span_in_context

        span = self._spans.get((side, result.key))
        context = self._context if span is None else set_span_in_context(span)
        all_found: tuple[Score | MetricError, ...] = (*result.scores, *result.errors)
        for found in all_found:
            self._logger.emit(
                context=context,
                event_name="gen_ai.evaluation.result",
                attributes={"tunegate.case": result.key, **self._evaluated(found)},
            )
            self._told += 1
            if self._told % _FLUSH_EACH == 0:
                self._flush()

    def _evaluated(self, found: Score | MetricError) -> dict[str, Any]:
        name = {"gen_ai.evaluation.name": found.metric}
        if isinstance(found, MetricError):
            return {**name, "error.type": "metric_error"}
        label = (
            {}
            if found.passed is None
            else {"gen_ai.evaluation.score.label": "pass" if found.passed else "fail"}
        )
        # Reasons quote answers, which are sent only where the user said so.
        quoted = self._environment.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").lower()
        told = quoted in {"true", "span_only", "event_only", "span_and_event"} and found.explanation
        why = {"gen_ai.evaluation.explanation": found.explanation} if told else {}
        return {**name, "gen_ai.evaluation.score.value": found.value, **label, **why}

    def _flush(self) -> None:
        with _quiet():
            for provider in (self._tracers, self._loggers):
                provider.force_flush(_FLUSH_MS)


def _resource(environment: Mapping[str, str]) -> Any:
    from opentelemetry.sdk.resources import Resource

    named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return Resource.create({} if named else {"service.name": "tunegate"})


def _exporters(signals: tuple[str, ...], environment: Mapping[str, str], watcher: _Export) -> dict[str, Any]:
    """Exporters by signal; they read the standard variables themselves."""
    # A gate waits for the last export: not ten seconds, unless the user says so.
    is_timed = any(name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("TIMEOUT") for name in environment)
    options = {} if is_timed else {"timeout": _TIMEOUT_S}
    found = {}
    for signal in signals:
        room = (
            f"opentelemetry.exporter.otlp.proto.{_protocol(environment, signal).partition('/')[0] or 'http'}"
        )
        module, name = _EXPORTERS[signal]
        found[signal] = watcher.watch(getattr(import_module(f"{room}.{module}"), name)(**options), signal)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
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
