"""What a job makes of nodes that are lost, and of their replacements. The nodes are stand-ins."""

import itertools
from types import SimpleNamespace

import pytest

ray = pytest.importorskip("ray", reason="pip install 'tunegate[ray]'")

from harness.engines.workers import ray_cluster  # noqa: E402
from harness.engines.workers.deal import FinishedBatch  # noqa: E402
from harness.errors import EngineError, ModelError, SettingsError  # noqa: E402
from harness.types import ExecutionPlan, ServerUse  # noqa: E402

PLAN = ExecutionPlan(engine="vllm", dtype="unknown", device="server", batch_tokens=1, server=ServerUse())
ROWS = [[0], [1]]


class Call:
    """A call of a node: its result, an error, or nothing yet."""

    def __init__(self, result=None):
        self.result = result


class StandInNode:
    """Gives to each call what it is told to; a node without room gives nothing."""

    def __init__(self, prepared=None, computed=None):
        self.killed = False
        self.prepare = SimpleNamespace(remote=lambda *_: Call(prepared))
        self.compute = SimpleNamespace(remote=lambda *_: Call(computed))


def failing(error):
    return ray.exceptions.RayTaskError("compute", "", error)


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    def get(call):
        if isinstance(call.result, Exception):
            raise call.result
        return call.result

    def wait(calls, **_):
        return [call for call in calls if call.result is not None], []

    def kill(actor):
        actor.killed = True

    monkeypatch.setattr(ray, "put", lambda requests: requests)
    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(ray, "wait", wait)
    monkeypatch.setattr(ray, "kill", kill)


READY = (ROWS, 1, None)


def member(node, *, replaces=False):
    return ray_cluster._Member(actor=node, name="n", resources={}, replaces=replaces)


@pytest.fixture
def cluster():
    """Gives a cluster of nodes; a lost one is replaced by the next of the replacements."""

    def make(nodes, replacements=()):
        made = ray_cluster._Cluster(SimpleNamespace(plan=PLAN))
        made.members = [member(node) for node in nodes]
        made.workers = len(nodes)
        made.watch = SimpleNamespace(standing=lambda _: {})
        coming = itertools.chain(replacements, itertools.repeat(StandInNode()))
        made._member = lambda *_: member(next(coming), replaces=True)
        return made

    return make


def transport_of(cluster):
    return ray_cluster._Transport(cluster, "answers", ["one", "two"])


def test_the_next_job_does_not_wait_for_a_replacement_that_no_node_has_room_for(cluster):
    nodes = cluster([StandInNode(READY), StandInNode(READY, failing(EngineError("it answers nothing")))])
    first = transport_of(nodes)
    assert first.prepare() == (ROWS, 2)
    workers = [first.start(), first.start()]
    first.give(workers[1], [1])
    (lost,) = first.wait()
    assert (lost.worker, lost.of_batch) == (workers[1], True)
    assert [each.replaces for each in nodes.members] == [False, True]
    second = transport_of(nodes)
    assert second.prepare() == (ROWS, 2)
    assert second.start() is not None
    assert second.start() is None
    # It joins the job as soon as there is room.
    next(iter(second._preparing)).result = READY
    assert second.wait() == []
    assert second.start() is not None
    assert not any(each.replaces for each in nodes.members)


@pytest.mark.parametrize(
    ("said", "blamed"), [("its worker process has died.", True), ("its node has died.", False)]
)
def test_a_batch_is_not_to_blame_for_a_machine_that_is_gone(cluster, said, blamed):
    """As Ray 2.60 says it: a preempted machine takes any batch with it, and a batch no machine."""
    error = ray.exceptions.RayActorError(
        error_msg=f"The actor died unexpectedly.\n\tpid: 3\nThe actor died because {said}"
    )
    job = transport_of(cluster([StandInNode(READY, error), StandInNode(READY)]))
    job.prepare()
    worker = job.start()
    job.give(worker, [0])
    (lost,) = job.wait()
    assert (lost.worker, lost.of_batch) == (worker, blamed)


def test_a_batch_is_not_to_blame_where_the_connection_breaks_before_the_machine_is_missed(cluster):
    error = ray.exceptions.ActorUnavailableError("RpcError: RPC Error message: Socket closed", None)
    job = transport_of(cluster([StandInNode(READY, error), StandInNode(READY)]))
    job.prepare()
    job.give(job.start(), [0])
    (lost,) = job.wait()
    assert not lost.of_batch
    assert "Socket closed" in lost.reason


