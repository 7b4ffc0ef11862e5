"""Each kind of comparison target says what there is to compare with, and what has to answer for it."""

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import load_baseline
from harness.baselines.target import (
    NO_TARGET,
    accepted_target,
    describe_target,
    model_target,
    run_target,
    stored_run,
)


@pytest.fixture
def run(make_run, make_result):
    return make_run([make_result(f"s/{n}", n < 8) for n in range(10)], run_id="r1")


@pytest.fixture
def targets(run, tmp_path):
    accepted = load_baseline(accept_run(run, "shipped", "first release", tmp_path))
    return {
        "none": NO_TARGET,
        "model": model_target(run.model),
        "run": run_target(run),
        "accepted": accepted_target(accepted),
    }


def test_only_a_model_answers_in_the_session(targets, run):
    live = {kind: target.live_model for kind, target in targets.items()}
    assert live == {"none": None, "model": run.model, "run": None, "accepted": None}
    stored = {kind: target.is_stored for kind, target in targets.items()}
    assert stored == {"none": False, "model": False, "run": True, "accepted": True}
    assert {kind: target.kind for kind, target in targets.items()} == {kind: kind for kind in targets}


def test_whose_answers_they_are_is_known_of_every_comparison(targets, run):
    models = {kind: target.model for kind, target in targets.items()}
    assert models == {"none": None, "model": run.model, "run": run.model, "accepted": run.model}


def test_a_stored_run_is_as_it_was_and_an_accepted_one_holds_the_cases_of_today(targets, run):
    cases = [result.case for result in run.results[:4]]
    assert stored_run(targets["none"], cases) is stored_run(targets["model"], cases) is None
    assert stored_run(targets["run"], cases) is run
    assert [result.key for result in stored_run(targets["accepted"], cases).results] == [
        "s/0",
        "s/1",
        "s/2",
        "s/3",
    ]


def test_each_is_named_in_a_few_words(targets):
    named = {kind: describe_target(target) for kind, target in targets.items()}
    day = targets["accepted"].accepted.accepted_at[:10]
    assert named == {
        "none": "no baseline",
        "model": "against adapter",
        "run": "against run r1",
        "accepted": f"against shipped, accepted {day}: first release",
    }
