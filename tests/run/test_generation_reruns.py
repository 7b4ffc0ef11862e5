"""What is computed again where all answers are stored, of losses that a server refused or failed to give."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.errors import (
    AllFailedError,
    CasesFailedError,
    NoneAnsweredError,
    SettingsError,
    TextsUnmeasuredError,
)
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.looks import _answered_sides
from harness.run.workload import load_passages
from harness.types import Check, ServerUse, Turn


@pytest.fixture
def cache():
    with Cache(None) as opened:
        yield opened


@pytest.fixture
def served(plan):
    return replace(plan, engine="openai", server=ServerUse())


@pytest.fixture
def answered(models, served, cache):
    """Answers cases on both sides by an engine, or what opening it raises; says how often it was opened."""

    def answer(cases, engine, *, plan=served, with_text=True):
        opened = []

        def open_engine(opening, wanted):
            opened.append(opening)
            if isinstance(engine, Exception):
                raise engine
            engine.plan = wanted
            return engine

        sides = {side: models[side] for side in ("candidate", "baseline")}
        given = {"with_text": with_text, "open_engine": open_engine}
        found = answer_cases(sides, plan, cases, cache, lambda *_: None, **given)
        return found["candidate"], len(opened)

    return answer


@pytest.fixture
def refusing(engine_class):
    """Makes an engine that gives no losses on some texts, and fails at others."""

    def make(is_refused, fails=lambda request: False):
        class RefusingEngine(engine_class):
            def losses(self, requests, on_batch):
                failures = {n: "no reply" for n, one in enumerate(requests) if fails(one)}
                reasons = {n: f"no echo of {one.key}" for n, one in enumerate(requests) if is_refused(one)}
                some = [n for n in range(len(requests)) if n not in {*failures, *reasons}]
                super().losses(
                    [requests[n] for n in some],
                    lambda batch: on_batch({some[n]: loss for n, loss in batch.items()}),
                )
                if reasons:
                    raise TextsUnmeasuredError(reasons, failures)

        return RefusingEngine()

    return make


@pytest.fixture
def scored(case_of):
    return case_of("a", references=("x",), checks=(Check(type="perplexity"),))


def test_refused_losses_are_asked_for_again_with_an_answer_alone(
    answered, refusing, engine_class, case_of, scored
):
    for engine, times in ((refusing(lambda request: True), 1), (SettingsError("no key"), 0)):
        answers, opened = answered([scored], engine)
        assert opened == times
        assert (answers.unmeasured, answers.text_losses) == ({"s/a": "no echo of s/a"}, ())
        assert answers.plan.server == ServerUse(unmeasured="no echo of s/a")
    # The server may give them now.
    for engine, times in ((engine_class(), 1), (SettingsError("no key"), 0)):
        answers, opened = answered([scored, case_of("new")], engine)
        assert opened == times
        assert (answers.unmeasured, list(answers.reference_losses)) == ({}, ["s/a"])
        assert len(answers.text_losses) == len(load_passages())
        assert answers.plan.server == ServerUse()


def test_a_later_turn_may_be_missing_alone(answered, refusing, case_of):
    """What was refused stays told."""
    turns = case_of("a", turns=(Turn(content="a"), Turn(content="more")))
    engine = refusing(lambda request: True)
    answered([case_of("a")], engine)
    answers, opened = answered([turns], engine)
    assert opened == 1
    assert answers.completions["s/a"].earlier
    assert answers.plan.server.unmeasured == f"no echo of {next(iter(load_passages()))}"


def test_divergences_that_no_server_gives_start_none(answered, refusing, scored):
    for engine, times in ((refusing(lambda request: request.against is not None), 1), (SettingsError(""), 0)):
        answers, opened = answered([scored], engine)
        assert opened == times
        assert len(answers.text_losses) == len(load_passages())
        assert list(answers.reference_losses) == ["s/a"]
        assert answers.plan.server == ServerUse()


def test_a_refusal_to_who_got_no_answer_is_not_kept(answered, refusing, engine_class, case_of):
    """It may be the key's."""
    answered([case_of("a")], engine_class(), with_text=False)
    answers, _ = answered([case_of("a")], refusing(lambda request: True))
    assert answers.text_losses == ()
    answers, _ = answered([case_of("a")], engine_class())
    assert len(answers.text_losses) == len(load_passages())


@pytest.fixture(params=["closed", "gone"])
def nowhere(request, engine_class):
    """A server without a key, or one that is gone, and how that is told."""

    class GoneEngine(engine_class):
        def losses(self, requests, on_batch):
            raise NoneAnsweredError("no reply", dict.fromkeys(range(len(requests)), "no reply"))

    return (SettingsError("no key"), "no key") if request.param == "closed" else (GoneEngine(), "no reply")


def test_general_text_needs_no_server_where_all_answers_are_stored(
    answered, refusing, nowhere, engine_class, scored
):
    """It failed at general text before, and refused the text of a case."""
    engine, said = nowhere
    answered([scored], refusing(lambda one: bool(one.messages), lambda one: not one.messages))
    answers, _ = answered([scored], engine)
    assert (answers.unmeasured, answers.loss_failures) == ({"s/a": "no echo of s/a"}, {})
    passages = len(load_passages())
    note = f"general text: {passages} of {passages} passages got no loss and are left out ({said})"
    assert answers.plan.server == ServerUse(unmeasured="no echo of s/a", notes=(note,))
    answers, _ = answered([scored], engine_class())
    assert len(answers.text_losses) == passages


def test_what_a_case_needs_and_nobody_refused_needs_the_server(
    answered, nowhere, engine_class, case_of, scored
):
    answered([case_of("a")], engine_class())
    with pytest.raises((SettingsError, NoneAnsweredError), match=r"^no (key|reply)$"):
        answered([scored], nowhere[0])
    with pytest.raises(SettingsError, match=r"^no key$"):
        answered([case_of("new")], SettingsError("no key"))


def test_a_model_of_this_machine_that_can_not_be_opened_is_told(answered, engine_class, plan, case_of):
    answered([case_of("a")], engine_class(), plan=plan, with_text=False)
    with pytest.raises(SettingsError, match=r"^no torch$"):
        answered([case_of("a")], SettingsError("no torch"), plan=plan)


def test_a_side_whose_question_failed_again_computed_nothing(answered, engine_class, case_of):
    """At a later look it has not answered in this session either."""

    class Picky(engine_class):
        def generate(self, requests, on_batch):
            good = [n for n, one in enumerate(requests) if one.key != "s/bad"]
            super().generate(
                [requests[n] for n in good],
                lambda batch: on_batch({good[n]: found for n, found in batch.items()}),
            )
            bad = {n: "too long" for n in range(len(requests)) if n not in good}
            if bad:
                raise CasesFailedError(bad) if good else AllFailedError("too long", bad)

    for computed in (True, False):
        answers, _ = answered([case_of("a"), case_of("bad")], Picky())
        assert (list(answers.completions), list(answers.failures)) == (["s/a"], ["s/bad"])
        assert answers.computed is computed
        assert _answered_sides(SimpleNamespace(answers={"candidate": answers})) == {"candidate": computed}
