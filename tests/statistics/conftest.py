"""What simulations of the gate share."""

import pytest


@pytest.fixture
def verdicts_alone(monkeypatch):
    """Without the figures beside a verdict, which take most of the time."""
    for name in ("smallest_detectable", "cases_to_settle"):
        monkeypatch.setattr(f"harness.comparison.metric_verdicts.{name}", lambda *_, **__: None)
