"""Which cases are compared, which are left out and why, and the values of each metric on both sides."""

import math
from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.comparison.pairing import pair_runs, paired_metrics
from harness.presentation.sentences import sentences_of
from harness.registry.metric import compared_scale
from harness.types import Check, GateSettings, GateVerdict, MetricFacts, Outcome, Score, SetLooks, Stability


def metric_of(pairing, name):
    return next(metric for metric in paired_metrics(pairing) if metric.metric == name)


def test_cases_are_paired_by_name_whatever_their_order(make_result, make_run):
    now = make_run([make_result("s/a", True), make_result("s/b", False)])
    then = make_run([make_result("s/b", True), make_result("s/a", True)])
    rate = metric_of(pair_runs(now, then), "pass-rate")
    assert rate.keys == ("s/a", "s/b")
    assert rate.candidate == (1.0, 0.0)
    assert rate.baseline == (1.0, 1.0)
    assert rate.drops == (0.0, 1.0)


def test_clusters_are_those_of_the_candidate_s_cases(make_result, make_run):
    """Cases that an older run knew as independent are one cluster once the set says so, and not the other way round."""
    of_one = make_run([make_result(f"s/{place}", cluster="c") for place in range(3)])
    alone = make_run([make_result(f"s/{place}") for place in range(3)])
    assert metric_of(pair_runs(of_one, alone), "pass-rate").clusters == ("c", "c", "c")
    assert metric_of(pair_runs(alone, of_one), "pass-rate").clusters == (0, 1, 2)


def test_a_case_that_was_changed_is_not_compared(make_result, make_run):
    """The same id with another prompt is another question."""
    now = make_run([make_result("s/a"), make_result("s/b", prompt="Say no.")])
    then = make_run([make_result("s/a"), make_result("s/b", prompt="Say yes.")])
    pairing = pair_runs(now, then)
    assert pairing.unpaired == {"s/b": "changed since the baseline"}
    assert metric_of(pairing, "pass-rate").keys == ("s/a",)


@pytest.mark.parametrize(
    ("outcome", "why"),
    [(Outcome.ERRORED, "errored"), (Outcome.UNSCORED, "unscored"), (Outcome.SKIPPED, "skipped")],
)
@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_case_without_a_verdict_on_one_side_is_not_compared(make_result, make_run, outcome, why, side):
    broken = make_run([make_result("s/a"), make_result("s/b", outcome)])
    whole = make_run([make_result("s/a"), make_result("s/b")])
    pairing = pair_runs(broken, whole) if side == "candidate" else pair_runs(whole, broken)
    assert pairing.unpaired == {"s/b": why}


def test_cases_of_one_side_only_are_named(make_result, make_run):
    pairing = pair_runs(
        make_run([make_result("s/a"), make_result("s/new")]),
        make_run([make_result("s/a"), make_result("s/old")]),
    )
    assert pairing.unpaired == {"s/new": "only in the candidate", "s/old": "only in the baseline"}


def test_what_a_partial_run_left_out_is_no_loss(make_result, make_run):
    now = make_run([make_result("s/a")], collected=2)
    assert pair_runs(now, make_run([make_result("s/a"), make_result("s/b")])).unpaired == {}


def test_graded_scores_are_compared_without_a_verdict(make_result, make_run):
    """A check without threshold decides nothing, on either side; its scores are still paired."""
    now = make_run([make_result("s/a", Outcome.UNSCORED, scores=[("rouge-l", 0.5)])])
    then = make_run([make_result("s/a", Outcome.UNSCORED, scores=[("rouge-l", 0.75)])])
    pairing = pair_runs(now, then)
    assert pairing.unpaired == {}
    assert [metric.metric for metric in paired_metrics(pairing)] == ["rouge-l"]
    assert metric_of(pairing, "rouge-l").drops == (0.25,)


def test_a_metric_without_a_pair_has_no_row(make_result, make_run):
    now = make_run([make_result("s/a", scores=[("rouge-l", 0.5)])])
    then = make_run([make_result("s/a", scores=[("f1", 0.5)])])
    assert [metric.metric for metric in paired_metrics(pair_runs(now, then))] == ["pass-rate"]


