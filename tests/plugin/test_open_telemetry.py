"""A whole gate with OpenTelemetry: spans of both sides arrive; a dead endpoint changes no exit status."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.registry.listeners import LISTENERS

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="pip install 'tunegate[otel]'")


def test_both_sides_answers_are_sent(project, monkeypatch):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, content))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        result = project.run()
        server.shutdown()
        thread.join()
    assert result.ret == pytest.ExitCode.OK
    assert {path for path, _ in received} == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    spans = [
        span
        for path, content in received
        if path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    names = [span.name.partition(" ")[0] for span in spans]
    assert names.count("chat") >= 20
    assert "score" in names
    assert names.count("tunegate") == 1
    assert LISTENERS == []


def test_a_dead_endpoint_is_one_line_and_the_verdict_stands(project, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    whole = result.stdout.str() + result.stderr.str()
    assert whole.count("OpenTelemetry: not all was sent to http://127.0.0.1:9") == 1
    assert "Traceback" not in whole
