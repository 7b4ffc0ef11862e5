"""What actors reserve on the nodes of a cluster."""

import pytest

ray = pytest.importorskip("ray", reason="pip install 'tunegate[ray]'")

from harness.engines.workers.ray_reservations import reservations  # noqa: E402
from harness.errors import SettingsError  # noqa: E402
from harness.types import ExecutionPlan, ServerUse  # noqa: E402


@pytest.fixture
def nodes(monkeypatch):
    """Sets the processors and GPUs of the nodes; a node that is lost comes last."""

    def set_nodes(*found):
        listed = [
            {"NodeID": f"n{place}", "Alive": True, "Resources": {"CPU": cores, "GPU": gpus}}
            for place, (cores, gpus) in enumerate(found)
        ]
        lost = {"NodeID": "lost", "Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
        monkeypatch.setattr(ray, "nodes", lambda: [*listed, lost])

    return set_nodes


def plan_of(device, arguments=None):
    server = None if arguments is None else ServerUse(arguments=arguments)
    return ExecutionPlan(engine="e", dtype="float32", device=device, batch_tokens=1, server=server)


def test_an_actor_is_on_each_node_or_on_each_gpu(nodes):
    nodes((4.0, 2.0), (2.0, 0.0), (0.0, 0.0))
    assert reservations(plan_of("cpu")) == [("n0", {"num_cpus": 4}), ("n1", {"num_cpus": 2})]
    assert reservations(plan_of("cuda")) == [("n0", {"num_cpus": 1, "num_gpus": 1})] * 2


def test_a_server_takes_the_gpus_that_divide_its_model(nodes):
    nodes((8.0, 5.0), (1.0, 2.0), (1.0, 1.0))
    pair = {"num_cpus": 1, "num_gpus": 2}
    assert reservations(plan_of("server", "--tensor-parallel-size 2")) == [
        ("n0", pair),
        ("n0", pair),
        ("n1", pair),
    ]
    assert reservations(plan_of("server", "-tp 2 -pp=2")) == [("n0", {"num_cpus": 1, "num_gpus": 4})]
    assert len(reservations(plan_of("server", ""))) == 8
    with pytest.raises(
        SettingsError, match="ask for 8 GPUs of one node, and no node of the cluster has more than 5"
    ):
        reservations(plan_of("server", "--tensor_parallel_size=8"))


def test_without_gpus_a_server_takes_a_node(nodes):
    nodes((4.0, 0.0), (2.0, 0.0))
    assert reservations(plan_of("server", "-tp 2")) == [("n0", {"num_cpus": 4}), ("n1", {"num_cpus": 2})]


def test_a_cluster_that_can_not_compute_so_is_refused(nodes):
    nodes((0.0, 0.0))
    with pytest.raises(SettingsError, match="no node of the cluster has processors"):
        reservations(plan_of("cpu"))
    with pytest.raises(SettingsError, match="no node of the cluster has processors"):
        reservations(plan_of("server", ""))
    with pytest.raises(SettingsError, match="no node of the cluster has GPUs"):
        reservations(plan_of("cuda"))