def test_several_checks_of_a_type_are_averaged_inside_their_case(make_result, make_run):
    now = make_run([make_result("s/a", scores=[("contains", 1.0), ("contains", 0.0)])])
    then = make_run([make_result("s/a", scores=[("contains", 1.0), ("contains", 1.0)])])
    assert metric_of(pair_runs(now, then), "contains").candidate == (0.5,)


def test_where_lower_is_better_a_rise_is_a_drop(make_result, make_run):
    now = make_run([make_result("s/a", scores=[("repetition", 0.4)])])
    then = make_run([make_result("s/a", scores=[("repetition", 0.1)])])
    assert metric_of(pair_runs(now, then), "repetition").drops == (pytest.approx(0.3),)


def test_perplexity_is_compared_by_its_logarithm(make_result, make_run):
    """Twice the perplexity is a drop of ln 2, be it from 2 to 4 or from 500 to 1000."""
    keys = {"s/a": (4.0, 2.0), "s/b": (1000.0, 500.0)}
    now = make_run([make_result(key, scores=[("perplexity", values[0])]) for key, values in keys.items()])
    then = make_run([make_result(key, scores=[("perplexity", values[1])]) for key, values in keys.items()])
    metric = metric_of(pair_runs(now, then), "perplexity")
    assert metric.drops == (pytest.approx(math.log(2)), pytest.approx(math.log(2)))
    assert (metric.least, metric.most) == (0.0, math.inf)


def test_cases_know_their_cluster(make_result, make_run):
    run = make_run([make_result("s/a", cluster="x"), make_result("s/b"), make_result("s/c", cluster="x")])
    rate = metric_of(pair_runs(run, run), "pass-rate")
    assert rate.clusters[0] == rate.clusters[2] != rate.clusters[1]
    assert rate.clustered


def test_sets_are_kept_apart(make_result, make_run):
    run = make_run([make_result("s/a"), make_result("t/a")])
    assert [(metric.set_name, metric.keys) for metric in paired_metrics(pair_runs(run, run))] == [
        ("s", ("s/a",)),
        ("t", ("t/a",)),
    ]


def test_a_metric_that_the_runs_do_not_describe_is_refused(make_result, make_run):
    """Taking higher for better would call a loss a gain."""
    now = replace(make_run([make_result("s/a", scores=[("f1", 0.5)])]), metrics={})
    pairing = pair_runs(now, make_run([make_result("s/a", scores=[("f1", 0.75)])]))
    assert [row.metric for row in paired_metrics(pairing)] == ["pass-rate"]
    assert pairing.refused == {"f1": "its direction and scale are unknown in the candidate"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "1"}, "the baseline was scored with version 1 of it, the candidate with 2"),
        ({"higher_is_better": False}, "its direction differs in the baseline"),
        ({"most": 100.0}, "its scale differs in the baseline"),
        ({"logarithmic": True}, "its scale differs in the baseline"),
        (
            {"scored_by": {"judge": "old"}},
            "old judged it in the baseline, new in the candidate: name a stored run with --gate-baseline, whose "
            "answers are then scored by the new one, or accept a run that the new one scored",
        ),
        (
            {"scored_by": {"judge": "new", "encoder minilm": "0f"}},
            "the encoder minilm has other files (1e) than in the baseline (0f): name a stored run with "
            "--gate-baseline, whose answers are then scored by the new one, or accept a run that the new one "
            "scored",
        ),
    ],
)
def test_a_metric_that_was_another_one_is_refused(make_result, make_run, change, reason):
    now = make_run([make_result("s/a", scores=[("f1", 0.5), ("bleu", 0.5)])])
    then = make_run([make_result("s/a", scores=[("f1", 0.75), ("bleu", 0.5)])])
    scored = replace(then.metrics["f1"], scored_by={"judge": "new", "encoder minilm": "1e"})
    now, then = (replace(run, metrics={**run.metrics, "f1": scored}) for run in (now, then))
    then = replace(then, metrics={**then.metrics, "f1": replace(scored, **change)})
    pairing = pair_runs(now, then)
    assert [row.metric for row in paired_metrics(pairing)] == ["pass-rate", "bleu"]
    assert pairing.refused == {"f1": reason}


