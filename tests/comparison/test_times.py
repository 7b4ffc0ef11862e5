"""Times are compared as what was measured: batches, on machines."""

import random
from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.comparison.pairing import pair_runs, paired_metrics
from harness.comparison.times import (
    batch_clusters,
    computed_alike,
    other_conditions,
    scorers_findings,
    share_times,
    why_inexact,
)
from harness.presentation.sentences import sentence_of, sentences_of
from harness.types import (
    Check,
    GateSettings,
    GateVerdict,
    GenerationSettings,
    Outcome,
    Placement,
    Score,
    ServerUse,
    Stability,
)


@pytest.fixture
def timed(make_run, make_result):
    """A run whose cases took these seconds each, gated on latency."""

    def timed(seconds, run_id="now", metric="latency"):
        results = []
        for number, each in enumerate(seconds):
            result = make_result(f"s/{number:03}")
            completion = replace(result.completion, latency_s=each, completion_tokens=10)
            value = each * 1000 if metric == "latency" else 10 / each
            results.append(
                replace(result, completion=completion, scores=(Score(metric=metric, value=value),))
            )
        return make_run(results, gates={"s": GateSettings(metric_margins={metric: 0.1})}, run_id=run_id)

    return timed


def single(factor=1.0, n=80):
    """Answers in batches of one: each time is its own."""
    return [factor * (0.1 + number * 0.0007) for number in range(n)]


@pytest.mark.parametrize("metric", ["latency", "throughput"])
def test_a_slower_model_regresses_and_an_equal_one_passes(timed, metric):
    before = timed([each * 1.001 for each in single()], "before", metric)
    slower, equal = timed(single(1.5), metric=metric), timed(single(), metric=metric)
    rows = {row.metric: row for row in run_gate(slower, before)[0].metrics}
    assert rows[metric].verdict is GateVerdict.REGRESS
    assert {row.metric: row for row in run_gate(equal, before)[0].metrics}[metric].verdict is GateVerdict.PASS


def test_answers_of_one_batch_are_one_measurement(timed):
    """Two slow batches of forty show nothing, though forty times two cases are slower."""
    before = timed([0.1] * 40 + [0.11] * 40, "before")
    slower = timed([0.15] * 40 + [0.16] * 40)
    comparison, verdict = run_gate(slower, before)
    row = next(row for row in comparison.metrics if row.metric == "latency")
    assert row.verdict is GateVerdict.INCONCLUSIVE
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    (metric,) = [each for each in paired_metrics(pair_runs(slower, before)) if each.metric == "latency"]
    assert len(set(metric.clusters)) == 2
    # The pass rate is as independent as it was.
    (rate,) = [each for each in paired_metrics(pair_runs(slower, before)) if each.metric == "pass-rate"]
    assert len(set(rate.clusters)) == 80


def test_times_of_exactly_these_cases_are_a_sample(timed):
    """Measured again they would be others, whatever the set asks: a hundredth more is no sure rise."""
    rng = random.Random(5)
    before, now = (timed([0.1 * rng.uniform(1, 1.3) for _ in range(30)], name) for name in ("before", "now"))
    now = replace(
        now, golden_sets=[replace(s, gate=replace(s.gate, population="cases")) for s in now.golden_sets]
    )
    rows = {row.metric: row for row in run_gate(now, before)[0].metrics}
    assert rows["latency"].population == "sample"
    assert rows["latency"].drop.low < rows["latency"].drop.high
    assert rows["pass-rate"].population == "cases"


@pytest.mark.parametrize(("seconds", "known"), [(None, True), (0.5, False)])
def test_cases_that_a_time_decides_do_not_reproduce(make_result, make_run, seconds, known):
    result = make_result("s/a")
    case = replace(result.case, checks=(*result.case.checks, Check(type="latency", threshold=seconds)))
    run = make_run([replace(result, case=case)])
    assert paired_metrics(pair_runs(run, run))[0].reproducible is known


def test_shared_times_are_not_compared(timed):
    """A pass would say nothing: both sides have the same times whatever the models are."""
    before, now = timed(single(), "before"), timed(single())
    assert share_times(now, before, pair_runs(now, before).pairs)
    comparison, verdict = run_gate(now, before)
    assert not [row for row in comparison.metrics if row.metric == "latency"]
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    assert any("answered in the same batches and share their times" in each for each in sentences_of(verdict))


@pytest.mark.parametrize(("equal", "shared"), [(4, False), (5, False), (6, True)])
def test_more_than_half_of_the_times_are_equal_where_batches_were_shared(timed, equal, shared):
    """Of ten answers; the rest, from the cache, were measured before."""
    before = timed(single(n=10), "before")
    now = timed([each * (1 if number < equal else 1.3) for number, each in enumerate(single(n=10))])
    assert share_times(now, before, pair_runs(now, before).pairs) is shared


