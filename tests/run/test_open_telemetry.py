"""A gate told by OpenTelemetry: what a real receiver of OTLP over HTTP gets, and what a dead one costs."""

import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.comparison.gate import run_gate
from harness.registry import Registry, use_registry
from harness.registry.listeners import LISTENERS, Work, tell
from harness.run import open_telemetry as telemetry_module
from harness.run.open_telemetry import ToldCommand, open_command_telemetry, open_telemetry
from harness.types import GateRecord, MetricError, Score
from tests.run.telemetry_receiver import Receiver, attributes

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="pip install 'tunegate[otel]'")
SECOND = 10**9
MODELS = SimpleNamespace(
    sides={"candidate": SimpleNamespace(label="adapters/mine")},
    candidates=(SimpleNamespace(name="", side="candidate"),),
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()
    before = use_registry(made)
    yield made
    use_registry(before)


@pytest.fixture
def record(make_run, make_result) -> GateRecord:
    before, now = (make_run([make_result(f"s/{n}", n >= lost) for n in range(6)]) for lost in (0, 4))
    scores = (Score(metric="equals", value=0.0, passed=False, explanation="is Rome, expected Paris"),)
    first, *rest = now.results
    now = replace(now, results=(replace(first, scores=scores), *rest))
    comparison, verdict = run_gate(now, before)
    return GateRecord(run=now, baseline=before, comparison=comparison, verdict=verdict)


@pytest.fixture
def configured(monkeypatch, receiver):
    """The standard variables, as a user sets them."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "TRACEPARENT")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    return monkeypatch


def answer(key: str, **facts) -> Work:
    times = {"started_ns": 5 * SECOND, "ended_ns": 7 * SECOND}
    usual = {"kind": "answer", "name": "candidate", "engine": "transformers", "key": key, "input_tokens": 9}
    return Work(**{**usual, "output_tokens": 3, "stop_reason": "stop", "rows": 2, **times, **facts})


def gate(record: GateRecord, *work: Work) -> None:
    telemetry = open_telemetry(os.environ, MODELS)
    assert telemetry is not None
    for each in work:
        tell(each)
    telemetry.close({"": record})
    telemetry.close({})
    assert LISTENERS == []


def test_answers_judges_and_metrics_are_spans_below_the_gate_s(configured, receiver, registry, record):
    judge = answer("s/1", kind="judge", name="qwen", engine="", is_remote=True)
    score = answer("", kind="score", name="equals", rows=6, errors=1)
    gate(record, answer("s/0"), judge, score)
    root, *others = sorted(receiver.spans(), key=lambda span: bool(span.parent_span_id))
    assert [span.name for span in others] == ["chat adapters/mine", "chat qwen", "score equals"]
    assert {span.parent_span_id for span in others} == {root.span_id}
    assert (others[0].start_time_unix_nano, others[0].end_time_unix_nano) == (5 * SECOND, 7 * SECOND)
    assert attributes(others[0]) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "transformers",
        "gen_ai.request.model": "adapters/mine",
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ["stop"],
        "tunegate.case": "s/0",
        "tunegate.role": "candidate",
        "tunegate.batch.rows": 2,
    }
    assert attributes(others[2]) == {"tunegate.metric": "equals", "tunegate.answers": 6, "tunegate.errors": 1}
    assert attributes(root)["tunegate.verdicts"] == [str(record.verdict.outcome)]
    resource = receiver.messages["/v1/traces"][0].resource_spans[0].resource
    assert attributes(resource)["service.name"] == "tunegate"
    assert registry.warnings == []


def test_each_score_is_an_event_beside_its_answer_and_reasons_are_sent_on_request_only(
    configured, receiver, registry, record
):
    gate(record, answer("s/0"))
    events = receiver.events()
    assert {event.event_name for event in events} == {"gen_ai.evaluation.result"}
    first = next(event for event in events if attributes(event)["tunegate.case"] == "s/0")
    told = attributes(first)
    score = record.run.results[0].scores[0]
    assert told["gen_ai.evaluation.name"] == score.metric
    assert told["gen_ai.evaluation.score.value"] == score.value
    assert told["gen_ai.evaluation.score.label"] == "fail"
    span = next(span for span in receiver.spans() if span.name.startswith("chat"))
    assert first.span_id == span.span_id
    assert not any("explanation" in name for event in events for name in attributes(event))


def test_broken_metrics_and_failed_answers_have_an_error_type(configured, receiver, registry, record):
    first, *rest = record.run.results
    broken = replace(first, scores=(), errors=(MetricError(metric="bleu", error="no library"),))
    record = replace(record, run=replace(record.run, results=(broken, *rest)))
    gate(record, answer("s/0", error="generation_failed", errors=1, stop_reason=""))
    told = attributes(
        next(event for event in receiver.events() if attributes(event)["tunegate.case"] == "s/0")
    )
    assert told == {"tunegate.case": "s/0", "gen_ai.evaluation.name": "bleu", "error.type": "metric_error"}
    span = next(span for span in receiver.spans() if span.name.startswith("chat"))
    assert attributes(span)["error.type"] == "generation_failed"
    assert span.status.code == 2


def test_latency_tokens_and_outcomes_are_metrics(configured, receiver, registry, record):
    gate(record, answer("s/0"), answer("s/1"))
    metrics = receiver.metrics()
    duration = metrics["gen_ai.client.operation.duration"].histogram.data_points[0]
    assert (duration.count, duration.sum) == (2, 4.0)
    tokens = metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {attributes(point)["gen_ai.token.type"]: point.sum for point in tokens} == {
        "input": 18,
        "output": 6,
    }
    cases = metrics["tunegate.cases"].sum.data_points
    assert {attributes(point)["tunegate.outcome"]: point.as_int for point in cases} == {
        "failed": 4,
        "passed": 2,
    }


def test_more_than_the_library_s_queue_is_received_whole(configured, receiver, registry, record):
    gate(record, *(answer(f"s/{number}") for number in range(3000)))
    assert len(receiver.spans()) == 3001


@pytest.fixture
def grpc_receiver(receiver) -> Iterator[str]:
    """A real server of OTLP's three gRPC services, whose messages the receiver has; its address."""
    grpc = pytest.importorskip("grpc", reason="pip install 'tunegate[otel-grpc]'")
    from concurrent.futures import ThreadPoolExecutor

    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

    class Taker:
        def __init__(self, path: str, reply: type) -> None:
            self.path, self.reply = path, reply

        def Export(self, request, context):  # noqa: N802
            receiver.messages[self.path].append(request)
            return self.reply()

    server = grpc.server(ThreadPoolExecutor(2))
    for name, messages, service in (
        ("trace", trace_service_pb2, trace_service_pb2_grpc),
        ("metrics", metrics_service_pb2, metrics_service_pb2_grpc),
        ("logs", logs_service_pb2, logs_service_pb2_grpc),
    ):
        path = f"/v1/{'traces' if name == 'trace' else name}"
        reply = getattr(messages, f"Export{name.capitalize()}ServiceResponse")
        getattr(service, f"add_{name.capitalize()}ServiceServicer_to_server")(Taker(path, reply), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(0)


def test_the_same_is_received_over_grpc(configured, receiver, grpc_receiver, registry, record):
    configured.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", grpc_receiver)
    configured.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    gate(record, answer("s/1"))
    root, one = sorted(receiver.spans(), key=lambda span: bool(span.parent_span_id))
    assert (root.name, one.name) == ("tunegate gate", "chat adapters/mine")
    assert attributes(root)["tunegate.verdicts"] == [str(record.verdict.outcome)]
    assert len(receiver.events()) == sum(len(each.scores) for each in record.run.results)
    assert "tunegate.cases" in receiver.metrics()
    assert registry.warnings == []


def test_a_signal_may_have_its_own_protocol(configured, receiver, grpc_receiver, registry, record):
    configured.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", grpc_receiver)
    configured.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
    gate(record, answer("s/1"))
    assert (len(receiver.spans()), bool(receiver.events()), registry.warnings) == (2, True, [])


def test_a_grpc_receiver_that_is_down_costs_one_line(configured, registry, record, capfd):
    pytest.importorskip("grpc", reason="pip install 'tunegate[otel-grpc]'")
    configured.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    configured.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    configured.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    gate(record, answer("s/0"))
    (line,) = registry.warnings
    assert line.startswith("OpenTelemetry: not all was sent to http://127.0.0.1:9")
    assert capfd.readouterr() == ("", "")


def test_the_pipeline_s_own_trace_and_service_are_followed(configured, receiver, registry, record):
    configured.setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    configured.setenv("OTEL_SERVICE_NAME", "nightly")
    configured.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    gate(record)
    (root,) = receiver.spans()
    why = next(attributes(event).get("gen_ai.evaluation.explanation") for event in receiver.events())
    assert why == "is Rome, expected Paris"
    assert root.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    resource = receiver.messages["/v1/traces"][0].resource_spans[0].resource
    assert attributes(resource)["service.name"] == "nightly"


SERVER = ToldCommand(name="serve", labels={}, is_lasting=True)


def test_a_server_s_answers_belong_to_their_clients_traces(configured, receiver, registry):
    """A server has no span of its own, which would never end."""
    telemetry = open_command_telemetry(os.environ, SERVER)
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for parent in ("", caller, "nonsense"):
        tell(answer("", name="mine", engine="tunegate", is_served=True, parent=parent))
    telemetry.close({})
    alone, called, other = receiver.spans()
    assert {span.name for span in (alone, called, other)} == {"chat mine"}
    assert {span.kind for span in (alone, called, other)} == {2}  # a server's
    assert [span.parent_span_id.hex() for span in (alone, called, other)] == ["", "b7ad6b7169203331", ""]
    assert called.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert not [name for name in attributes(alone) if name.startswith("tunegate.")]
    assert receiver.metrics()["gen_ai.client.operation.duration"].histogram.data_points[0].count == 3
    assert registry.warnings == []


def test_a_server_goes_on_after_its_endpoint_was_down(configured, receiver, registry, capfd):
    configured.setattr(telemetry_module, "_PAUSE_S", 0.0)
    telemetry = open_command_telemetry(os.environ, SERVER)
    receiver.status = 400
    tell(answer("", name="lost", is_served=True))
    telemetry._tracers.force_flush()
    receiver.status = 200
    receiver.messages.clear()
    tell(answer("", name="mine", is_served=True))
    telemetry.close({})
    assert [span.name for span in receiver.spans()] == ["chat mine"]
    (line,) = registry.warnings
    assert line.endswith("traces were refused or not received")
    assert capfd.readouterr() == ("", "")


def test_reruns_are_a_span_with_what_they_found(configured, receiver, registry):
    told = ToldCommand(name="noise", labels={"candidate": "adapters/mine"})
    telemetry = open_command_telemetry(os.environ, told)
    tell(answer("s/0"))
    tell(answer("s/0"))
    telemetry.close({}, reruns=2, cases=1, unstable=0)
    root, *others = sorted(receiver.spans(), key=lambda span: bool(span.parent_span_id))
    assert (root.name, [span.name for span in others]) == ("tunegate noise", ["chat adapters/mine"] * 2)
    assert attributes(root) == {"tunegate.reruns": 2, "tunegate.cases": 1, "tunegate.unstable": 0}


@pytest.mark.parametrize("status", [400, 0])
def test_a_receiver_that_is_down_or_refuses_costs_one_line(
    configured, receiver, registry, record, capfd, status
):
    if status:
        receiver.status = status
    else:
        configured.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        configured.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    gate(record, answer("s/0"))
    (line,) = registry.warnings
    assert line.startswith("OpenTelemetry: not all was sent to http://127.0.0.1:")
    assert "\n" not in line
    assert capfd.readouterr() == ("", "")


def test_a_secret_of_the_endpoint_is_in_no_line(configured, receiver, registry, record, capfd):
    """The log of a pipeline is read by more people than its variables."""
    receiver.status = 400
    address = receiver.url.removeprefix("http://")
    configured.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:s3cret-t0ken@{address}")
    gate(record, answer("s/0"))
    (line,) = registry.warnings
    assert line.startswith(f"OpenTelemetry: not all was sent to http://…@{address}: ")
    assert "s3cret" not in capfd.readouterr().err


@pytest.mark.parametrize("fault", ["protocol", "library"])
def test_what_can_not_be_sent_is_one_line(configured, registry, fault):
    if fault == "protocol":
        configured.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    else:
        configured.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert open_telemetry(os.environ, MODELS) is None
    (line,) = registry.warnings
    assert line.startswith("OpenTelemetry: nothing is sent: ")
    assert (
        "protocol http/json (allowed: http/protobuf, grpc)"
        if fault == "protocol"
        else "pip install 'tunegate[otel]'"
    ) in line
    assert LISTENERS == []