@pytest.mark.parametrize("scored_by", [None, {}, {"encoder other": "2d"}, {"judge": "new"}])
def test_a_metric_is_compared_unless_it_is_known_that_another_judge_scored_it(
    make_result, make_run, scored_by
):
    """Records of earlier versions don't say; a part of the cases may have had another encoder."""
    run = make_run([make_result("s/a", scores=[("f1", 0.5)])])
    facts = run.metrics["f1"]
    now, then = (
        replace(run, metrics={"f1": replace(facts, scored_by=each)}) for each in ({"judge": "new"}, scored_by)
    )
    assert pair_runs(now, then).refused == pair_runs(then, now).refused == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("judge", "which another judge decided in the baseline"),
        ("encoder minilm", "whose encoder had other files in the baseline"),
    ],
)
def test_a_case_that_another_judge_decided_is_not_compared(make_result, make_run, name, why):
    """An equal model regressed against a run of a milder judge."""

    def decided(passed):
        result = make_result("s/a", passed)
        score = Score(metric="llm-rubric", value=float(passed), passed=passed)
        run = make_run([replace(result, scores=(score,)), make_result("s/b")])
        facts = replace(run.metrics["llm-rubric"], scored_by={name: "mild" if passed else "strict"})
        return replace(run, metrics={"llm-rubric": facts})

    pairing = pair_runs(decided(False), decided(True))
    assert pairing.unpaired == {"s/a": f"decided by llm-rubric, {why}"}
    assert metric_of(pairing, "pass-rate").keys == ("s/b",)


@pytest.mark.parametrize("kinds", [("binary", "graded"), ("graded", "binary")])
def test_sets_beside_that_make_numbers_of_a_metric_change_nothing(make_result, make_run, kinds):
    """A threshold in another set makes numbers of `python`; a run of this set alone has passes and fails."""
    results = [make_result(f"s/{n}", n > 0, scores=[("python", float(n > 0))]) for n in range(40)]
    decided = [
        replace(each, scores=(replace(each.scores[0], passed=bool(each.scores[0].value)),))
        for each in results
    ]
    runs = [make_run(decided), make_run(decided, run_id="before")]
    now, then = (
        replace(run, metrics={"python": replace(run.metrics["python"], kind=kind)})
        for run, kind in zip(runs, kinds, strict=True)
    )
    pairing = pair_runs(now, then)
    assert (pairing.refused, pairing.unpaired) == ({}, {})
    row = metric_of(pairing, "python")
    assert (row.kind, len(row.keys)) == ("graded", 40)
    assert row == metric_of(pair_runs(*[replace(run, metrics=pairing.metrics) for run in runs]), "python")
    newer = replace(now, metrics={"python": replace(now.metrics["python"], version="0")})
    assert list(pair_runs(newer, then).refused) == ["python"]


def test_a_case_that_another_version_of_a_check_decided_is_not_compared(make_result, make_run):
    """It may have flipped because its check did."""

    def decided(value):
        result = make_result("s/a", value > 0.5, scores=[("f1", value)])
        return replace(
            result, scores=tuple(replace(s, threshold=0.5, passed=value > 0.5) for s in result.scores)
        )

    now, then = make_run([decided(0.25), make_result("s/b")]), make_run([decided(0.75), make_result("s/b")])
    assert pair_runs(now, then).unpaired == {}
    newer = replace(now, metrics={"f1": replace(now.metrics["f1"], version="3")})
    pairing = pair_runs(newer, then)
    assert pairing.unpaired == {"s/a": "decided by f1, which was different in the baseline"}
    assert metric_of(pairing, "pass-rate").keys == ("s/b",)


