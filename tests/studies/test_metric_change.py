"""Values are followed together while they answer one question."""

import dataclasses

import pytest

from harness.baselines.accept import _baseline
from harness.comparison.gate import run_gate
from harness.comparison.times import asks_pairwise
from harness.studies.metric_change import MetricChange, metric_change
from harness.studies.trend import trends_of, trends_of_accepted
from harness.types import UNKNOWN_WEIGHTS, Check, GateRecord, GateSettings, MetricFacts, Score

FACTS = MetricFacts(kind="graded")
PAIR = Check(type="pairwise", threshold=0.5)
GROUP = Check(type="any-of", checks=(PAIR, Check(type="contains", value="x")))


def gated(make_run, make_result, number, check, value, opponent):
    """A run of 20 cases with one check, gated against a session's own answers of a model."""
    passed = value >= 0.5
    score = Score(metric=check.type, value=value, passed=passed if check.threshold or check.checks else None)
    made = [make_result(f"set/{n}", passed) for n in range(20)]
    results = tuple(
        dataclasses.replace(each, case=dataclasses.replace(each.case, checks=(check,)), scores=(score,))
        for each in made
    )
    gates = {"set": GateSettings(metric_margins={check.type: 0.1})}
    # A judge's server is asked for none of it, and each session's baseline has an id of its own.
    facts = {check.type: dataclasses.replace(FACTS, scored_by={"judge": "one"})}
    run = dataclasses.replace(
        make_run(made, run_id=f"r{number:02}", gates=gates), results=results, metrics=facts
    )
    model = dataclasses.replace(run.model, adapter_sha256=None if opponent is None else str(opponent) * 64)
    if isinstance(opponent, str):
        # Behind a server: each session makes a hash for what it can't identify.
        unknown = f"{UNKNOWN_WEIGHTS}{number}"
        model = dataclasses.replace(run.model, label=opponent, base_sha256=unknown, engine="openai")
    baseline = dataclasses.replace(run, id=f"b{number:02}", model=model)
    comparison, verdict = run_gate(run, baseline)
    return GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)


@pytest.mark.parametrize("check", [PAIR, GROUP])
def test_pairs_with_another_models_answers_are_another_trend(make_run, make_result, check):
    """Of unchanged quality the level changed: twelve runs against the run before, then six against the base."""
    against_base = [gated(make_run, make_result, n, check, 0.9, None) for n in range(12, 18)]
    records = [gated(make_run, make_result, n, check, 0.45, 7) for n in range(12)] + against_base
    found = trends_of(records)
    assert {(each.metric, len(each.points), each.note) for each in found} == {
        (check.type, 12, ""),
        (check.type, 6, ""),
        ("pass-rate", 12, ""),
        ("pass-rate", 6, ""),
    }
    notes = {each.start_note for each in found} - {""}
    assert len(notes) == 1
    assert notes.pop().endswith(
        f"{check.type} has version 1 (against the answers of base 000000000000), before version 1 "
        f"(against the answers of base 000000000000 with adapter 777777777777)"
    )


def test_pairs_with_a_hosted_models_answers_are_one_trend_each(make_run, make_result):
    """By their names: all hosted baselines were one opponent."""
    records = [gated(make_run, make_result, n, PAIR, 0.6, "openai:mini") for n in range(12)]
    records += [gated(make_run, make_result, n, PAIR, 0.2, "openai:large") for n in range(12, 18)]
    found = [each for each in trends_of(records) if each.metric == "pairwise"]
    assert [len(each.points) for each in found] == [12, 6]
    assert found[1].start_note.endswith(
        "pairwise has version 1 (against the answers of openai:large), before version 1 (against the answers of "
        "openai:mini)"
    )


def test_pairs_that_only_inform_leave_the_pass_rate_together(make_run, make_result):
    informs = Check(type="pairwise")
    decides = Check(type="contains", value="yes")
    records = []
    for number in range(4):
        made = gated(make_run, make_result, number, informs, 0.7, number)
        results = tuple(
            dataclasses.replace(
                each,
                case=dataclasses.replace(each.case, checks=(informs, decides)),
                scores=(*each.scores, Score(metric="contains", value=1.0, passed=True)),
            )
            for each in made.run.results
        )
        facts = {**made.run.metrics, "contains": MetricFacts(kind="binary")}
        run = dataclasses.replace(made.run, results=results, metrics=facts)
        baseline = dataclasses.replace(made.baseline, results=results, metrics=facts)
        comparison, verdict = run_gate(run, baseline)
        records.append(GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict))
    points = [(each.metric, len(each.points)) for each in trends_of(records)]
    assert sorted(points) == [("pairwise", 1)] * 4 + [("pass-rate", 4)]


def test_accepted_runs_do_not_say_against_what_they_were_gated(make_run, make_result):
    runs = [gated(make_run, make_result, n, PAIR, 0.7, 7).run for n in range(3)]
    found = trends_of_accepted([_baseline(run, "shipped", "why") for run in runs])
    assert [len(each.points) for each in found if each.metric == "pairwise"] == [1, 1, 1]


def test_whether_values_are_numbers_is_no_change():
    """Which sets a run selected decides it: of another set a group had a threshold."""
    binary = dataclasses.replace(FACTS, kind="binary")
    assert metric_change("all-of", {"all-of": binary}, {"all-of": FACTS}) is None
    other = dataclasses.replace(binary, most=5.0)
    assert metric_change("all-of", {"all-of": other}, {"all-of": FACTS}) == MetricChange(
        metric="all-of", fact="scale", before="1", now="1"
    )


@pytest.mark.parametrize(
    ("check", "asks"),
    [(PAIR, True), (GROUP, True), (Check(type="all-of", checks=(GROUP,)), True), (GROUP.checks[1], False)],
)
def test_groups_of_pairs_ask_them_too(check, asks):
    assert asks_pairwise(check) is asks
