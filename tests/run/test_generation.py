"""Answers come from the cache, else from the engine batch by batch, and are assembled by side."""

from dataclasses import replace

import pytest

from harness.errors import (
    AdapterError,
    AllFailedError,
    CasesFailedError,
    EngineError,
    NoneAnsweredError,
    TextsUnmeasuredError,
)
from harness.run.workload import load_passages
from harness.types import Check, ServerUse, TextLoss, Turn


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
    """They can't be separated from it."""

    class DeadEngine(engine_class):
        def largest_logit_change(self, side):
            raise AssertionError("asked")

    answered([case_of("a")], DeadEngine(), ("candidate",), chosen=replace(plan, weights="merged"))
    with pytest.raises(AssertionError, match="asked"):
        answered([case_of("b")], DeadEngine(), ("candidate",))


def test_an_adapter_that_a_later_plan_makes_ineffective_is_refused(answered, case_of, plan, engine_class):
    """What was alive in float32 may round to nothing, or another release of a library may not apply it."""

    class RoundingEngine(engine_class):
        def largest_logit_change(self, side):
            return 0.0 if self.plan.dtype == "bfloat16" else 1.0

    answered([case_of("a")], RoundingEngine(), ("candidate",))
    low = replace(plan, dtype="bfloat16")
    with pytest.raises(AdapterError, match=r"^new: the adapter loads but changes no logit"):
        answered([case_of("a")], RoundingEngine(), ("candidate",), chosen=low)
    with pytest.raises(AdapterError):
        answered([case_of("b")], RoundingEngine(), ("candidate",), chosen=low)


def test_a_case_that_the_model_fails_on_alone_is_noted_and_the_others_answered(
    answered, case_of, engine_class
):
    """One bad case is errored, not the run; nothing is stored of it."""

    class PickyEngine(engine_class):
        def generate(self, requests, on_batch):
            bad = [place for place, request in enumerate(requests) if request.key == "s/bad"]
            good = [request for request in requests if request.key != "s/bad"]
            places = [place for place, request in enumerate(requests) if request.key != "s/bad"]
            super().generate(good, lambda batch: on_batch({places[i]: done for i, done in batch.items()}))
            if bad:
                raise CasesFailedError({place: f"{requests[place].key}: too odd" for place in bad})

    answers, _ = answered([case_of("a"), case_of("bad")], PickyEngine())
    for side in ("candidate", "baseline"):
        assert list(answers[side].completions) == ["s/a"]
        assert answers[side].failures == {"s/bad": "s/bad: too odd"}
    again = PickyEngine()
    answered([case_of("a"), case_of("bad")], again)
    assert again.asked == []


@pytest.mark.parametrize("failing", ["x", "general"])
def test_texts_that_fail_and_texts_that_are_not_measured_are_told_apart(
    answered, case_of, engine_class, failing
):
    """A failure on general text, which all cases share, ends the run as ever."""

    class HalfEngine(engine_class):
        def losses(self, requests, on_batch):
            bad = {place for place, request in enumerate(requests) if request.text == "x"}
            general = {place for place, request in enumerate(requests) if not request.messages}
            failures = dict.fromkeys(bad if failing == "x" else general, "too odd")
            none = {place for place, request in enumerate(requests) if request.text == "yyy"} | general | bad
            some = {place: request for place, request in enumerate(requests) if place not in none}
            on_batch({place: TextLoss(passage="", nats_per_token=1.0, tokens=1) for place in some})
            raise TextsUnmeasuredError(dict.fromkeys(none - {*failures}, "no echo"), failures)

    cases = [
        case_of(text, references=(text,), checks=(Check(type="perplexity"),)) for text in ("x", "yyy", "good")
    ]
    if failing == "general":
        with pytest.raises(EngineError, match=r"^too odd$"):
            answered(cases, HalfEngine(), with_text=True)
        return
    answers, _ = answered(cases, HalfEngine(), with_text=True)
    for side in ("candidate", "baseline"):
        assert answers[side].loss_failures == {"s/x": "too odd"}
        assert answers[side].unmeasured == {"s/yyy": "no echo"}
        assert list(answers[side].reference_losses) == ["s/good"]
        assert answers[side].text_losses == ()


@pytest.mark.parametrize("missed", [1, 999])
def test_general_text_at_which_a_server_fails_is_left_out_and_told(
    answered, case_of, engine_class, plan, missed
):
    """A request may time out; the answers would be lost with it."""

    class BusyServer(engine_class):
        def losses(self, requests, on_batch):
            failures = {place: f"{one.key}: no reply" for place, one in enumerate(requests[:missed])}
            on_batch(
                {
                    place: TextLoss(passage=request.key, nats_per_token=1.0, tokens=1)
                    for place, request in enumerate(requests)
                    if place not in failures
                }
            )
            raise CasesFailedError(failures) if missed == 1 else AllFailedError("no reply", failures)

    served = replace(plan, engine="openai", server=ServerUse(notes=("another",)))
    answers, _ = answered([case_of("a")], BusyServer(), ("candidate",), chosen=served, with_text=True)
    passages = [*load_passages()]
    assert [loss.passage for loss in answers["candidate"].text_losses] == passages[missed:]
    share = f"{min(missed, len(passages))} of {len(passages)} passages"
    assert answers["candidate"].plan.server.notes == (
        "another",
        f"general text: {share} got no loss and are left out ({passages[0]}: no reply)",
    )
    assert list(answers["candidate"].completions) == ["s/a"]


