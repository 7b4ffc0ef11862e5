"""What a node with a server answers, and what it tells of it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.engines.served.client import ServerError
from harness.engines.served.engine import NO_DIVERGENCE, UnreachableError, raise_failures
from harness.engines.served.reports import with_uses
from harness.engines.workers.served_models import ServedModels, UnmeasuredText, unmeasured_apart
from harness.errors import AllFailedError, CasesFailedError, EngineError, ModelError, TextsUnmeasuredError
from harness.types import ExecutionPlan, ServerUse

REQUESTS = [SimpleNamespace(side=side, key=f"{side}{number}") for side in "ab" for number in range(5)]
PLAN = ExecutionPlan(
    engine="vllm", dtype="unknown", device="server", batch_tokens=1, server=ServerUse(prices=(1.0, 2.0))
)


class FaultyEngine:
    """An engine that asks a server; a fault is raised after the first of the answers.

    Or reasons why the requests that have one fail, each of them without a reply.
    """

    plan = PLAN

    def __init__(self):
        self.engine = SimpleNamespace(ending="", require_reply=self.require_reply)
        self.fault = None
        self.slow = {}
        self.answers_nothing = False

    def require_reply(self):
        if self.answers_nothing:
            raise EngineError("its server answers nothing")

    def generate(self, requests, on_batch):
        failures = {}
        for place, request in enumerate(requests):
            if request.key in self.slow:
                failures[place] = ServerError(self.slow[request.key])
                failures[place].is_unreachable = True
        if failures:
            on_batch({place: each.key for place, each in enumerate(requests) if place not in failures})
            raise_failures(failures, [request.key for request in requests])
        for place, request in enumerate(requests):
            if place and self.fault is not None:
                raise self.fault
            on_batch({place: request.key})

    losses = generate


@pytest.fixture
def asked():
    return FaultyEngine()


@pytest.fixture
def models(asked):
    made = ServedModels()
    made._engine = asked
    return made


def test_each_server_gets_a_batch_in_which_the_sides_take_turns(models):
    batches = models.prepare("answers", REQUESTS, 3)
    assert batches == [[0, 5, 1, 6], [2, 7, 3, 8], [4, 9]]
    assert models.answer(batches[0]) == ({0: "a0", 5: "b0", 1: "a1", 6: "b1"}, {})
    assert models.steps == 4


@pytest.mark.parametrize(("concurrency", "largest"), [(1, 8), (8, 64), (100, 800), (1000, 1500)])
def test_a_batch_is_some_rounds_of_what_a_server_is_sent_at_a_time(models, asked, concurrency, largest):
    """So that a server has as much to do as it was said to take."""
    asked.plan = replace(PLAN, server=ServerUse(concurrency=concurrency))
    many = models.prepare("answers", REQUESTS * 300, 2)
    assert max(map(len, many)) == largest
    assert sorted(row for batch in many for row in batch) == list(range(3000))


@pytest.mark.parametrize(
    ("fault", "found", "failures"),
    [
        (CasesFailedError({1: "b0: too long"}), {0: "a0"}, {5: "b0: too long"}),
        (EngineError("no adapter"), {0: "a0"}, {5: "no adapter", 1: "no adapter"}),
        (TextsUnmeasuredError({1: "no echo"}), {0: "a0", 5: UnmeasuredText("no echo")}, {}),
        (
            TextsUnmeasuredError({1: "no echo"}, {2: "a1: no reply"}),
            {0: "a0", 5: UnmeasuredText("no echo")},
            {1: "a1: no reply"},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_fails_is_told_by_request(models, asked, fault, found, failures):
    models.prepare("losses", REQUESTS, 1)
    asked.fault = fault
    assert models.answer([0, 5, 1]) == (found, failures)


@pytest.mark.parametrize("kind", [AllFailedError, UnreachableError])
def test_divergences_beside_texts_that_all_failed_are_not_measured(models, asked, kind):
    """Other nodes may measure the texts; no server is asked for a divergence."""

    def losses(requests, on_batch):
        raise kind("a1: no reply", {2: "a1: no reply"})

    models.prepare("losses", REQUESTS, 1)
    asked.losses = losses
    found, failures = models.answer([0, 5, 1])
    assert found == dict.fromkeys((0, 5), UnmeasuredText(NO_DIVERGENCE))
    assert failures == {1: "a1: no reply"}


@pytest.mark.parametrize("batch", [[5], [5, 1], [0, 5, 1]])
def test_slow_requests_fail_each_for_its_own_reason(models, asked, batch):
    """Also where they are all of a batch, which is no session: the server answers others."""
    models.prepare("answers", REQUESTS, 1)
    asked.slow = {"b0": "no reply within 1 s", "a1": "no reply within 2 s"}
    reasons = {5: "b0: no reply within 1 s", 1: "a1: no reply within 2 s"}
    found, failures = models.answer(batch)
    assert found == {row: "a0" for row in batch if row == 0}
    assert failures == {row: reasons[row] for row in batch if row}


@pytest.mark.parametrize("batch", [[5], [0, 5, 1]])
def test_a_server_that_answers_nothing_is_no_fault_of_the_requests(models, asked, batch):
    """Its process goes on; its node is lost, and the batch goes to others."""
    models.prepare("answers", REQUESTS, 1)
    asked.slow, asked.answers_nothing = {"b0": "no reply", "a1": "no reply"}, True
    with pytest.raises(EngineError, match="its server answers nothing"):
        models.answer(batch)


def test_what_ends_the_session_is_raised(models, asked):
    models.prepare("answers", REQUESTS, 1)
    asked.fault = ModelError("other weights answered than before")
    with pytest.raises(ModelError, match="other weights"):
        models.answer([0, 1])


def test_a_server_that_has_ended_is_no_fault_of_the_requests(models, asked):
    models.prepare("answers", REQUESTS, 1)
    asked.fault = ModelError("is the server running?")
    asked.engine.ending = "vllm serve ended with status 137"
    with pytest.raises(EngineError, match="ended with status 137"):
        models.answer([0, 1])


def test_texts_without_losses_are_told_at_the_end():
    found = {}

    def measure():
        with unmeasured_apart(found.update) as split:
            split({3: UnmeasuredText("no echo"), 2: "loss"})
            split({1: "loss"})

    with pytest.raises(TextsUnmeasuredError) as raised:
        measure()
    assert raised.value.reasons == {3: "no echo"}
    assert found == {1: "loss", 2: "loss"}


@pytest.mark.parametrize("unmeasured", [{}, {3: UnmeasuredText("no echo")}])
def test_texts_that_failed_hide_none_without_losses(unmeasured):
    def measure():
        with unmeasured_apart(lambda _: None) as split:
            split(unmeasured)
            raise CasesFailedError({4: "t/4: no reply"})

    with pytest.raises(TextsUnmeasuredError if unmeasured else CasesFailedError) as raised:
        measure()
    assert raised.value.failures == {4: "t/4: no reply"}


def test_the_use_of_all_servers_is_added_up():
    one = ServerUse(requests=3, retried=1, prompt_tokens=5, completion_tokens=7, cost=0.25, reported=("b",))
    two = ServerUse(requests=4, prompt_tokens=50, cost=0.5, reported=("a", "b"), unmeasured="no echo")
    total = with_uses(PLAN, [one, two]).server
    assert (total.requests, total.retried, total.prompt_tokens, total.completion_tokens) == (7, 1, 55, 7)
    assert (total.cost, total.reported, total.unmeasured) == (0.75, ("a", "b"), "no echo")
    assert with_uses(PLAN, []) == PLAN