def test_times_of_other_tools_may_be_equal_by_rounding(timed):
    """A log to the millisecond has equal times by chance; they are of single answers."""
    before, now = (
        replace(run, plan=replace(run.plan, batch_tokens=0))
        for run in (timed([0.1] * 40, "before"), timed([0.1] * 40))
    )
    assert not share_times(now, before, pair_runs(now, before).pairs)
    (metric,) = [each for each in paired_metrics(pair_runs(now, before)) if each.metric == "latency"]
    assert len(set(metric.clusters)) == 40


OLD, NEW = {"judge": "old"}, {"judge": "new"}


@pytest.mark.parametrize(
    ("metric", "now", "then", "told"),
    [
        ("llm-rubric", NEW, None, (NEW, {})),
        ("llm-rubric", None, OLD, ({}, OLD)),
        ("llm-rubric", None, None, ({}, {})),
        ("llm-rubric", NEW, NEW, None),
        ("llm-rubric", {}, NEW, None),
        ("similar", {"encoder minilm": "1e"}, None, ({"encoder minilm": "1e"}, {})),
        ("llm-rubric", {"judge": "a, b"}, {"judge": "b"}, ({"judge": "a, b"}, {"judge": "b"})),
        ("llm-rubric", {"judge": "b"}, {"judge": "b"}, None),
        ("llm-rubric", {"judge": "b"}, {}, None),
        ("contains", None, None, None),
        ("contains", {}, None, None),
    ],
)
def test_a_record_that_does_not_say_who_judged_is_told(make_run, make_result, metric, now, then, told):
    """Records of earlier versions don't."""
    run = make_run([make_result("s/a", scores=[(metric, 1.0)])])
    sides = [
        replace(run, metrics={metric: replace(run.metrics[metric], scored_by=each)}) for each in (now, then)
    ]
    found = scorers_findings(*sides, sides[0].metrics)
    assert [(each.data.candidate, each.data.baseline) for each in found] == ([] if told is None else [told])
    logs = [replace(side, model=replace(side.model, base_sha256="")) for side in sides]
    assert scorers_findings(*logs, sides[0].metrics) == []


def test_other_versions_of_a_metric_s_libraries_are_told(make_run, make_result):
    run = make_run([make_result("s/a", scores=[("bleu", 0.5), ("perplexity", 2.0), ("contains", 1.0)])])
    before, now = (
        replace(run, environment=replace(run.environment, packages=packages))
        for packages in ({"sacrebleu": "2.5", "torch": "2.12"}, {"sacrebleu": "2.6", "torch": "2.13"})
    )
    (found,) = scorers_findings(now, before, now.metrics)
    assert (found.metric, found.verdict) == ("bleu", None)
    assert sentence_of(found) == (
        "bleu was scored by sacrebleu 2.6, in the baseline by sacrebleu 2.5: a difference may come from that"
    )
    unknown = replace(before, environment=replace(before.environment, packages={}))
    assert scorers_findings(now, unknown, now.metrics) == []


def test_batches_of_both_sides_and_clusters_are_joined(make_result):
    def at(seconds):
        result = make_result("s/a")
        return replace(result, completion=replace(result.completion, latency_s=seconds))

    pairs = [
        (at(1.0), at(5.0)),
        (at(1.0), at(6.0)),
        (at(2.0), at(6.0)),
        (at(3.0), at(7.0)),
        (at(4.0), at(8.0)),
    ]
    found = batch_clusters(pairs, (0, 1, 2, "c", "c"), batched=(True, True))
    assert found[0] == found[1] == found[2] != found[3] == found[4]
    apart = batch_clusters(pairs, (0, 1, 2, 3, 4), batched=(False, False))
    assert len(set(apart)) == 5
    # Without the answers it isn't known which batches they were in.
    unknown = [(replace(now, completion=None), then) for now, then in pairs]
    assert len(set(batch_clusters(unknown, (0, 1, 2, 3, 4), batched=(True, False)))) == 1


@pytest.mark.parametrize(
    ("dtype", "other", "alike"),
    [
        ("float32", "cuda", True),
        ("float32", "cuda:split:0=22GiB", True),
        ("float32", "cpu", False),
        ("bfloat16", "cuda", False),
    ],
)
def test_a_split_base_answers_as_on_one_device_and_takes_another_time(timed, dtype, other, alike):
    runs = [
        replace(run, plan=replace(run.plan, dtype=dtype, device=device))
        for run, device in ((timed(single()), "cuda:split:0=20GiB"), (timed(single(), "before"), other))
    ]
    assert computed_alike(*runs) is alike
    assert other_conditions(*runs) == (f"on device cuda:split:0=20GiB, the baseline on {other}",)


