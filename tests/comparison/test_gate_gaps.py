"""What is missing on either side never makes a pass."""

import pytest

from harness.comparison.gate import run_gate
from harness.errors import BaselineError
from harness.presentation.sentences import sentences_of
from harness.types import (
    GateSettings,
    Outcome,
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
    assert sentences_of(verdict)[0] == "s pass-rate: no case has it on both sides"


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


def test_changed_cases_are_left_out_and_counted(make_result, make_run):
    now = make_run([make_result(f"s/{n}", prompt="Say it." if n < 10 else "Say yes.") for n in range(90)])
    then = make_run([make_result(f"s/{n}") for n in range(90)])
    comparison, verdict = run_gate(now, then)
    assert row_of(comparison, name="s").n == 80
    assert verdict.outcome is PASS
    assert "10 cases are not compared: 10 changed since the baseline" in sentences_of(verdict)
