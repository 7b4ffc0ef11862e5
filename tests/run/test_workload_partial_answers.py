"""What the cache stores of a workload, what is missing, and whose models that needs."""

from dataclasses import replace

import pytest

from harness.run.cache import Cache
from harness.run.workload import look_up, plan_workload, store_completions, store_losses
from harness.types import Completion, TextLoss

ANSWER = Completion(text="yes", stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.1)


@pytest.fixture
def cache():
    with Cache(None) as opened:
        yield opened


def test_nothing_is_there_at_first(models, case_of, plan, cache):
    workload = plan_workload(models, [case_of("a"), case_of("b")])
    found = look_up(workload, models, plan, cache)
    assert found.missing_answers == list(range(6))
    assert found.needed_sides == {"candidate", "baseline", "base"}


def test_what_was_stored_is_found_by_its_content(models, case_of, plan, cache):
    workload = plan_workload(models, [case_of("a"), case_of("b")])
    store_completions(look_up(workload, models, plan, cache), {0: ANSWER, 2: ANSWER, 3: ANSWER}, cache)
    found = look_up(workload, models, plan, cache)
    assert (found.completions, found.missing_answers) == ({0: ANSWER, 2: ANSWER, 3: ANSWER}, [1, 4, 5])
    assert found.needed_sides == {"candidate", "base"}
    retrained = {**models, "baseline": replace(models["baseline"], adapter_sha256="a3")}
    assert look_up(workload, retrained, plan, cache).missing_answers == [1, 2, 3, 4, 5]
    assert look_up(workload, models, replace(plan, dtype="bfloat16"), cache).completions == {}


def test_a_missing_divergence_needs_both_models(models, case_of, plan, cache):
    sides = {side: models[side] for side in ("candidate", "base")}
    workload = plan_workload(sides, [], with_text=True)
    loss = TextLoss(passage="p", nats_per_token=1.0, tokens=1)
    there = {place: loss for place, text in enumerate(workload.texts) if text.against is None}
    store_losses(look_up(workload, sides, plan, cache), there, cache)
    found = look_up(workload, sides, plan, cache)
    assert len(found.missing_texts) == len(workload.divergences)
    assert found.needed_sides == {"candidate", "base"}
