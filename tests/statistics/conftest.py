"""What simulations of the gate share."""

import pytest

from harness.statistics.clusters import group


@pytest.fixture
def verdicts_alone(monkeypatch):
    """Without the figures beside a verdict, which take most of the time."""
    for name in ("smallest_detectable", "cases_to_settle"):
        monkeypatch.setattr(f"harness.comparison.metric_verdicts.{name}", lambda *_, **__: None)


def alone(drops):
    return group(list(drops), range(len(drops)))
