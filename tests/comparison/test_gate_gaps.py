"""What is missing on either side never makes a pass."""

from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.errors import BaselineError
from harness.presentation.sentences import sentences_of
from harness.types import (
    GateSettings,
    Outcome,
    Score,
    SetLooks,
)
from tests.comparison.conftest import OPEN, PASS, REGRESS, row_of, scored


def test_errored_cases_never_pass(make_result, make_run):
    """149 equal answers and one broken one, which is no loss too many: the limit is 0 by default."""
    now = make_run([make_result(f"s/{n}", Outcome.ERRORED if n == 0 else True) for n in range(150)])
    then = make_run([make_result(f"s/{n}") for n in range(150)])
    comparison, verdict = run_gate(now, then)
    assert row_of(comparison, name="s").verdict is PASS
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0] == "s: 1 of 150 cases errored in the candidate, 0% are tolerated"
    assert comparison.unpaired == ("s/0",)
    assert sentences_of(verdict)[-1] == "1 case is not compared: 1 errored"
    tolerant = make_run(now.results, gates={"s": GateSettings(max_errored=0.05)})
    assert run_gate(tolerant, then)[1].outcome is PASS


def test_errors_do_not_hide_a_regression(make_result, make_run):
    now = make_run([make_result(f"s/{n}", Outcome.ERRORED if n == 0 else n > 40) for n in range(80)])
    then = make_run([make_result(f"s/{n}") for n in range(80)])
    _, verdict = run_gate(now, then)
    assert verdict.outcome is REGRESS
    assert "errored" in sentences_of(verdict)[1]


def test_a_baseline_that_errored_is_no_ground_for_a_pass(make_result, make_run):
    now = make_run([make_result(f"s/{n}") for n in range(80)])
    then = make_run([make_result(f"s/{n}", Outcome.ERRORED if n < 5 else True) for n in range(80)])
    assert run_gate(now, then)[1].outcome is OPEN


def test_too_many_unscored_cases_never_pass(make_result, make_run):
    now = make_run([make_result(f"s/{n}", Outcome.UNSCORED if n < 10 else True) for n in range(100)])
    then = make_run([make_result(f"s/{n}") for n in range(100)])
    _, verdict = run_gate(now, then)
    assert verdict.outcome is OPEN
    assert "s: 10 of 100 cases were left unscored in the candidate, 5% are tolerated" in sentences_of(verdict)


def test_nothing_scored_is_no_pass(make_result, make_run):
    run = make_run([make_result(f"s/{n}", Outcome.UNSCORED) for n in range(80)])
    comparison, verdict = run_gate(run, run)
    assert comparison.metrics == ()
    assert len(comparison.unpaired) == 80
    assert verdict.outcome is OPEN
    lacking, other, metric = sentences_of(verdict)[:3]
    assert lacking == "s: 80 of 80 cases were left unscored in the candidate, 5% are tolerated"
    assert other == "s: 80 of 80 cases were left unscored in the baseline, 5% are tolerated"
    assert metric == "s pass-rate: no case has it on both sides"


def test_a_set_may_be_gated_by_a_graded_metric_alone(make_result, make_run):
    """No check decides, and none has to: the gated scores are all there."""
    run = make_run(
        scored(make_result, [0.5, 0.6, 0.7] * 40, Outcome.UNSCORED),
        gates={"s": GateSettings(metric_margins={"rouge-l": 0.05})},
    )
    comparison, verdict = run_gate(run, run)
    assert [(row.metric, row.verdict) for row in comparison.metrics] == [("rouge-l", PASS)]
    assert verdict.outcome is PASS


def test_a_gated_metric_that_nobody_scored_never_passes(make_result, make_run):
    run = make_run(
        [make_result(f"s/{n}") for n in range(80)], gates={"s": GateSettings(metric_margins={"bleu": 0.05})}
    )
    _, verdict = run_gate(run, run)
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0] == "s bleu: no case has it on both sides"


@pytest.mark.parametrize(("collected", "verdict"), [(500, OPEN), (100, PASS)])
def test_what_a_partial_baseline_did_not_answer_is_no_pass(make_result, make_run, collected, verdict):
    """A baseline of 100 cases that stopped early, or was selected; then 400 of 500 fail. New cases are new."""
    now = make_run([make_result(f"s/{n}", n < 100) for n in range(500)])
    then = make_run([make_result(f"s/{n}") for n in range(100)], collected=collected)
    assert run_gate(now, then)[1].outcome is verdict
    held = make_run([make_result(f"s/{n}") for n in range(500)])
    assert run_gate(held, then)[1].outcome is PASS


def test_runs_without_a_common_case_are_refused(run_with):
    with pytest.raises(BaselineError, match="run old has no case of this run"):
        run_gate(run_with(5), run_with(5, name="other", run_id="old"))


@pytest.mark.parametrize(("changed", "verdict"), [(4, PASS), (10, OPEN)])
def test_changed_cases_are_left_out_and_counted(make_result, make_run, changed, verdict):
    """The set tolerates 5 %, as of unscored cases."""
    now = make_run(
        [make_result(f"s/{n}", prompt="Say it." if n < changed else "Say yes.") for n in range(90)]
    )
    then = make_run([make_result(f"s/{n}") for n in range(90)])
    comparison, found = run_gate(now, then)
    assert row_of(comparison, name="s").n == 90 - changed
    assert row_of(comparison, name="s").verdict is PASS
    assert found.outcome is verdict
    sentences = sentences_of(found)
    assert f"{changed} cases are not compared: {changed} changed since the baseline" in sentences
    told = (
        "s: 10 of 90 cases were changed since the baseline, 5% are tolerated: gate against the baseline's model itself, "
        "which then answers them as they are, or accept a new baseline"
    )
    assert (sentences[0] == told) == (verdict is OPEN)


