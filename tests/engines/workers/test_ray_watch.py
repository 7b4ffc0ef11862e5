"""When a node counts as one that stands still."""

from types import SimpleNamespace

import pytest

ray = pytest.importorskip("ray", reason="pip install 'tunegate[ray]'")

from harness.engines.served.client import ServerClient  # noqa: E402
from harness.engines.workers import ray_watch  # noqa: E402
from harness.engines.workers.ray_cluster import _Member  # noqa: E402
from harness.engines.workers.ray_watch import NodeWatch, longest_step_s  # noqa: E402
from harness.types import ExecutionPlan, ServerUse  # noqa: E402


@pytest.fixture
def node(monkeypatch):
    """One that answers at once, and always the same."""
    monkeypatch.setattr(ray_watch, "_POLL_S", 1e-9)
    monkeypatch.setattr(ray, "wait", lambda calls, timeout: (calls, []))
    monkeypatch.setattr(ray, "get", lambda call: call)
    pulse = SimpleNamespace(remote=lambda: 7)
    pulse.options = lambda concurrency_group: pulse if concurrency_group == ray_watch.PULSE else None
    return _Member(actor=SimpleNamespace(pulse=pulse), name="n", resources={})


def plan_of(timeout_s):
    server = None if timeout_s is None else ServerUse(timeout_s=timeout_s)
    return ExecutionPlan(engine="e", dtype="float32", device="server", batch_tokens=1, server=server)


@pytest.mark.parametrize(("timeout_s", "step_s"), [(None, 600), (60, 600), (700, 4200)])
def test_a_server_may_be_as_slow_as_its_time_limit_allows_at_each_attempt(timeout_s, step_s):
    assert longest_step_s(plan_of(timeout_s)) == step_s


def test_no_request_takes_longer_than_a_node_may_stand_still():
    attempts = ServerClient("http://127.0.0.1:9/v1", None)._attempts
    assert longest_step_s(plan_of(900)) >= attempts * 900


def test_a_node_is_ended_after_so_many_equal_pulses_in_a_row(node):
    watch = NodeWatch(step_s=3e-9)
    # The first poll asks; the second one has an answer to compare with.
    for _ in range(4):
        assert watch.standing([node]) == {}
    assert watch.standing([node]) == {node: "made no progress for 0 s and was ended"}