OF_A_SERVER = {"dtype": "unknown", "device": "server", "server": ServerUse()}


@pytest.mark.parametrize(
    ("ways", "why"),
    [
        (({}, {}), ""),
        (({"dtype": "bfloat16"}, {"dtype": "bfloat16"}), "computed in bfloat16"),
        (({}, {"dtype": "float16"}), "computed in float16"),
        ((OF_A_SERVER, OF_A_SERVER), "answered by a server"),
        (({}, {"device": "cuda:1"}), "computed in two ways"),
    ],
    ids=str,
)
def test_a_row_that_is_not_known_exactly_says_why_and_what_helps(make_result, make_run, ways, why):
    """54 equal answers to exactly these cases: a pass where they reproduce; elsewhere the reason is in the sentence."""
    gates = {"s": GateSettings(population="cases")}
    run = make_run([make_result(f"s/{n:02}") for n in range(54)], gates=gates)
    now, before = (replace(run, plan=replace(run.plan, **way)) for way in ways)
    assert why_inexact(now, before) == why
    comparison, verdict = run_gate(now, before)
    assert comparison.inexact == why
    assert (verdict.outcome is GateVerdict.PASS) is (why == "")
    if why:
        assert (
            f"; {why}: repeat each case 4 times or more at a temperature above 0, ask "
            in sentences_of(verdict)[0]
        )


def test_drawn_answers_are_said_to_vary_in_any_precision(make_result, make_run):
    results = [make_result(f"s/{n:02}") for n in range(54)]
    warm = GenerationSettings(temperature=0.7)
    results = [replace(each, case=replace(each.case, generation=warm)) for each in results]
    run = make_run(results, gates={"s": GateSettings(population="cases")})
    comparison, verdict = run_gate(run, run)
    assert comparison.inexact == ""
    assert "; another try may answer or score its cases otherwise: repeat" in sentences_of(verdict)[0]


@pytest.mark.parametrize(("lost", "helps"), [(9, True), (16, False)])
def test_where_an_equal_model_would_pass_more_answers_help_only_within_the_margin(
    make_result, make_run, lost, helps
):
    """Of 300 cases each has 20 recorded answers: with none lost it passes.

    With 9 lost, 0.03, five answers to each case would leave less than the margin of 0.05; with 16 none do.
    """
    gates = {"s": GateSettings(population="cases")}
    now, equal = (
        make_run([make_result(f"s/{n:03}", n >= first) for n in range(300)], gates=gates, dtype="bfloat16")
        for first in (lost, 0)
    )
    noise = {each.key: Stability(passed=20, answers=20) for each in equal.results}
    assert run_gate(equal, equal, stability=noise)[1].outcome is GateVerdict.PASS
    _, verdict = run_gate(now, equal, stability=noise)
    assert ("computed in bfloat16: repeat each case 5 times or more" in sentences_of(verdict)[0]) is helps


def test_what_has_no_value_is_no_answer_that_varies(make_result, make_run):
    """No drop is seen of 294 cases with a record, and six more errored: those are the reason."""
    gates = {"s": GateSettings(population="cases", max_errored=0.5)}
    before, now = (
        make_run(
            [make_result(f"s/{n:03}", Outcome.ERRORED if n < errored else True) for n in range(300)],
            gates=gates,
            dtype="bfloat16",
        )
        for errored in (0, 6)
    )
    noise = {each.key: Stability(passed=20, answers=20) for each in before.results}
    _, verdict = run_gate(now, before, stability=noise)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    assert "value on one side only" in sentences_of(verdict)[0]
    assert "computed in bfloat16" not in sentences_of(verdict)[0]


def test_other_machines_and_batches_are_told(timed):
    before, now = timed([each * 1.001 for each in single()], "before"), timed(single())
    assert other_conditions(now, before) == ()
    other = replace(
        before,
        environment=replace(before.environment, machine="a big one"),
        plan=replace(
            before.plan,
            batch_tokens=64,
            placements=(Placement(side="baseline", weights="own", batches="single", decoder="library"),),
        ),
    )
    now = replace(now, environment=replace(now.environment, machine="a small one"))
    assert other_conditions(now, other) == (
        "on a small one, the baseline on a big one",
        "in batches of 2048 tokens, the baseline's of 64",
    )
    told = [each for each in sentences_of(run_gate(now, other)[1]) if each.startswith("times were measured")]
    assert told == [
        "times were measured on a small one, the baseline on a big one; in batches of 2048 tokens, the "
        "baseline's of 64: a difference may come from that"
    ]