def test_what_the_runs_say_decides_and_not_this_installation(make_result, make_run):
    """A metric that is not installed here is compared as its runs say."""
    facts = {"wordiness": MetricFacts(kind="graded", higher_is_better=False, least=None, most=None)}
    now = replace(make_run([make_result("s/a")]), metrics=facts)
    now = replace(now, results=(replace(now.results[0], scores=(Score(metric="wordiness", value=9.0),)),))
    then = replace(now, results=(replace(now.results[0], scores=(Score(metric="wordiness", value=4.0),)),))
    row = metric_of(pair_runs(now, then), "wordiness")
    assert row.drops == (5.0,)
    assert (row.least, row.most) == (-math.inf, math.inf)


def test_a_gated_metric_that_is_refused_leaves_the_gate_inconclusive(make_result, make_run):
    gates = {"s": GateSettings(margin=0.2, metric_margins={"f1": 0.05})}
    results = [make_result(f"s/{n}", scores=[("f1", 0.5)]) for n in range(60)]
    now, then = make_run(results, gates=gates), make_run(results, gates=gates)
    assert run_gate(now, then)[1].outcome is GateVerdict.PASS
    then = replace(then, metrics={"f1": replace(then.metrics["f1"], version="0")})
    comparison, verdict = run_gate(now, then)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    assert (
        sentences_of(verdict)[0] == "s f1: the baseline was scored with version 0 of it, the candidate with 2"
    )
    assert [row.metric for row in comparison.metrics] == ["pass-rate"]


def test_a_noise_record_averages_the_baseline(make_result, make_run):
    """Five reruns, four of them passed: the baseline has five of six; what flipped is still between the runs."""
    then = make_run([make_result("s/0"), make_result("s/1"), make_result("s/2", False)])
    now = make_run([make_result("s/0"), make_result("s/1", False), make_result("s/2", False)])
    known = {"s/0": Stability(passed=4, answers=5), "s/1": Stability(passed=5, answers=5)}
    pairing = pair_runs(now, then)
    plain, averaged = paired_metrics(pairing)[0], paired_metrics(pairing, known)[0]
    assert plain.drops == plain.own_drops == (0.0, 1.0, 0.0)
    assert averaged.baseline == pytest.approx((5 / 6, 1.0, 0.0))
    assert averaged.drops == pytest.approx((-1 / 6, 1.0, 0.0))
    assert averaged.own_drops == plain.own_drops
    assert not averaged.repeated


def test_a_record_that_varies_shows_that_answers_do_not_reproduce(make_result, make_run):
    run = make_run([make_result("s/0")])
    calm, varying, plain = (
        paired_metrics(pair_runs(run, run), known)[0]
        for known in ({"s/0": Stability(passed=5, answers=5)}, {"s/0": Stability(passed=4, answers=5)}, {})
    )
    assert plain.reproducible
    assert calm.reproducible
    assert not varying.reproducible


def test_one_rerun_that_differs_is_enough_to_vary(make_result, make_run):
    run = make_run([make_result("s/0")])
    same, other = (
        paired_metrics(pair_runs(run, run), {"s/0": Stability(passed=passed, answers=1)})[0]
        for passed in (1, 0)
    )
    assert same.reproducible
    assert not other.reproducible


def test_both_sides_are_named_where_neither_describes_a_metric(make_result, make_run):
    run = replace(make_run([make_result("s/a", scores=[("f1", 0.5)])]), metrics={})
    assert pair_runs(run, run).refused == {
        "f1": "its direction and scale are unknown in the candidate and the baseline"
    }


def test_ends_of_a_logarithmic_scale_are_its_logarithms():
    facts = MetricFacts(kind="graded", least=None, most=8.0, logarithmic=True)
    assert compared_scale(facts) == (-math.inf, pytest.approx(math.log(8)))
    assert compared_scale(replace(facts, least=2.0, most=None)) == (pytest.approx(math.log(2)), math.inf)
    assert compared_scale(replace(facts, least=0.0)) == (-math.inf, pytest.approx(math.log(8)))
    assert compared_scale(replace(facts, least=0.0, logarithmic=False)) == (0.0, 8.0)


