"""Each kind of comparison target says what there is to compare with, and what has to answer for it."""

from dataclasses import replace

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
from harness.errors import BaselineError


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


OFF = {"enable_thinking": False}


@pytest.mark.parametrize("kind", ["run", "accepted"])
def test_answers_to_other_values_of_the_chat_template_are_refused_before_a_model_is_asked(targets, run, kind):
    cases = [result.case for result in run.results]
    targets[kind].require_asked_alike(cases, {})
    told = (
        'was asked with chat_template_kwargs {}, not {"enable_thinking": false}: 10 cases, such as s/0, can'
    )
    with pytest.raises(BaselineError, match=told):
        targets[kind].require_asked_alike(cases, OFF)
    # A case's own values win, then and now.
    own = [
        replace(case, generation=replace(case.generation, chat_template_kwargs={"enable_thinking": True}))
        for case in cases
    ]
    targets[kind].require_asked_alike(own, OFF)


def test_what_answers_now_or_says_no_values_is_not_refused(targets, run):
    cases = [result.case for result in run.results]
    targets["none"].require_asked_alike(cases, OFF)
    targets["model"].require_asked_alike(cases, OFF)
    run_target(replace(run, plan=replace(run.plan, batch_tokens=0))).require_asked_alike(cases, OFF)
