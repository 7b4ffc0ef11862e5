"""The nodes of a Ray cluster answer as one process does, also where one of them is lost."""

import os
import signal
import socket
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

ray = pytest.importorskip("ray", reason="pip install 'tunegate[ray]'")

from harness.engines.base import BASELINE, CANDIDATE, GenerationRequest, LossRequest  # noqa: E402
from harness.engines.open import choose_plan, describe_model, open_sides  # noqa: E402
from harness.engines.workers import local, ray_cluster, ray_nodes, ray_watch  # noqa: E402
from harness.engines.workers.functions import Dealer, FunctionKind, Item  # noqa: E402
from harness.engines.workers.ray_cluster import open_ray  # noqa: E402
from harness.errors import EngineError, ModelError, SettingsError  # noqa: E402
from harness.types import GenerationSettings, Message  # noqa: E402

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]
PROMPTS = ("what is one", "the cat sat on the mat", "w1 w2 w3 w4", "two", "w9 w8 the w7", "is the mat")
ASKED = [
    GenerationRequest(
        key=f"{side}/{number}",
        side=side,
        messages=(Message(role="user", content=prompt),),
        settings=GenerationSettings(max_new_tokens=9, temperature=number % 2, seed=number),
    )
    for side in (CANDIDATE, BASELINE)
    for number, prompt in enumerate(PROMPTS * 8)
]
TEXTS = [LossRequest(key=prompt, side=CANDIDATE, text=prompt) for prompt in PROMPTS[:3]]


@pytest.fixture(scope="module")
def sides(tiny_model_dir):
    return dict.fromkeys((CANDIDATE, BASELINE), describe_model(str(tiny_model_dir)))


@pytest.fixture(scope="module")
def plan(sides):
    return choose_plan("float32", "cpu", 64, list(sides.values()))


@pytest.fixture(scope="module")
def engine(cluster, sides, plan):
    return open_ray(sides, plan, cluster.address, 1, 10**6)


@pytest.fixture(scope="module")
def expected(sides, plan):
    found = {}
    open_sides(sides, plan).generate(ASKED, found.update)
    return texts(found)


def texts(found):
    return [found[place].text for place in range(len(ASKED))]


def test_texts_and_losses_are_those_of_one_process(engine, sides, plan, expected):
    found, losses, alone = {}, {}, {}
    engine.generate(ASKED, found.update)
    engine.losses(TEXTS, losses.update)
    assert texts(found) == expected
    open_sides(sides, plan).losses(TEXTS, alone.update)
    assert {row: loss.nats_per_token for row, loss in losses.items()} == {
        row: pytest.approx(loss.nats_per_token, abs=1e-5) for row, loss in alone.items()
    }
    assert engine.plan == open_sides(sides, plan).plan


def test_both_nodes_have_the_models(engine):
    assert len({member.name for member in engine._cluster.members}) == 2


def processes_of(engine):
    return ray.get(
        [member.actor.__ray_call__.remote(lambda _: os.getpid()) for member in engine._cluster.members]
    )


def test_a_node_that_is_killed_is_replaced_and_its_batches_are_computed_again(engine, expected):
    """At the first answers; those stand, and nothing is asked twice that has an answer."""
    found, victims = {}, processes_of(engine)

    def kill_one(answers):
        assert not found.keys() & answers.keys()
        found.update(answers)
        while victims:
            os.kill(victims.pop(), signal.SIGKILL)
            victims.clear()

    with pytest.warns(RuntimeWarning, match=r"node [0-9a-f]{8}: .*are computed again"):
        engine.generate(ASKED, kill_one)
    assert texts(found) == expected
    again = {}
    engine.generate(ASKED, again.update)
    assert texts(again) == expected


DOUBLED = FunctionKind(path="tests.engines.workers.in_process:DoublingEngine", argument=2, together=3)
NUMBERS = [Item(key=str(number), value=number) for number in range(40)]


def test_the_nodes_that_answer_also_compute_functions(engine):
    dealer, found = Dealer(lambda: pytest.fail("opened anew")), {}
    dealer.lending(lambda sides, plan: engine)({}, None)
    assert dealer.compute(DOUBLED, NUMBERS, found.update) == {}
    assert found == {number: 2 * number for number in range(40)}


def test_a_node_that_is_killed_costs_a_function_its_batches_alone(engine):
    found, victims = {}, processes_of(engine)

    def kill_one(results):
        assert not found.keys() & results.keys()
        found.update(results)
        while victims:
            os.kill(victims.pop(), signal.SIGKILL)
            victims.clear()

    with pytest.warns(RuntimeWarning, match="are computed again"):
        engine.compute(DOUBLED, NUMBERS, kill_one)
    assert found == {number: 2 * number for number in range(40)}


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(local, "HUNG_POLLS", 2)
    monkeypatch.setattr(ray_watch, "_POLL_S", 0.2)
    monkeypatch.setattr(ray_cluster, "_POLL_S", 0.1)


