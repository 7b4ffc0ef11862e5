"""Logs as runs: what decides, what is refused, and how a run is known again."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.baselines.logged_run import runs_of
from harness.baselines.metric_choice import choices_by_name
from harness.comparison.gate import run_gate
from harness.errors import DataError, SettingsError
from harness.history.logs.kinds import read_log
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.run_log import SHARE
from harness.types import GateVerdict, MetricFacts, Outcome


def log(values, name="run", facts=None, deciding=None, passed=None, **rest):
    """A log whose cases have one answer each, with these values."""
    cases = tuple(
        LogCase(
            set_name="s",
            id=str(number),
            answers=(
                LogAnswer(values=each, passed=None if passed is None else passed[number], line=number + 1),
            ),
        )
        for number, each in enumerate(values)
    )
    return RunLog(
        path=Path(f"{name}.jsonl"),
        tool="tool 1",
        model=name,
        started_at="2026-01-01T00:00:00+00:00",
        cases=cases,
        facts={"m": SHARE} if facts is None else facts,
        deciding={"s": "m"} if deciding is None else deciding,
        **rest,
    )


def test_shares_of_zeros_and_ones_on_both_sides_are_pass_or_fail():
    baseline, candidate = runs_of([log([{"m": 1.0}, {"m": 1.0}]), log([{"m": 0.0}, {"m": 1.0}])], {})
    assert [result.outcome for result in candidate.results] == [Outcome.FAILED, Outcome.PASSED]
    assert candidate.metrics["m"].kind == baseline.metrics["m"].kind == "binary"


def test_one_value_between_makes_both_sides_graded():
    runs = runs_of([log([{"m": 1.0}, {"m": 1.0}]), log([{"m": 0.5}, {"m": 1.0}])], {})
    assert [run.metrics["m"].kind for run in runs] == ["graded", "graded"]
    assert {result.outcome for run in runs for result in run.results} == {Outcome.UNSCORED}
    assert runs[0].golden_sets[0].gate.metric_margins == {"m": 0.05}


def test_a_lost_graded_metric_is_a_regression_and_an_equal_one_passes():
    steps = [number % 7 / 10 for number in range(80)]
    before = log([{"m": 0.3 + step} for step in steps])
    worse = log([{"m": step} for step in steps])
    baseline, candidate, equal = runs_of([before, worse, before], {})
    assert run_gate(candidate, baseline)[1].outcome is GateVerdict.REGRESS
    assert run_gate(equal, baseline)[1].outcome is GateVerdict.PASS


def test_lower_is_better_where_it_is_said():
    choices = choices_by_name(["loss:graded,lower,0..,margin=0.1"])
    values = [{"loss": 1.0 + number % 5} for number in range(60)]
    higher = [{"loss": 2.0 + number % 5} for number in range(60)]
    low, high = runs_of([log(values, facts={}), log(higher, facts={})], choices)
    assert run_gate(high, low)[1].outcome is GateVerdict.REGRESS
    assert run_gate(low, high)[1].outcome is GateVerdict.PASS


def test_a_threshold_makes_cases_pass():
    (run,) = runs_of([log([{"m": 0.4}, {"m": 0.6}])], choices_by_name(["m:threshold=0.5"]))
    assert [result.outcome for result in run.results] == [Outcome.FAILED, Outcome.PASSED]
    assert run.golden_sets[0].gate.metric_margins == {}


def test_a_tool_s_verdict_decides_where_no_metric_does():
    (run,) = runs_of([log([{"m": 0.1}, {"m": 0.1}], deciding={}, passed=[True, False])], {})
    assert [result.outcome for result in run.results] == [Outcome.PASSED, Outcome.FAILED]


def test_a_case_without_a_value_is_unscored_and_one_that_broke_errored():
    cases = log([{"m": 1.0}, {}, {}])
    broken = LogCase(set_name="s", id="broke", answers=(LogAnswer(error="timeout"),))
    (run,) = runs_of(
        [RunLog(**{**{f: getattr(cases, f) for f in cases.__slots__}, "cases": (*cases.cases, broken)})], {}
    )
    assert [str(result.outcome) for result in run.results] == ["passed", "unscored", "unscored", "errored"]
    assert run.results[-1].errors[0].error == "timeout"


def test_several_answers_are_averaged_in_their_case():
    case = LogCase(
        set_name="s", id="a", answers=tuple(LogAnswer(values={"m": value}) for value in (1.0, 0.0, 1.0))
    )
    several = log([{"m": 1.0}])
    (run,) = runs_of(
        [RunLog(**{**{f: getattr(several, f) for f in several.__slots__}, "cases": (case,)})], {}
    )
    (result,) = run.results
    assert (result.outcome, len(result.repeats), result.case.repeat) == (Outcome.FAILED, 3, 3)


@pytest.mark.parametrize(
    ("values", "facts", "choices", "message"),
    [
        ([{"m": 1.5}], {"m": SHARE}, [], "run.jsonl:1: case s/0: m is 1.5: off its scale 0..1"),
        ([{"m": 0.5}], {"m": MetricFacts(kind="binary")}, [], "m is 0.5: it is 0 or 1 elsewhere"),
        ([{"m": -1.0}], {}, ["m:higher,0..100,margin=1"], "off its scale 0..100"),
        ([{}], {}, [], "s: no case has a score"),
    ],
)
def test_a_value_off_its_scale_is_refused_with_its_line(values, facts, choices, message):
    with pytest.raises(DataError) as error:
        runs_of([log(values, facts=facts)], choices_by_name(choices))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("facts", "choices", "message"),
    [
        ({}, [], "direction and scale of m are unknown: give them, such as --metric m:higher,0..1"),
        ({}, ["x"], "--metric x: not in run.jsonl (allowed: m)"),
        ({}, ["m:higher,0..100"], "m is not on a scale from 0 to 1: say which drop is tolerated"),
    ],
)
def test_what_is_unknown_is_asked_for(facts, choices, message):
    with pytest.raises(SettingsError) as error:
        runs_of([log([{"m": 0.5}], facts=facts)], choices_by_name(choices))
    assert message in str(error.value)


def test_several_metrics_and_none_that_decides():
    with pytest.raises(SettingsError, match=r"say which metric decides with --metric \(allowed: a, b\)"):
        runs_of([log([{"a": 1.0, "b": 0.0}], facts={"a": SHARE, "b": SHARE}, deciding={})], {})


def test_where_two_logs_disagree_on_a_direction_neither_is_believed():
    logs = [
        log([{"m": 0.5}]),
        log([{"m": 0.5}], facts={"m": MetricFacts(kind="graded", higher_is_better=False)}),
    ]
    with pytest.raises(SettingsError, match="direction and scale of m are unknown"):
        runs_of(logs, {})


@pytest.mark.parametrize(
    ("first", "second"), [(["m", "n"], ["n", "m"]), (["m", "n"], ["n"]), (["n"], ["m", "n"])]
)
def test_both_sides_are_decided_by_one_metric(first, second):
    """A log whose first case has no value of a metric would name another one first."""
    logs = [
        log([dict.fromkeys(names, 1.0)] * 60, facts=dict.fromkeys("mn", SHARE), deciding={"s": names[0]})
        for names in (first, second)
    ]
    baseline, candidate = runs_of(logs, {})
    (check,) = baseline.results[0].case.checks
    assert candidate.results[0].case.checks == (check,)
    assert check.type in {*first} & {*second}
    assert run_gate(candidate, baseline)[0].metrics[0].n == 60


def test_a_verdict_on_one_side_only_does_not_decide():
    told, untold = log([{"m": 1.0}], deciding={}, passed=[True]), log([{"m": 0.0}])
    assert [run.results[0].case.checks[0].type for run in runs_of([told, untold], {})] == ["m", "m"]


def test_a_metric_that_decides_and_has_no_value_is_missed():
    with pytest.raises(DataError, match=r"s: m decides, but no case has a value of it.*--metric .allowed: n"):
        runs_of([log([{"n": 1.0}]), log([{"n": 1.0}])], {})


def test_a_side_on_which_everything_broke_is_compared_with_nothing():
    broke = RunLog(
        path=Path("b.jsonl"),
        tool="tool 1",
        model="b",
        started_at="2026-01-01T00:00:00+00:00",
        cases=(LogCase(set_name="s", id="0", answers=(LogAnswer(error="down"),)),),
    )
    baseline, candidate = runs_of([log([{"m": 1.0}]), broke], {})
    assert (baseline.results[0].outcome, candidate.results[0].outcome) == (Outcome.PASSED, Outcome.ERRORED)
    # They are the same case, so the verdict says that it errored.
    contents = {run.results[0].case.content_sha256 for run in (baseline, candidate)}
    assert len(contents) == 1
    assert run_gate(candidate, baseline)[1].outcome is GateVerdict.INCONCLUSIVE


def test_a_scale_that_another_log_s_values_leave_is_not_believed():
    silent = log([{"m": 1.0, "n": 7.0}])
    telling = log([{"m": 1.0, "n": 0.5}], facts={"m": SHARE, "n": SHARE})
    assert ["n" in run.metrics for run in runs_of([telling, silent], {})] == [False, False]


def test_a_log_read_alike_is_the_same_run():
    one, same = (runs_of([log([{"m": 0.5}])], {})[0] for _ in range(2))
    other = runs_of([log([{"m": 0.5}])], choices_by_name(["m:threshold=0.4"]))[0]
    assert one == same
    assert one.id.startswith("20260101-000000-")
    assert one.id != other.id


def test_a_chosen_margin_of_a_pass_rate_is_the_set_s():
    (run,) = runs_of([log([{"m": 1.0}])], choices_by_name(["m:margin=0.2"]))
    assert run.golden_sets[0].gate.margin == 0.2


def timed(seconds, name="run"):
    found = log([{"m": float(number % 3 > 0)} for number in range(len(seconds))], name)
    cases = tuple(
        replace(case, answers=(replace(case.answers[0], latency_s=each, completion_tokens=10),))
        for case, each in zip(found.cases, seconds, strict=True)
    )
    return replace(found, cases=cases)


def test_times_and_tokens_of_a_log_are_shown_and_gated_if_chosen():
    fast, slow = [0.1 + n / 1000 for n in range(60)], [0.2 + n / 1000 for n in range(60)]
    baseline, candidate = runs_of([timed(fast), timed(slow)], {})
    comparison, _ = run_gate(candidate, baseline)
    rows = {row.metric: row for row in comparison.metrics}
    assert {"latency", "throughput", "tokens"} <= set(rows)
    assert rows["latency"].verdict is None
    baseline, candidate = runs_of([timed(fast), timed(slow)], choices_by_name(["latency:margin=0.1"]))
    comparison, verdict = run_gate(candidate, baseline)
    gated = {row.metric: row.verdict for row in comparison.metrics if row.verdict is not None}
    assert gated["latency"] is GateVerdict.REGRESS
    # It is gated besides what decides.
    assert "pass-rate" in gated
    assert verdict.outcome is GateVerdict.REGRESS


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [
        ("lm_eval/base", "lm_eval/cand"),
        ("inspect/base.eval", "inspect/cand.eval"),
        ("promptfoo/base.json", "promptfoo/cand.json"),
        ("helm/base", "helm/cand"),
        ("deepeval/base.json", "deepeval/cand.json"),
        ("mlflow/genai_base.json", "mlflow/genai_cand.json"),
    ],
)
def test_a_log_gets_the_verdict_of_a_run_of_ours_with_the_same_outcomes(
    baseline, candidate, make_run, make_result
):
    data = Path(__file__).parents[1] / "history" / "logs" / "data"
    logged = runs_of([read_log(data / baseline), read_log(data / candidate)], {})
    ours = [
        make_run([make_result(r.key, r.outcome) for r in run.results], run_id=name, dtype="bfloat16")
        for run, name in zip(logged, ("before", "now"), strict=True)
    ]
    found = [run_gate(now, before) for before, now in (logged, ours)]
    rates = [
        [
            (row.set_name, row.n, row.drop, row.p_adjusted, row.lost, row.verdict)
            for row in comparison.metrics
            if row.metric == "pass-rate"
        ]
        for comparison, _ in found
    ]
    assert rates[0] == rates[1] != []
    assert found[0][1].outcome is found[1][1].outcome is GateVerdict.REGRESS
