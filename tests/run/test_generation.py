"""Answers come from the cache, else from the engine batch by batch, and are assembled by side."""

from dataclasses import replace

import pytest

from harness.errors import CasesFailedError
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.workload import load_passages
from harness.types import Check


@pytest.fixture
def cache():
    with Cache(None) as opened:
        yield opened


@pytest.fixture
def answered(models, plan, cache):
    """Answers cases with an engine, on the candidate and the baseline."""

    def answer(cases, engine, sides=("candidate", "baseline"), *, chosen=plan, **rest):
        opened = []

        def open_engine(opening, wanted):
            opened.append((tuple(opening), wanted.mixed))
            engine.plan = wanted
            return engine

        some = {side: models[side] for side in sides}
        answers = answer_cases(
            some,
            chosen,
            cases,
            cache,
            rest.pop("on_progress", lambda *_: None),
            open_engine=open_engine,
            **rest,
        )
        return answers, opened

    return answer


def test_answers_are_assembled_by_side_and_key(answered, case_of, engine_class):
    answers, opened = answered([case_of("a", repeat=2), case_of("b")], engine_class())
    texts = {side: {k: c.text for k, c in given.completions.items()} for side, given in answers.items()}
    assert texts == {
        side: {"s/a": f"{side} s/a 0", "s/a#2": f"{side} s/a#2 1", "s/b": f"{side} s/b 0"}
        for side in ("candidate", "baseline")
    }
    assert opened == [(("candidate", "baseline"), True)]


def test_losses_are_assembled_by_what_they_are_of(answered, case_of, engine_class):
    case = case_of("a", references=("x", "yyy"), checks=(Check(type="perplexity"),))
    engine = engine_class()
    answers, _ = answered([case], engine, ("candidate", "baseline", "base"), with_text=True)
    candidate = answers["candidate"]
    assert [loss.nats_per_token for loss in candidate.reference_losses["s/a"]] == [1.0, 3.0]
    passages = list(load_passages())
    assert [loss.passage for loss in candidate.text_losses] == passages
    prose = [name for name in passages if "/" not in name]
    assert {other: [loss.passage for loss in found] for other, found in candidate.divergences.items()} == {
        "baseline": prose,
        "base": prose,
    }
    assert answers["base"].divergences == answers["baseline"].divergences == {}
    assert {len(given.text_losses) for given in answers.values()} == {len(passages)}


def test_only_the_models_of_missing_answers_are_loaded(answered, case_of, engine_class):
    """One model alone shares its batches with none: the plan of its answers says so."""
    answered([case_of("a")], engine_class(), ("baseline",))
    engine = engine_class()
    answers, opened = answered([case_of("a")], engine)
    assert opened == [(("candidate",), False)]
    assert engine.asked == [("candidate", "s/a")]
    assert answers["candidate"].plan.mixed is False
    _, opened = answered([case_of("a")], engine_class())
    assert opened == []


def test_a_crash_loses_one_batch(answered, case_of, engine_class):
    cases = [case_of(name) for name in "abcde"]
    with pytest.raises(MemoryError):
        answered(cases, engine_class(breaks_after=4), ("candidate",))
    engine = engine_class()
    answered(cases, engine, ("candidate",))
    assert engine.asked == [("candidate", "s/e")]


def test_answers_are_handed_over_as_they_come_the_stored_ones_first(answered, case_of, engine_class):
    answered([case_of("b")], engine_class(), ("candidate",))
    seen = []
    answered(
        [case_of(name) for name in "abc"],
        engine_class(),
        ("candidate",),
        on_answers=lambda side, given: seen.append((side, sorted(given))),
    )
    assert seen == [("candidate", ["s/b"]), ("candidate", ["s/a", "s/c"])]


def test_progress_counts_the_stored_answers_too(answered, case_of, engine_class):
    answered([case_of("a")], engine_class(), ("candidate",))
    seen = []
    answered(
        [case_of(name) for name in "abcd"],
        engine_class(),
        ("candidate",),
        on_progress=lambda *stage: seen.append(stage),
    )
    assert seen == [
        ("loading", 0, 1),
        ("loading", 1, 1),
        ("answering", 1, 4),
        ("answering", 3, 4),
        ("answering", 4, 4),
    ]


def test_merged_weights_are_not_asked_whether_their_adapter_is_alive(answered, case_of, plan, engine_class):
    """They can't be separated from it; unmerged weights are asked once, and the finding is stored."""

    class Dead(engine_class):
        def largest_logit_change(self, side):
            raise AssertionError("asked")

    answered([case_of("a")], Dead(), ("candidate",), chosen=replace(plan, weights="merged"))
    with pytest.raises(AssertionError, match="asked"):
        answered([case_of("b")], Dead(), ("candidate",))
    answered([case_of("b")], engine_class(), ("candidate",))
    answered([case_of("c")], Dead(), ("candidate",))


def test_a_case_that_the_model_fails_on_alone_is_noted_and_the_others_answered(
    answered, case_of, engine_class
):
    """One bad case is errored, not the run; nothing is stored of it."""

    class Picky(engine_class):
        def generate(self, requests, on_batch):
            bad = [place for place, request in enumerate(requests) if request.key == "s/bad"]
            good = [request for request in requests if request.key != "s/bad"]
            places = [place for place, request in enumerate(requests) if request.key != "s/bad"]
            super().generate(good, lambda batch: on_batch({places[i]: done for i, done in batch.items()}))
            if bad:
                raise CasesFailedError({place: f"{requests[place].key}: too odd" for place in bad})

    answers, _ = answered([case_of("a"), case_of("bad")], Picky())
    for side in ("candidate", "baseline"):
        assert list(answers[side].completions) == ["s/a"]
        assert answers[side].failures == {"s/bad": "s/bad: too odd"}
    again = Picky()
    answered([case_of("a"), case_of("bad")], again)
    assert again.asked == []
