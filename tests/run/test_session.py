"""A session answers and scores what is selected, on all sides that have to answer."""

from dataclasses import replace

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import load_baseline
from harness.baselines.target import NO_TARGET, accepted_target, model_target, run_target
from harness.metrics.encoders import find_encoder
from harness.run.cache import Cache
from harness.run.session import metric_facts, run_session, session_plan
from harness.types import Check, Outcome


@pytest.fixture
def run():
    """Runs a session of inputs on golden sets."""

    def start(inputs, *golden_sets, **rest):
        with Cache(None) as cache:
            return run_session(inputs, golden_sets, cache, lambda *_: None, **rest)

    return start


def outcomes(session, side):
    return {result.key: result.outcome for result in session.results[side]}


def test_a_model_as_baseline_answers_beside_the_candidate(run, inputs_of, models, golden_set, opened):
    opened.wrong = {("baseline", "s/03")}
    session = run(inputs_of(model_target(models["baseline"])), golden_set)
    assert session.sides == {side: models[side] for side in ("candidate", "baseline")}
    assert opened.opened == [("candidate", "baseline")]
    assert set(outcomes(session, "candidate").values()) == {Outcome.PASSED}
    failed = [key for key, outcome in outcomes(session, "baseline").items() if outcome is Outcome.FAILED]
    assert failed == ["s/03"]
    assert session.stored is None


def test_a_stored_run_answers_nothing(run, inputs_of, golden_set, opened, make_run, make_result):
    stored = make_run([make_result("s/00")])
    session = run(inputs_of(run_target(stored)), golden_set)
    assert set(session.results) == {"candidate"}
    assert session.stored is stored
    assert run(inputs_of(NO_TARGET), golden_set).stored is None


def test_an_accepted_baseline_is_read_for_the_cases_of_today(
    run, inputs_of, golden_set, opened, make_run, make_result, tmp_path
):
    path = accept_run(make_run([make_result(f"s/0{n}") for n in range(3)]), "shipped", "why", tmp_path)
    few = replace(golden_set, cases=golden_set.cases[:2])
    session = run(inputs_of(accepted_target(load_baseline(path))), few)
    assert [result.key for result in session.stored.results] == ["s/00", "s/01"]


def test_facts_say_what_scored_a_metric(tiny_encoder_dir, tmp_path):
    """Files of an encoder by their content; a group's value is that of its members."""
    rubric = Check(type="llm-rubric", value="Good.")
    encoded = Check(type="similar", options={"model": str(tiny_encoder_dir)})
    group = Check(type="all-of", checks=(rubric, Check(type="contains", value="x")))
    missing = Check(type="bertscore", options={"model": str(tmp_path)})
    facts = metric_facts([rubric, encoded, group, missing, Check(type="contains", value="x")], "judge-7b")
    assert {name: each.scored_by for name, each in facts.items()} == {
        "llm-rubric": {"judge": "judge-7b"},
        "similar": {f"encoder {tiny_encoder_dir}": find_encoder(str(tiny_encoder_dir)).sha256[:12]},
        "all-of": {"judge": "judge-7b"},
        "bertscore": {},
        "contains": {},
    }
    assert metric_facts([rubric])["llm-rubric"].scored_by == {}


def test_skipped_cases_are_scored_as_skipped_and_not_asked(run, inputs_of, golden_set, opened):
    first, *rest = golden_set.cases
    cases = (replace(first, skip="later"), *rest)
    session = run(inputs_of(NO_TARGET), replace(golden_set, cases=cases))
    assert outcomes(session, "candidate")["s/00"] is Outcome.SKIPPED
    assert ("candidate", "s/00") not in opened.asked


def test_a_side_can_be_limited_to_some_cases(run, inputs_of, models, golden_set, opened):
    session = run(inputs_of(model_target(models["baseline"])), golden_set, only={"candidate": {"s/01"}})
    assert list(outcomes(session, "candidate")) == ["s/01"]
    assert len(outcomes(session, "baseline")) == 40


@pytest.mark.parametrize("probed", [True, False])
def test_the_base_behind_the_adapters_answers_the_probes_alone(
    run, inputs_of, models, golden_set, opened, case_of, probed
):
    probes = replace(golden_set, name="p", cases=(case_of("p1"),), probes_forgetting=probed)
    chosen = inputs_of(model_target(models["baseline"]), base=models["base"], forgetting=True)
    session = run(chosen, golden_set, probes)
    assert [key for side, key in opened.asked if side == "base"] == (["s/p1"] if probed else [])
    assert ("base" in session.results) is probed
    assert bool(session.answers["candidate"].text_losses) is probed


@pytest.mark.parametrize(
    ("device", "asked", "planned", "timed"),
    [("cpu", None, 16_384, 4096), ("cpu", 8192, 8192, 8192), ("cuda", None, 65_536, 65_536)],
)
def test_a_gated_time_is_measured_in_more_batches(
    inputs_of, models, golden_set, device, asked, planned, timed
):
    inputs = inputs_of(model_target(models["baseline"]))
    inputs = replace(
        inputs,
        plan=replace(inputs.plan, device=device, batch_tokens=planned),
        settings=inputs.settings.model_copy(update={"batch_tokens": asked}),
    )
    gate = replace(golden_set.gate, metric_margins={"latency": 0.1})
    assert session_plan(inputs, [golden_set]) == inputs.plan
    assert session_plan(inputs, [replace(golden_set, gate=gate)]) == replace(
        inputs.plan, mixed=False, batch_tokens=timed
    )


def test_a_baseline_whose_reasoning_is_in_its_text_ties_with_itself(
    run, inputs_of, models, golden_set, opened, case_of
):
    """It was compared with its own reasoning and answer, as no candidate is: the judge saw twice as much."""
    opened.text = lambda request: f"<think>{request.key}</think>yes"
    cases = tuple(case_of(name, checks=(Check(type="pairwise", threshold=0.5),)) for name in "ab")
    session = run(inputs_of(model_target(models["baseline"])), replace(golden_set, cases=cases))
    for side in ("baseline", "candidate"):
        assert [score.value for each in session.results[side] for score in each.scores] == [0.5, 0.5]
        assert set(outcomes(session, side).values()) == {Outcome.PASSED}


def test_each_answer_of_today_meets_one_of_a_stored_run(
    run, inputs_of, golden_set, opened, make_run, make_result, case_of
):
    """With ``repeat`` added since, all pairs but the first broke, and so did every case."""
    opened.text = lambda request: "yes"
    case = case_of("a", checks=(Check(type="pairwise", threshold=0.5),))
    stored = make_run([replace(make_result("s/a"), case=case)])
    asked = replace(golden_set, cases=(replace(case, repeat=3),))
    (result,) = run(inputs_of(run_target(stored)), asked).results["candidate"]
    assert [score.value for answer in result.repeats for score in answer.scores] == [0.5] * 3
