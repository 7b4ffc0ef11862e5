"""What a session keeps where nothing can be asked any more, of one side or of all."""

from dataclasses import replace

import pytest

from harness.engines.served.describe import UnreachableError
from harness.errors import AllFailedError, CasesFailedError, NoneAnsweredError
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.types import Check, ServerUse

GONE = "http://h/v1: connection failed"
BOTH = {"candidate": True, "baseline": True}


@pytest.fixture
def answered(models, plan):
    """Answers cases by a server, without general text."""

    def answer(cases, open_engine, *, engine="openai", **rest):
        served = replace(plan, engine=engine, server=ServerUse())
        sides = {side: models[side] for side in ("candidate", "baseline")}
        with Cache(None) as cache:
            return answer_cases(sides, served, cases, cache, lambda *_: None, open_engine=open_engine, **rest)

    return answer


def failing(error):
    def open_engine(sides, plan):
        raise error

    return open_engine


@pytest.mark.parametrize(
    "error", [UnreachableError(GONE, {}), AllFailedError(GONE, {})], ids=["gone", "broken"]
)
@pytest.mark.parametrize("before", [BOTH, {"candidate": True}])
def test_a_server_that_has_gone_since_the_look_before_takes_none_of_its_answers(
    answered, case_of, error, before
):
    """The engine is opened anew, since adapters are unloaded after each look."""
    text = case_of("b", references=("x",), checks=(Check(type="perplexity"),))
    answers = answered([case_of("a"), text], failing(error), answered=before)
    for side in ("candidate", "baseline"):
        assert set(answers[side].failures) == {"s/a", "s/b"}
        assert all(GONE in reason for reason in answers[side].failures.values())
        assert set(answers[side].loss_failures) == {"s/b"}


@pytest.mark.parametrize("error", [UnreachableError(GONE, {}), NoneAnsweredError(GONE, {})])
def test_a_server_that_was_never_there_is_told_at_once(answered, case_of, error):
    for before in ({}, {"candidate": False, "baseline": False}):
        with pytest.raises(NoneAnsweredError, match=GONE):
            answered([case_of("a")], failing(error), answered=before)


def test_a_model_of_this_machine_is_loaded_anew_by_the_next_session(answered, case_of):
    error = AllFailedError("no memory", {})
    with pytest.raises(AllFailedError, match="no memory"):
        answered([case_of("a")], failing(error), engine="fake", answered=BOTH)


@pytest.mark.parametrize("kind", [AllFailedError, NoneAnsweredError])
def test_a_side_without_answers_takes_none_of_the_other_one_s(answered, case_of, engine_class, kind):
    """The server dies between the two, and nothing gives the losses of texts."""

    class DyingEngine(engine_class):
        def generate(self, requests, on_batch):
            there = [request.side == "candidate" for request in requests]
            assert there == sorted(there, reverse=True)
            super().generate([request for request in requests if request.side == "candidate"], on_batch)
            raise CasesFailedError({place: "gone" for place, is_there in enumerate(there) if not is_there})

        def losses(self, requests, on_batch):
            raise kind("gone", dict.fromkeys(range(len(requests)), "gone"))

    def open_engine(sides, plan):
        opened = DyingEngine()
        opened.plan = plan
        return opened

    case = case_of("a", references=("x",), checks=(Check(type="perplexity"),))
    answers = answered([case, case_of("b")], open_engine)
    assert set(answers["candidate"].completions) == {"s/a", "s/b"}
    assert answers["baseline"].failures == {"s/a": "gone", "s/b": "gone"}
    for side in ("candidate", "baseline"):
        assert answers[side].loss_failures == {"s/a": "gone"}


def test_what_was_answered_before_nothing_more_could_be_asked_is_kept(answered, case_of, engine_class):
    """As of a cluster whose last node is lost in the middle of a part."""

    class HalfEngine(engine_class):
        def generate(self, requests, on_batch):
            super().generate(requests[:2], on_batch)
            raise AllFailedError("no node is left", {})

    def open_engine(sides, plan):
        opened = HalfEngine()
        opened.plan = plan
        return opened

    answers = answered([case_of("a"), case_of("b")], open_engine, answered={"baseline": True})
    assert set(answers["candidate"].completions) == {"s/a", "s/b"}
    assert answers["baseline"].failures == dict.fromkeys(("s/a", "s/b"), "no node is left")