def test_a_run_that_was_asked_with_other_values_of_the_template_is_not_compared(make_run, make_result):
    """A base whose reasoning was switched off fell by 83 points against itself. A case's own values win."""
    results = [make_result(f"s/{name}") for name in "ab"]
    own = replace(results[0].case.generation, chat_template_kwargs={"enable_thinking": True})
    results[0] = replace(results[0], case=replace(results[0].case, generation=own))
    before, now = make_run(results, run_id="before"), make_run(results)
    off = replace(now, plan=replace(now.plan, chat_template_kwargs={"enable_thinking": False}))
    assert pair_runs(now, before).unpaired == {}
    assert pair_runs(off, off).unpaired == {}
    asked = {"s/b": "asked with other values of the chat template"}
    assert pair_runs(off, before).unpaired == asked
    assert pair_runs(before, off).unpaired == asked
    log = replace(before, plan=replace(before.plan, batch_tokens=0))
    assert pair_runs(off, log).unpaired == {}


def test_a_case_that_was_asked_otherwise_was_not_lost_if_it_errored(make_run, make_result):
    """It would not have been compared anyway: counted as missing, it took the worst value."""
    before = make_run([make_result("s/a"), make_result("s/b"), make_result("s/c")], run_id="before")
    now = make_run(
        [make_result("s/a", Outcome.ERRORED), make_result("s/b"), make_result("s/c", Outcome.SKIPPED)]
    )
    errored = pair_runs(now, before)
    assert [now.key for now, _ in errored.undecided] == ["s/a"]
    off = replace(now, plan=replace(now.plan, chat_template_kwargs={"enable_thinking": False}))
    found = pair_runs(off, before)
    assert found.undecided == ()
    asked = "asked with other values of the chat template"
    assert found.unpaired == {"s/a": asked, "s/b": asked, "s/c": "skipped"}


@pytest.mark.parametrize("partial", [False, True])
def test_a_case_before_its_turn_was_not_lost_if_it_errored(make_run, make_result, partial):
    """Nor where a partial baseline lacks it."""
    before = make_run([make_result("s/b"), *([] if partial else [make_result("s/a")])], run_id="before")
    before = replace(before, collected=2)
    looks = SetLooks(
        set_name="s", look=1, planned=2, fractions=(0.5,), cases=2, answered=1, out_of_turn=("s/a",)
    )
    now = make_run([make_result("s/a", Outcome.ERRORED), make_result("s/b")])
    assert [now.key for now, _ in pair_runs(now, before).undecided] == ["s/a"]
    found = pair_runs(replace(now, looks=(looks,)), before)
    assert found.undecided == ()
    assert found.unpaired == {"s/a": "answered before its turn"}


JUDGED = Check(type="llm-rubric", value="Polite.")
FOUND = Check(type="contains", value="x")
STEP = {"python": "clean.py:body", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("check", "known"),
    [
        (Check(type="all-of", threshold=0.5, checks=(FOUND, replace(JUDGED, type="not-llm-rubric"))), False),
        (Check(type="all-of", threshold=0.5, checks=(FOUND, Check(type="is-json"))), True),
        (Check(type="python:checks.py:polite", threshold=0.5), False),
        (Check(type="f1", threshold=0.5, transform=(STEP,)), False),
        (Check(type="f1", threshold=0.5, transform=("strip",)), True),
    ],
    ids=["judged group", "group", "function", "function of a transform", "transform"],
)
def test_two_scores_that_another_try_may_change_make_no_regression(make_result, make_run, check, known):
    """Twenty equal answers to exactly these cases, of which two scores fell: two of our own did, and any other may."""
    gates = {"s": GateSettings(population="cases", metric_margins={check.type: 0.05})}

    def run(fallen):
        results = []
        for n in range(20):
            found = make_result(f"s/{n}", n >= fallen, scores=[(check.type, float(n >= fallen))])
            results.append(replace(found, case=replace(found.case, checks=(check,))))
        return make_run(results, gates=gates)

    comparison, verdict = run_gate(run(2), run(0))
    rows = {row.metric: row for row in comparison.metrics}
    assert (verdict.outcome is GateVerdict.REGRESS) is known
    assert {name: row.drop.low == row.drop.high for name, row in rows.items()} == dict.fromkeys(rows, known)
