"""General text at which a model fails: told of a whole session with looks, and by what can be done."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.baselines.target import model_target
from harness.errors import AllFailedError, CasesFailedError, EngineError, InputError, NoneAnsweredError
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.looks import run_looks
from harness.run.scoring import Judging
from harness.run.workload import load_passages
from harness.types import Check, ServerUse

PASSAGES = [*load_passages()]


@pytest.mark.parametrize(("kind", "told"), [(NoneAnsweredError, InputError), (AllFailedError, EngineError)])
def test_text_that_no_model_here_measures_ends_a_session_by_what_can_be_done(
    models, plan, case_of, engine_class, kind, told
):
    """Memory that ran out for all texts was told as a fault of tunegate's."""

    class FullEngine(engine_class):
        def losses(self, requests, on_batch):
            why = "no memory: smaller batches"
            raise kind(why, dict.fromkeys(range(len(requests)), why))

    sides = {"candidate": models["candidate"]}
    with Cache(None) as cache, pytest.raises(told, match="smaller batches"):
        answer_cases(
            sides,
            plan,
            [case_of("a")],
            cache,
            lambda *_: None,
            with_text=True,
            open_engine=lambda *_: FullEngine(),
        )


def test_text_that_got_no_loss_at_a_look_is_told_of_the_whole_session(
    inputs_of, models, golden_set, case_of, opened, monkeypatch, plan
):
    """Beside what the engine, which all looks share, says of itself."""
    opened.plan = replace(plan, engine="openai", server=ServerUse(notes=("of the engine",)))
    whole = opened.losses

    def losses(requests, on_batch):
        missed = {n: f"{one.key}: no reply" for n, one in enumerate(requests) if one.key == PASSAGES[0]}
        good = [n for n in range(len(requests)) if n not in missed]
        whole(
            [requests[n] for n in good], lambda batch: on_batch({good[n]: each for n, each in batch.items()})
        )
        raise CasesFailedError(missed)

    monkeypatch.setattr(opened, "losses", losses)
    kinds = {"openai": SimpleNamespace(measures_text=True)}
    monkeypatch.setattr("harness.run.session.engine_kinds", lambda: kinds)
    check = Check(type="contains", value="s/")
    cases = tuple(case_of(f"{number:03}", checks=(check,)) for number in range(400))
    golden_set = replace(golden_set, cases=cases, probes_forgetting=True)
    inputs = inputs_of(model_target(models["baseline"]), looks=5, forgetting=True)
    with Cache(None) as cache:
        session = run_looks(
            replace(inputs, plan=opened.plan),
            [golden_set],
            cache,
            lambda *_: None,
            Judging(),
            collected=len(cases),
            only={"candidate": {case.key for case in cases}},
        )
    assert 0 < len(session.results["candidate"]) < len(cases)
    told = (
        f"general text: 1 of {len(PASSAGES)} passages got no loss and are left out ({PASSAGES[0]}: no reply)"
    )
    assert {each.plan.server.notes for each in session.answers.values()} == {("of the engine", told)}
