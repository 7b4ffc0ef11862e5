"""What a node tells of itself while it computes."""

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.engines.base import CANDIDATE
from harness.engines.open import choose_plan, describe_model
from harness.engines.workers.deal import FinishedBatch
from harness.engines.workers.models import Models
from harness.engines.workers.ray_nodes import LoadedNode, Node, libraries_of, refuse_other_versions, versions
from harness.errors import SettingsError
from tests.engines.workers.test_local import ASKED


def test_the_pulse_of_a_node_stands_only_while_its_gpu_computes_one_step():
    """A number that stays for minutes is a step that never ends."""
    entered, go_on = threading.Event(), threading.Event()
    models = SimpleNamespace(steps=1, use=None, prepare=lambda *_: [[0]])

    def answer(batch):
        entered.set()
        go_on.wait(10)
        return {0: "text"}, {}

    models.answer = answer
    node = Node(1)
    node._models, node._loaded = models, LoadedNode(plan=None, changes={}, workers=1)
    node.prepare(None, "answers", ["?"], 1, 1)
    assert node.pulse() != node.pulse()
    done = []
    thread = threading.Thread(target=lambda: done.append(node.compute(0, [0])))
    thread.start()
    assert entered.wait(10)
    first = node.pulse()
    assert first == node.pulse()
    go_on.set()
    thread.join(10)
    assert node.pulse() != node.pulse()
    assert done == [FinishedBatch(worker=0, found={0: "text"}, failures={})]


def test_a_job_is_not_taken_for_one_that_was_asked_before_it_and_comes_late():
    asked = []
    models = SimpleNamespace(steps=1, use=None)
    models.prepare = lambda kind, requests, workers: asked.append(requests) or [[0]]
    node = Node(1)
    node._models, node._loaded = models, LoadedNode(plan=None, changes={}, workers=1)
    assert node.prepare(None, "answers", ["new"], 1, 2) == ([[0]], 1, None)
    assert node.prepare(None, "answers", ["old"], 1, 1) == ((), 0, None)
    assert asked == [["new"]]


def test_steps_are_counted_however_a_model_is_called(tiny_model_dir):
    sides = {CANDIDATE: describe_model(str(tiny_model_dir))}
    models = Models()
    models.load(sides, choose_plan("float32", "cpu", 64, list(sides.values())))
    models.count_steps()
    asked = [request for request in ASKED if request.side == CANDIDATE]
    for batch in models.prepare("answers", asked, 1):
        before = models.steps
        found, _ = models.answer(batch)
        assert models.steps - before >= max(each.completion_tokens for each in found.values())


def test_a_node_needs_the_library_of_4_bits_where_texts_depend_on_it():
    plan = choose_plan("float32", "cpu", 64, [])
    assert "bitsandbytes" not in libraries_of(plan)
    asked = versions(libraries_of(replace(plan, weights="nf4")))
    with pytest.raises(SettingsError, match="has bitsandbytes 0 instead of"):
        refuse_other_versions(asked, {**asked, "bitsandbytes": "0"})