def test_a_node_that_does_nothing_is_ended_and_its_batches_are_computed_again(
    engine, expected, impatient, monkeypatch
):
    """A stopped process neither answers nor ends; Ray says nothing of it."""
    give, victims, found = ray_cluster._Transport.give, [], {}

    def stop_and_give(transport, worker, batch):
        if not victims:
            node, _ = transport._workers[worker]
            victims.append(ray.get(node.actor.__ray_call__.remote(lambda _: os.getpid())))
            os.kill(victims[0], signal.SIGSTOP)
        give(transport, worker, batch)

    monkeypatch.setattr(ray_cluster._Transport, "give", stop_and_give)
    with pytest.warns(RuntimeWarning, match=r"node .*: answered nothing for 0 s and was ended; its"):
        engine.generate(ASKED, found.update)
    assert texts(found) == expected


def test_a_function_s_libraries_are_compared_too(engine):
    kind = replace(DOUBLED, versions={"tokenizers": "0.1"})
    with pytest.raises(SettingsError, match=r"of the Ray cluster has tokenizers .* instead of 0\.1"):
        engine.compute(kind, NUMBERS, print)


def test_a_node_with_other_libraries_is_refused():
    here = ray_nodes.versions()
    ray_nodes.refuse_other_versions(here, here)
    with pytest.raises(SettingsError, match=r"has torch 1\.0 instead of .*: install the same"):
        ray_nodes.refuse_other_versions(here, {**here, "torch": "1.0"})


def test_a_node_with_other_files_is_refused(sides, tmp_path):
    model = sides[CANDIDATE]
    ray_nodes.refuse_other_files(model)
    with pytest.raises(ModelError, match="has other files there than here"):
        ray_nodes.refuse_other_files(replace(model, base_sha256="0" * 64))
    with pytest.raises(ModelError, match="share the directory with all nodes"):
        ray_nodes.refuse_other_files(replace(model, base_model=str(tmp_path / "none")))


def test_what_a_node_refuses_is_one_line(engine):
    work = replace(engine._cluster.work, versions={"torch": "0.1"})
    actor = ray.remote(ray_nodes.Node).options(num_cpus=0).remote(1)
    with pytest.raises(ray.exceptions.RayTaskError) as raised:
        ray.get(actor.load.remote(work))
    cause = ray_cluster.cause_of(raised.value)
    assert isinstance(cause, SettingsError)
    assert "of the Ray cluster has torch" in str(cause)
    assert "instead of 0.1: install the same" in str(cause)


def test_nodes_that_others_use_are_not_waited_for(cluster, engine, sides, plan, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_FREE_WITHIN_S", 0.5)
    with pytest.raises(SettingsError, match=r"all nodes of the cluster are busy with other work"):
        open_ray(sides, plan, cluster.address, 1, 10**6)


def test_a_cluster_that_is_not_there_is_one_line(monkeypatch):
    """Nobody listens at the port; where somebody does, Ray says what is wrong."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(
            SettingsError, match=f"^--gate-engine ray:{address}: no cluster answers: .*refused"
        ):
            open_ray({}, None, address, None, 0)
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(SettingsError, match=r"^--gate-engine ray: no cluster answers: .*refused"):
            open_ray({}, None, "", None, 0)
    monkeypatch.delenv("RAY_ADDRESS")

    def refuse(**_):
        raise ConnectionError("ran out of time\nand more")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(SettingsError, match=r"^--gate-engine ray: no cluster answers: .*ran out of time$"):
        open_ray({}, None, "", None, 0)


def test_a_node_has_a_pulse_while_all_its_workers_compute(engine, monkeypatch):
    """Also where more of them are asked for than it has processors."""
    monkeypatch.setattr(engine._cluster, "work", replace(engine._cluster.work, wanted=3))
    actor = engine._cluster._member(None, {"num_cpus": 0}).actor
    busy = [actor.__ray_call__.remote(lambda _: time.sleep(20)) for _ in range(3)]
    assert ray.get(ray_watch._asked(SimpleNamespace(actor=actor)), timeout=15) == 1
    assert ray.wait(busy, timeout=0)[0] == []
    ray.kill(actor)


def test_where_nodes_are_lost_again_and_again_the_run_ends_with_one_line(engine):
    """Each replacement is killed, too."""
    transport = ray_cluster._Transport(engine._cluster, "answers", ASKED)
    transport.prepare()
    transport._cluster._replacements = 100
    for member in list(engine._cluster.members):
        events = transport._node_lost(member, "gone")
        assert events == []
    with pytest.raises(EngineError, match=r"no node of the Ray cluster is left: node .*: gone"):
        transport.start()