def test_general_text_that_both_sides_lack_is_one_passage(answered, case_of, engine_class, plan):
    class BusyServer(engine_class):
        def losses(self, requests, on_batch):
            missed = {place: "no reply" for place, one in enumerate(requests) if one.key == first}
            some = {place: request for place, request in enumerate(requests) if place not in missed}
            on_batch({n: TextLoss(passage=one.key, nats_per_token=1.0, tokens=1) for n, one in some.items()})
            raise CasesFailedError(missed)

    first, *others = load_passages()
    served = replace(plan, engine="openai", server=ServerUse())
    answers, _ = answered([case_of("a")], BusyServer(), chosen=served, with_text=True)
    (note,) = answers["candidate"].plan.server.notes
    assert note.startswith(f"general text: 1 of {1 + len(others)} passages got no loss")


class _Silent:
    """An engine that fails on all requests of some keys, as a whole where there are no others."""

    error = AllFailedError

    def __init__(self, *keys):
        super().__init__()
        self.keys = keys

    def _asked(self, compute, requests, on_batch):
        bad = {place: f"{one.key}: no reply" for place, one in enumerate(requests) if one.key in self.keys}
        good = [place for place in range(len(requests)) if place not in bad]
        if good:
            compute(
                [requests[place] for place in good],
                lambda batch: on_batch({good[place]: found for place, found in batch.items()}),
            )
        if bad:
            raise CasesFailedError(bad) if good else self.error("no reply", bad)

    def generate(self, requests, on_batch):
        self._asked(super().generate, requests, on_batch)

    def losses(self, requests, on_batch):
        self._asked(super().losses, requests, on_batch)


@pytest.mark.parametrize("kind", [AllFailedError, NoneAnsweredError])
def test_what_was_answered_outlasts_a_model_that_fails_on_all_that_is_missing(
    answered, case_of, engine_class, kind
):
    """A rerun asks only for the one case on which the model fails each time."""

    class Engine(_Silent, engine_class):
        error = kind

    cases = [case_of("a"), case_of("bad")]
    for _ in range(2):
        answers, _ = answered(cases, Engine("s/bad"))
        for side in ("candidate", "baseline"):
            assert list(answers[side].completions) == ["s/a"]
            assert answers[side].failures == {"s/bad": "s/bad: no reply"}
    with pytest.raises(kind, match=r"^no reply$"):
        answered([case_of("bad")], Engine("s/bad"))
    # Where an earlier part of the session was answered, this one is not the whole.
    both = {"candidate": True, "baseline": False}
    answers, _ = answered([case_of("bad")], Engine("s/bad"), answered=both)
    assert answers["candidate"].failures == {"s/bad": "s/bad: no reply"}
    with pytest.raises(kind, match=r"^no reply$"):
        answered([case_of("bad")], Engine("s/bad"), answered={"candidate": True})


def test_a_server_that_is_not_there_is_told_unless_it_has_answered_in_this_session(
    answered, case_of, engine_class, plan
):
    """Stored answers are not lost with it; those of nobody's weights are stored nowhere."""

    class Engine(_Silent, engine_class):
        error = NoneAnsweredError

    served = replace(plan, engine="openai", server=ServerUse())
    cases = [case_of("a"), case_of("bad")]
    answered(cases, Engine("s/bad"), chosen=served)
    with pytest.raises(NoneAnsweredError, match=r"^no reply$"):
        answered(cases, Engine("s/bad"), chosen=served)
    with pytest.raises(NoneAnsweredError, match=r"^no reply$"):
        answered(cases, Engine("s/bad"), chosen=served, answered={"candidate": True, "baseline": False})
    answers, _ = answered(
        cases, Engine("s/bad"), chosen=served, answered={"candidate": True, "baseline": True}
    )
    assert answers["baseline"].failures == {"s/bad": "s/bad: no reply"}
    turns = [case_of("new", turns=(Turn(content="a"), Turn(content="more"))), case_of("a")]
    text = case_of("text", references=("x",), checks=(Check(type="perplexity"),))

    class GoneEngine(engine_class):
        def losses(self, requests, on_batch):
            raise NoneAnsweredError("gone", dict.fromkeys(range(len(requests)), "gone"))

    answers, _ = answered([*turns, text], GoneEngine(), chosen=served)
    assert answers["candidate"].loss_failures == {"s/text": "gone"}


@pytest.mark.parametrize("kind", [AllFailedError, NoneAnsweredError])
def test_answers_outlast_a_model_that_fails_on_all_texts_of_cases(answered, case_of, engine_class, kind):
    class Engine(_Silent, engine_class):
        error = kind

        def generate(self, requests, on_batch):
            engine_class.generate(self, requests, on_batch)

    case = case_of("a", references=("x",), checks=(Check(type="perplexity"),))
    answers, _ = answered([case], Engine("s/a"))
    for side in ("candidate", "baseline"):
        assert list(answers[side].completions) == ["s/a"]
        assert answers[side].loss_failures == {"s/a": "s/a: no reply"}


def test_an_engine_that_is_opened_anew_counts_on(answered, case_of, engine_class, plan):
    """The first turn is stored of one side, the second of none."""
    used = []

    class CountingEngine(engine_class):
        def generate(self, requests, on_batch):
            super().generate(requests, on_batch)
            used.append(len(requests))
            self.plan = replace(self.plan, server=replace(self.plan.server, requests=len(requests)))

    served = replace(plan, engine="openai", server=ServerUse())
    turns = case_of("a", turns=(Turn(content="a"), Turn(content="more")))
    answered([case_of("a")], CountingEngine(), ("candidate",), chosen=served)
    used.clear()
    answers, opened = answered([turns], CountingEngine(), chosen=served)
    assert len(opened) == 2
    assert answers["candidate"].plan.server.requests == sum(used)
