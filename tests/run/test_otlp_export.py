"""What the standard variables of OpenTelemetry ask for, and what is told of their endpoints."""

import pytest

from harness.run.otlp_export import wanted_signals, without_secrets

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


@pytest.mark.parametrize(
    ("endpoint", "known"),
    [
        ("https://user:token@otlp.example/otlp", "https://…@otlp.example/otlp"),
        ("https://otlp.example/otlp?api-key=token", "https://otlp.example/otlp…"),
        ("user:token@otlp.example:4317", "…@otlp.example:4317"),
        (URL, URL),
        ("otlp.example:4317", "otlp.example:4317"),
    ],
)
def test_no_message_holds_the_secret_of_an_endpoint(endpoint, known):
    """Libraries repeat an address in their own errors, too."""
    environment = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint} ", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    told = without_secrets(f"not sent: Invalid URL {endpoint!r}: is it up?", environment)
    assert told == f"not sent: Invalid URL {known!r}: is it up?"