@pytest.fixture(name="edited")
def _edited(make_result, make_run):
    """The gate of a set that asks about its own cases, given the candidate's ids and which of them are other cases."""

    def gate(ids, changed=(), *, passes=True, then=54, limit=0.05):
        gates = {"s": GateSettings(population="cases", max_unscored=limit)}
        now = [
            make_result(
                f"s/{n}", passes or n not in changed, prompt="Say it." if n in changed else "Say yes."
            )
            for n in ids
        ]
        before = [make_result(f"s/{n}") for n in range(then)]
        return run_gate(make_run(now, gates=gates), make_run(before, gates=gates))[1]

    return gate


def test_an_unchanged_remainder_is_no_pass(edited):
    """One of 54 cases is as before: whatever the other 53 give, nothing says whether the model got worse."""
    for passes in (True, False):
        verdict = edited(range(54), range(53), passes=passes)
        assert verdict.outcome is OPEN
        assert sentences_of(verdict)[0].startswith("s: 53 of 54 cases were changed since the baseline")
    assert edited(range(54), range(53), limit=1).outcome is PASS
    # 5 % of 54 are 2.7 cases.
    assert [edited(range(54), range(count)).outcome for count in (2, 3)] == [PASS, OPEN]


def test_a_set_that_grew_still_passes(edited):
    """New cases have no answer to be compared with; the earlier ones are all still there."""
    assert edited(range(500)).outcome is PASS
    # They don't make changes among the earlier ones fewer.
    verdict = edited(range(2000), range(53))
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0].startswith("s: 53 of 54 cases were changed")


def test_cases_that_were_taken_out_are_told_and_those_that_were_replaced_count_as_changed(edited):
    assert edited(range(20, 54)).outcome is PASS
    verdict = edited([*range(20, 54), *range(100, 110)])
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0].startswith("s: 10 of 44 cases were changed since the baseline")


def test_a_judge_that_is_another_one_changes_no_case(make_result, make_run):
    """Nobody edited a case: what decides them did change, and the finding says so."""
    results = [make_result(f"s/{n}") for n in range(54)]
    results = [
        replace(each, scores=(Score(metric="llm-rubric", value=1.0, passed=True),)) for each in results
    ]
    now, then = (
        replace(run, metrics={"llm-rubric": replace(run.metrics["llm-rubric"], scored_by={"judge": name})})
        for run, name in ((make_run(results), "b"), (make_run(results), "a"))
    )
    finding = run_gate(now, then)[1].findings[0]
    assert finding.data.causes == {"decided by llm-rubric, which another judge decided in the baseline": 54}


def test_changed_cases_of_a_stopped_run_are_a_share_of_those_that_it_answered(make_result, make_run):
    """12 of the 200 that it answered were edited, and of the other 300 nobody knows: 6 %, not 2.4 % of all 500."""
    looks = SetLooks(set_name="s", look=2, planned=5, fractions=(0.2, 0.4), cases=500, answered=200)
    prompts = ["Say it." if n < 12 else "Say yes." for n in range(200)]
    answered = make_run([make_result(f"s/{n:03}", prompt=each) for n, each in enumerate(prompts)])
    stopped = replace(answered, looks=(looks,), collected=500)
    older = make_run([make_result(f"s/{n:03}") for n in range(500)])
    comparison, verdict = run_gate(stopped, older)
    assert row_of(comparison, name="s").verdict is PASS
    assert verdict.outcome is OPEN
    assert sentences_of(verdict)[0].startswith("s: 12 of 200 cases were changed since the baseline")
    # A gate knows its sets: no other case was changed.
    keys = {each.key for each in older.results}
    assert run_gate(stopped, older, known=keys)[1].outcome is PASS


def test_a_drop_among_unchanged_cases_is_still_a_regression(make_result, make_run):
    now = make_run(
        [make_result(f"s/{n}", n > 60, prompt="Say it." if n < 20 else "Say yes.") for n in range(100)]
    )
    then = make_run([make_result(f"s/{n}") for n in range(100)])
    assert run_gate(now, then)[1].outcome is REGRESS


def test_a_metric_that_is_another_one_changes_the_cases_that_it_decides(make_result, make_run):
    """Each is left out, since it may have flipped because its check did."""

    def decided(count, **facts):
        results = [make_result(f"s/{n}", scores=[("f1", 0.9)] if n < count else ()) for n in range(100)]
        results = [
            replace(each, scores=tuple(replace(s, threshold=0.5, passed=True) for s in each.scores))
            for each in results
        ]
        run = make_run(results)
        return replace(run, metrics={name: replace(each, **facts) for name, each in run.metrics.items()})

    for count, verdict in ((5, PASS), (6, OPEN)):
        assert run_gate(decided(count), decided(count, version="0"))[1].outcome is verdict


def test_cases_that_errored_are_not_changed_ones(make_result, make_run):
    """A partial baseline lacks them, or a log: they count as lost there."""
    results = [make_result(f"s/{n}") for n in range(500)]
    partial = make_run(results[:100], collected=500)
    assert run_gate(make_run(results), partial)[1].outcome is PASS
    gates = {"s": GateSettings(max_errored=1)}
    broken = [make_result(f"s/{n}", Outcome.ERRORED if n < 50 else True) for n in range(500)]
    told = sentences_of(run_gate(make_run(broken, gates=gates), make_run(results, gates=gates))[1])
    assert not any("changed" in sentence for sentence in told)
