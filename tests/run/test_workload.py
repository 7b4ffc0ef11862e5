"""What a session asks is planned as a list, before the cache or a model is looked at."""

from dataclasses import replace

from harness.run.workload import load_passages, plan_workload
from harness.types import Check

PASSAGES = list(load_passages())


def test_every_side_answers_every_case_as_often_as_it_repeats(models, case_of):
    workload = plan_workload({"candidate": models["candidate"]}, [case_of("a", repeat=2), case_of("b")])
    asked = [(request.side, request.key, request.settings.seed) for request in workload.answers]
    assert asked == [("candidate", "s/a", 0), ("candidate", "s/a#2", 1), ("candidate", "s/b", 0)]
    assert workload.texts == ()


def test_a_side_can_be_limited_to_some_cases(models, case_of):
    workload = plan_workload(models, [case_of("a"), case_of("b")], only={"base": {"s/b"}, "baseline": set()})
    asked = [(request.side, request.key) for request in workload.answers]
    assert asked == [("candidate", "s/a"), ("candidate", "s/b"), ("base", "s/b")]


def test_references_are_scored_where_a_check_needs_it(models, case_of):
    perplexity = Check(type="perplexity")
    cases = [case_of("a", references=("x", "y"), checks=(perplexity,)), case_of("b", references=("z",))]
    workload = plan_workload({"candidate": models["candidate"]}, cases)
    assert [(request.key, request.text) for request in workload.references] == [("s/a", "x"), ("s/a", "y")]
    assert all(request.messages for request in workload.references)


def test_a_candidate_is_measured_from_the_baseline_and_from_the_base(models, case_of):
    workload = plan_workload(models, [case_of("a")], with_text=True)
    apart = [(request.side, request.against, request.key) for request in workload.divergences]
    prose = [name for name in PASSAGES if "/" not in name]
    assert apart == [("candidate", other, name) for other in ("baseline", "base") for name in prose]
    assert len(workload.passages) == 3 * len(PASSAGES)


def test_models_on_different_bases_have_no_divergence(models, case_of):
    sides = {**models, "base": replace(models["base"], base_sha256="other")}
    workload = plan_workload(sides, [case_of("a")], with_text=True)
    assert {request.against for request in workload.divergences} == {"baseline"}
