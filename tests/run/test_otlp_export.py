"""Which signals the standard variables of OpenTelemetry ask for."""

import pytest

from harness.run.otlp_export import wanted_signals

URL = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("environment", "signals"),
    [
        ({}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL}, ("traces", "metrics", "logs")),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_SDK_DISABLED": "TRUE"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": URL, "OTEL_METRICS_EXPORTER": "none"}, ("traces", "logs")),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{URL}/v1/traces"}, ("traces",)),
        ({"OTEL_SERVICE_NAME": "mine"}, ()),
    ],
)
def test_it_is_off_unless_an_endpoint_is_named(environment, signals):
    assert wanted_signals(environment) == signals
