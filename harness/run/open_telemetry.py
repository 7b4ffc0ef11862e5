"""What a command does as OpenTelemetry's traces, metrics and events, sent by OTLP over HTTP or gRPC.

The names are those of its semantic conventions for generative AI. It is on where the standard variables name
an endpoint. Whatever goes wrong with it is one line, and never affects a verdict.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from harness.golden.counted_outcomes import counted_outcomes
from harness.registry import active
from harness.registry.listeners import LISTENERS, Work
from harness.run.export_failures import Export
from harness.run.inputs import Inputs
from harness.run.otlp_export import (
    ENDPOINT,
    protocol_of,
    providers_of,
    quiet,
    wanted_signals,
    without_secrets,
)
from harness.types import CaseResult, GateRecord, MetricError, Score

_HTTP = "http/protobuf"
# By protocol, the extra that brings its exporter.
_EXTRAS = {_HTTP: "otel", "grpc": "otel-grpc"}
# Bounds of the conventions, in seconds and tokens.
_SECONDS = [0.01 * 2**power for power in range(14)]
_TOKENS = [4**power for power in range(14)]
# The SDK drops what waits in longer queues.
_FLUSH_EACH, _FLUSH_MS = 400, 15_000
# For how long a server sends nothing after its endpoint was down.
_PAUSE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldCommand:
    """The command whose work is told of.

    Attributes:
        name: As in ``tunegate NAME``; its span has it.
        labels: By side, the model's name.
        sides: By the name of a judged model, its side.
        is_lasting: It runs until it is stopped, as a server does: it has no span of its own, and goes on
            after an endpoint was down.
    """

    name: str
    labels: Mapping[str, str]
    sides: Mapping[str, str] = field(default_factory=dict)
    is_lasting: bool = False


def open_telemetry(environment: Mapping[str, str], inputs: Inputs) -> "Telemetry | None":
    """Start to tell of a gate; None where nothing is configured, or it can't be told, which is a warning.

    Args:
        environment: The process's environment.
        inputs: The gate's models.
    """
    gate = ToldCommand(
        name="gate",
        labels={side: model.label for side, model in inputs.sides.items()},
        sides={each.name: each.side for each in inputs.candidates},
    )
    return open_command_telemetry(environment, gate)


def open_command_telemetry(environment: Mapping[str, str], command: ToldCommand) -> "Telemetry | None":
    """Start to tell of a command; None where nothing is configured, or it can't be told, which is a warning.

    Args:
        environment: The process's environment.
        command: The command.
    """
    signals = wanted_signals(environment)
    if not signals:
        return None
    protocols = {protocol_of(environment, signal) for signal in signals}
    if unknown := protocols - {"", *_EXTRAS}:
        allowed = ", ".join(_EXTRAS)
        active().note(f"OpenTelemetry: nothing is sent: protocol {min(unknown)} (allowed: {allowed})")
        return None
    try:
        return Telemetry(environment, signals, command)
    except ImportError:
        extra = _EXTRAS["grpc" if "grpc" in protocols else _HTTP]
        why = f"its libraries are not installed: pip install 'tunegate[{extra}]'"
    except Exception as error:  # the libraries' own faults, such as a variable that they can't read
        why = str(error).partition("\n")[0] or type(error).__name__
    active().note(without_secrets(f"OpenTelemetry: nothing is sent: {why}", environment))
    return None


class Telemetry:
    """One command that is told of, such as a gate from its first answer to its verdict."""

    def __init__(
        self, environment: Mapping[str, str], signals: tuple[str, ...], command: ToldCommand
    ) -> None:
        """Open the exporters and begin the command's span.

        Args:
            environment: The process's environment.
            signals: Which of traces, metrics and logs are sent.
            command: The command.
        """
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._environment = environment
        self._command = command
        self._export = Export(pause_s=_PAUSE_S, on_problem=self._warn) if command.is_lasting else Export()
        self._spans: dict[tuple[str, str], Any] = {}
        self._told = 0
        self._is_closed = False
        self._tracers, self._loggers, self._meters = providers_of(signals, environment, self._export)
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
        self._parent_of = TraceContextTextMapPropagator().extract
        # A pipeline that has a trace of its own gives it in the environment.
        self._context = self._parent_of({"traceparent": environment.get("TRACEPARENT", "")})
        self._silence = ExitStack()
        self._root = None
        if command.is_lasting:
            self._silence.enter_context(quiet())
        else:
            self._root = self._tracer.start_span(f"tunegate {command.name}", context=self._context)
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
            context=self._parent_of({"traceparent": work.parent}) if work.parent else self._context,
            kind=SpanKind.CLIENT
            if work.is_remote
            else SpanKind.SERVER
            if work.is_served
            else SpanKind.INTERNAL,
            start_time=work.started_ns,
            attributes=attributes,
        )
        if work.error:
            span.set_attribute("error.type", work.error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(work.ended_ns)
        if work.key and work.kind == "answer":
            self._spans[work.name, work.key] = span
        if work.kind != "score":
            self._measure(work)
        self._count()

    def _count(self) -> None:
        """Send what waits, before it is too much; of a lasting command the libraries do that themselves."""
        self._told += 1
        if self._told % _FLUSH_EACH == 0 and not self._command.is_lasting:
            self._flush()

    def _model(self, work: Work) -> str:
        return self._command.labels.get(work.name, work.name)

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
        }
        if work.key:
            role = work.kind if work.kind == "judge" else work.name
            found |= {
                "tunegate.case": work.key,
                "tunegate.role": role,
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

    def close(self, records: Mapping[str, GateRecord], **facts: Any) -> None:
        """Send the results of the judged models, end the command's span, and warn of what was not received.

        Args:
            records: By the models' names.
            facts: Further attributes of the command's span, below ``tunegate``.
        """
        if self._is_closed:
            return
        self._is_closed = True
        LISTENERS.remove(self.note)
        with quiet():
            try:
                self._finish(records, facts)
            except Exception as error:  # a fault of the libraries
                self._export.problem = (
                    self._export.problem or f"{type(error).__name__}: {error}".partition("\n")[0]
                )
        self._silence.close()
        if self._export.problem:
            self._warn(self._export.problem)

    def _warn(self, problem: str) -> None:
        named = self._environment.get(ENDPOINT) or "the configured endpoints"
        told = f"OpenTelemetry: not all was sent to {named}: {problem}"
        active().note(without_secrets(told, self._environment))

    def _finish(self, records: Mapping[str, GateRecord], facts: Mapping[str, Any]) -> None:
        for name, record in records.items():
            for result, word in zip(record.run.results, counted_outcomes(record.run), strict=True):
                self._cases.add(1, {"tunegate.outcome": word, "tunegate.set": result.case.set_name})
                self._evaluate(result, self._command.sides.get(name, name))
        if self._root is not None:
            if records:
                verdicts = [str(one.verdict.outcome) for one in records.values() if one.verdict is not None]
                facts = {**facts, "run.ids": [one.run.id for one in records.values()], "verdicts": verdicts}
            for key, value in facts.items():
                self._root.set_attribute(f"tunegate.{key}", value)
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
            self._count()

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
        with quiet():
            for provider in (self._tracers, self._loggers):
                provider.force_flush(_FLUSH_MS)