def test_a_job_with_replacements_alone_ends_after_the_limit_of_their_loading(cluster, monkeypatch):
    nodes = cluster([StandInNode(READY)])
    first = transport_of(nodes)
    first.prepare()
    first._node_lost(nodes.members[0], "its machine is gone")
    monkeypatch.setattr(ray_cluster, "_SERVED_WITHIN_S", 0.1)
    with pytest.raises(EngineError, match="no node of the Ray cluster is left: node n: its machine is gone"):
        transport_of(nodes).prepare()


def test_a_replacement_that_has_no_memory_is_replaced_in_turn(cluster):
    """A lost node may still hold it. The other nodes have loaded the same models."""
    without = StandInNode(failing(ModelError("models/a: memory ran out: CUDA out of memory")))
    nodes = cluster([StandInNode(READY), StandInNode(READY)], [without, StandInNode(READY)])
    job = transport_of(nodes)
    job.prepare()
    job._node_lost(nodes.members[0], "gone")
    with pytest.warns(RuntimeWarning, match="memory ran out"):
        assert job.wait() == []
    assert without.killed
    assert job.wait() == []
    assert [each.workers for each in nodes.members] == [1, 1]


def loading(*results):
    return {Call(result): member(StandInNode()) for result in results}


def test_a_node_that_is_lost_while_it_loads_is_left_out(cluster):
    nodes, calls = cluster([]), loading("loaded", ray.exceptions.RayActorError())
    nodes.members = list(calls.values())
    with pytest.warns(RuntimeWarning, match="node n was lost: .*Actor"):
        assert nodes._replies(calls) == ["loaded"]
    assert [each.actor.killed for each in nodes.members] == [False]
    calls = loading(ray.exceptions.RayActorError())
    nodes.members = list(calls.values())
    with (
        pytest.warns(RuntimeWarning, match="was lost"),
        pytest.raises(EngineError, match="no node of the cluster could load the models"),
    ):
        nodes._replies(calls)


def test_a_node_whose_loading_process_is_killed_is_left_out(cluster):
    killed = failing(EngineError("the process with the models was ended by signal 9"))
    nodes, calls = cluster([]), loading("loaded", killed)
    nodes.members = list(calls.values())
    with pytest.warns(RuntimeWarning, match="node n was lost: the process with the models was ended"):
        assert nodes._replies(calls) == ["loaded"]
    assert [each.actor.killed for each in nodes.members] == [False]
    calls = loading(killed)
    nodes.members = list(calls.values())
    reason = "no node of the cluster could load the models: the process with the models was ended by signal 9"
    with pytest.warns(RuntimeWarning, match="was lost"), pytest.raises(EngineError, match=reason):
        nodes._replies(calls)


def test_missing_files_of_one_node_end_the_loading(cluster):
    nodes, calls = cluster([]), loading("loaded", failing(ModelError("models/a: not on this node")))
    nodes.members = list(calls.values())
    with pytest.raises(ray.exceptions.RayTaskError) as found:
        nodes._replies(calls)
    assert isinstance(found.value.cause, ModelError)


def test_what_no_node_can_load_ends_the_session(cluster):
    wrong = StandInNode(failing(SettingsError("has torch 1.0 instead of 2.0")))
    with pytest.raises(SettingsError, match="has torch"):
        transport_of(cluster([StandInNode(READY), wrong])).prepare()


def test_a_node_whose_server_answers_nothing_leaves_its_batch_to_the_others(cluster):
    hung = StandInNode(READY, failing(EngineError("its server answers nothing")))
    done = FinishedBatch(worker=0, found={0: "text"}, failures={})
    nodes, found = cluster([hung, StandInNode(READY, done)]), {}
    engine = ray_cluster.RayEngine.__new__(ray_cluster.RayEngine)
    engine.plan, job = PLAN, transport_of(nodes)
    _, most = job.prepare()
    with pytest.warns(RuntimeWarning, match="node n: its server answers nothing; its 1 requests, from one"):
        engine._deal([[0]], most, [SimpleNamespace(key="one")], found.update, lambda _: job)
    assert found == {0: "text"}
    assert hung.killed
