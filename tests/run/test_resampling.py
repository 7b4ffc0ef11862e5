"""Fresh answers have seeds of their own, and are counted case by case on both sides."""

import pytest

from harness.baselines.target import model_target
from harness.run.cache import Cache
from harness.run.resampling import resample
from harness.run.scoring import Judging
from harness.run.session import run_session


@pytest.fixture
def session(inputs_of, models, golden_set, opened):
    with Cache(None) as cache:
        session = run_session(
            inputs_of(model_target(models["baseline"])), [golden_set], cache, lambda *_: None
        )
    opened.asked.clear()
    return session


@pytest.fixture
def cache():
    with Cache(None) as opened:
        yield opened


def test_each_case_is_answered_so_often_on_both_sides(session, opened, cache):
    opened.wrong = {("candidate", "s/03"), ("candidate", "s/03#2"), ("baseline", "s/07#3")}
    found = resample(session, {"s/03", "s/07"}, 3, cache, lambda *_: None, Judging())
    assert sorted(opened.asked) == [
        (side, f"s/{case}{more}")
        for side in ("baseline", "candidate")
        for case in ("03", "07")
        for more in ("", "#2", "#3")
    ]
    counted = {
        key: (t.baseline_passed, t.baseline, t.candidate_passed, t.candidate)
        for key, t in found.trials.items()
    }
    assert counted == {"s/03": (3, 3, 1, 3), "s/07": (2, 3, 3, 3)}
    assert (found.times, found.judge_requests) == (3, 0)


def test_its_seeds_are_none_of_the_first_answers(session, opened, cache):
    seeds = set()
    text = opened.text
    opened.text = lambda request: seeds.add(request.settings.seed) or text(request)
    resample(session, {"s/03"}, 2, cache, lambda *_: None, Judging())
    assert seeds == {100_000, 100_001}


def test_fresh_answers_are_stored_too(session, opened, cache):
    first = resample(session, {"s/03"}, 2, cache, lambda *_: None, Judging())
    asked = len(opened.asked)
    second = resample(session, {"s/03"}, 2, cache, lambda *_: None, Judging())
    assert len(opened.asked) == asked
    assert first.trials == second.trials


def test_its_progress_says_what_it_is_for(session, cache):
    stages = []
    resample(session, {"s/03"}, 1, cache, lambda *stage: stages.append(stage[0]), Judging())
    assert {stage for stage in stages if stage.startswith("confirming: ")} >= {"confirming: answering"}
