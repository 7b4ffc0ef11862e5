"""Workers in processes of their own: the same texts as in one process, whatever happens to a worker."""

import os
import signal
import sys
from pathlib import Path

import pytest

from harness.engines.base import BASELINE, CANDIDATE, GenerationRequest, LossRequest
from harness.engines.open import base_of, choose_plan, describe_model, open_sides
from harness.engines.workers import local
from harness.errors import CasesFailedError, EngineError, ModelError
from harness.types import GenerationSettings, Message

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone"),
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
    for number, prompt in enumerate(PROMPTS)
]
TEXTS = [LossRequest(key=prompt, side=CANDIDATE, text=prompt) for prompt in PROMPTS[:3]]


@pytest.fixture(scope="module")
def sides(tiny_model_dir, make_tiny_adapter, tmp_path_factory):
    directory = make_tiny_adapter(tiny_model_dir, tmp_path_factory.mktemp("workers"), spread=0.5, seed=4)
    candidate = describe_model(str(directory))
    return {CANDIDATE: candidate, BASELINE: base_of(candidate)}


@pytest.fixture(scope="module")
def plan(sides):
    return choose_plan("float32", "cpu", 64, list(sides.values()))


@pytest.fixture(scope="module")
def workers(sides, plan):
    return local.open_workers(sides, plan, 2, 2)


@pytest.fixture(scope="module")
def expected(sides, plan):
    found = {}
    open_sides(sides, plan).generate(ASKED, found.update)
    return texts(found)


def texts(found):
    return [found[place].text for place in range(len(ASKED))]


@pytest.fixture
def send_to_first_worker(monkeypatch):
    """Sends a signal to the first worker that gets a batch, with the batch."""

    def send(number, times=1):
        sent, give = [], local.LocalTransport.give

        def give_and_send(transport, worker, batch):
            if len(sent) < times:
                sent.append(worker)
                os.kill(worker, number)
            give(transport, worker, batch)

        monkeypatch.setattr(local.LocalTransport, "give", give_and_send)
        return sent

    return send


def test_texts_and_losses_are_those_of_one_process(workers, sides, plan, expected):
    found, losses, alone = {}, {}, {}
    workers.generate(ASKED, found.update)
    workers.losses(TEXTS, losses.update)
    assert texts(found) == expected
    one = open_sides(sides, plan)
    one.losses(TEXTS, alone.update)
    assert {row: pytest.approx(loss.nats_per_token, abs=1e-5) for row, loss in alone.items()} == {
        row: loss.nats_per_token for row, loss in losses.items()
    }
    assert workers.plan == one.plan
    assert workers.largest_logit_change(CANDIDATE) == pytest.approx(one.largest_logit_change(CANDIDATE), 1e-4)


def test_workers_tell_what_has_ended_and_give_it_again_with_its_batch(sides, plan, expected, monkeypatch):
    often = "import harness.engines.questions as of; of._TOLD_EVERY_S = 0.0; from harness.engines.workers.template"
    monkeypatch.setattr(local, "_START", local._START.replace("from harness.engines.workers.template", often))
    engine, found, early = local.open_workers(sides, plan, 2, 2), {}, {}
    engine.on_early = early.update
    engine.generate(ASKED, found.update)
    assert texts(found) == expected
    assert early
    assert {place: one.text for place, one in early.items()} == {place: expected[place] for place in early}


def test_the_process_with_the_models_has_one_thread(workers):
    """A fork of several threads may wait for ever for a lock that another thread held."""
    assert len(list(Path(f"/proc/{workers._template.process.pid}/task").iterdir())) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_worker_had_is_computed_again(workers, expected, send_to_first_worker, number):
    found, sent = {}, send_to_first_worker(number)
    with pytest.warns(RuntimeWarning, match=rf"worker \d+ was killed by signal {number:d}.* computed again"):
        workers.generate(ASKED, found.update)
    assert texts(found) == expected
    with pytest.raises(ProcessLookupError):
        os.kill(sent[0], 0)


def test_a_worker_that_does_nothing_is_ended(workers, expected, send_to_first_worker, monkeypatch):
    monkeypatch.setattr(local, "HUNG_POLLS", 2)
    monkeypatch.setattr(local, "_POLL_S", 0.2)
    found, sent = {}, send_to_first_worker(signal.SIGSTOP)
    with pytest.warns(RuntimeWarning, match=r"worker \d+ used no processor time for 0 s and was ended"):
        workers.generate(ASKED, found.update)
    assert texts(found) == expected
    with pytest.raises(ProcessLookupError):
        os.kill(sent[0], 0)


def test_a_request_that_fails_is_named_and_the_others_are_answered(workers, expected):
    found, bad = {}, LossRequest(key="orders/one", side=CANDIDATE, text="")
    with pytest.raises(EngineError, match=r"^orders/one: the text to score is empty$"):
        workers.losses([*TEXTS, bad], found.update)
    late = [*ASKED[:1], GenerationRequest(**{**fields(ASKED[0]), "key": "late", "timeout_s": 1e-9})]
    with pytest.raises(CasesFailedError, match="the case's timeout is 1e-09 s"):
        workers.generate(late, found.update)
    assert found[0].text == expected[0]


def fields(request):
    return {name: getattr(request, name) for name in request.__dataclass_fields__}


def test_no_worker_is_left_after_an_interruption(workers, send_to_first_worker):
    sent = send_to_first_worker(0)

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workers.generate(ASKED, interrupt)
    workers.generate(ASKED[:1], {}.update)  # the killed ones have been waited for
    with pytest.raises(ProcessLookupError):
        os.kill(sent[0], 0)


def test_a_model_that_cannot_be_loaded_is_refused_as_in_one_process(sides, plan, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    moved = {CANDIDATE: sides[BASELINE].__class__(label="x", base_model=str(tmp_path), base_sha256="0")}
    with pytest.raises(ModelError):
        local.open_workers(moved, plan, 2, 2)


def test_a_template_that_is_gone_is_one_line(sides, plan):
    template = local.Template()
    template.process.kill()
    with pytest.raises(EngineError, match=r"^the process with the models was killed by signal 9: did memory"):
        local.WorkersEngine(template, sides, plan, 2, 2)
    assert template.connection.closed


def test_a_template_that_got_half_a_question_is_not_waited_for(monkeypatch):
    """It goes on, and waits for the rest: as where this process may open no further file."""

    def fail(*_):
        raise OSError(24, "Too many open files")

    template = local.Template()
    monkeypatch.setattr(local, "send_handle", fail)
    monkeypatch.setattr(local, "_END_S", 0.1)
    with pytest.raises(
        EngineError, match=r"^the process with the models can't be asked: .*Too many open files"
    ):
        template.fork(1)
    assert template.process.wait(10) == -signal.SIGKILL
