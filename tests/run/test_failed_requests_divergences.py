"""What decides nothing may be missing: a divergence that can't be computed takes no answer and no verdict with it."""

import re

import pytest

from harness.errors import AllFailedError, CasesFailedError, EngineError
from harness.registry import Registry, use_registry
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.workload import load_passages
from harness.types import TextLoss

PROSE = [name for name in load_passages() if "/" not in name]


@pytest.fixture
def notes():
    """The notes of the session."""
    said = []
    before = use_registry(Registry(warn=said.append))
    yield said
    use_registry(before)


@pytest.fixture
def answered(models, plan, engine_class):
    """Answers one case on all sides, twice, with an engine that fails on some texts."""

    def answer(case, fails):
        class Engine(engine_class):
            def losses(self, requests, on_batch):
                bad = {place: f"{one.key}: no" for place, one in enumerate(requests) if fails(one)}
                good = [(place, one) for place, one in enumerate(requests) if place not in bad]
                on_batch({n: TextLoss(passage=one.key, nats_per_token=1.0, tokens=1) for n, one in good})
                if bad:
                    raise CasesFailedError(bad) if good else AllFailedError("no", bad)

        with Cache(None) as cache:
            for _ in range(2):
                found = answer_cases(
                    models,
                    plan,
                    [case],
                    cache,
                    lambda *_: None,
                    with_text=True,
                    open_engine=lambda *_: Engine(),
                )
        return found

    return answer


def test_a_divergence_that_fails_is_left_out_and_told(answered, case_of, notes):
    """In the second session nothing else is asked, so that all fails that is asked."""
    answers = answered(case_of("a"), lambda one: one.against == "baseline")
    candidate = answers["candidate"]
    assert list(candidate.completions) == ["s/a"]
    assert [loss.passage for loss in candidate.text_losses] == [*load_passages()]
    assert {other: [loss.passage for loss in found] for other, found in candidate.divergences.items()} == {
        "base": PROSE
    }
    assert notes == [f"general text: {len(PROSE)} of {len(PROSE)} passages have no KL ({PROSE[0]}: no)"]


def test_the_divergence_of_the_other_passages_is_kept(answered, case_of, notes):
    answers = answered(case_of("a"), lambda one: one.against is not None and one.key == PROSE[1])
    for found in answers["candidate"].divergences.values():
        assert [loss.passage for loss in found] == [PROSE[0], *PROSE[2:]]
    assert notes == [f"general text: 1 of {len(PROSE)} passages have no KL ({PROSE[1]}: no)"]


def test_a_text_that_the_verdict_needs_ends_the_session_as_ever(answered, case_of):
    with pytest.raises(EngineError, match=f"^{re.escape(PROSE[0])}: no$"):
        answered(case_of("a"), lambda one: one.against is None and one.key == PROSE[0])
