"""A gated score that most cases were left without on both sides passes nothing."""

from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.presentation.sentences import sentences_of
from harness.types import Check, GateSettings, NoVerdictFinding, Outcome, UnscoredMetric
from tests.comparison.conftest import OPEN, PASS, row_of

LEFT_OUT = UnscoredMetric(metric="perplexity", reason="was not measured: the text has no token of its own")


@pytest.fixture(name="run_without")
def _run_without(make_result, make_run):
    """Makes a run of 100 cases with a verdict or another gated score, of which some have no perplexity."""

    def build(without, *, others=("contains",), outcome=True, **gate):
        checks = tuple(Check(type=name) for name in ("perplexity", *others))
        results = []
        for place in range(100):
            has = place >= without
            scores = [("perplexity", 20.0)] * has + [("rouge-l", 0.9)] * ("rouge-l" in others)
            result = make_result(f"s/{place:03}", outcome, scores=scores)
            case = replace(result.case, checks=checks)
            results.append(replace(result, case=case, unscored=() if has else (LEFT_OUT,)))
        margins = {name: 0.1 for name in ("perplexity", *others) if name != "contains"}
        return make_run(results, gates={"s": GateSettings(metric_margins=margins, **gate)})

    return build


@pytest.mark.parametrize(("without", "verdict"), [(0, PASS), (5, PASS), (6, OPEN), (60, OPEN)])
def test_a_pass_needs_a_score_of_nearly_all_cases_that_have_its_check(run_without, without, verdict):
    """Of 100 references a server gives no loss of 60, on both sides alike: the 40 others were a pass."""
    run = run_without(without)
    comparison, told = run_gate(run, run)
    assert (row_of(comparison, "perplexity", "s").n, told.outcome) == (100 - without, verdict)
    found = [each for each in told.findings if isinstance(each.data, NoVerdictFinding)]
    if verdict is OPEN:
        assert [(each.metric, each.data.side, each.data.cases, each.data.n) for each in found] == [
            ("perplexity", "both", without, 100)
        ]
        said = f"s perplexity: {without} of 100 cases were left unscored on both sides, 5% are tolerated"
        assert said in sentences_of(told)
    else:
        assert found == []


def test_another_gated_score_of_the_same_cases_is_no_substitute(run_without):
    """None of these cases decides: with their ROUGE they are no unscored cases, and 60 lack the perplexity."""
    run = run_without(60, others=("rouge-l",), outcome=Outcome.UNSCORED)
    assert run_gate(run, run)[1].outcome is OPEN
    tolerant = run_without(60, others=("rouge-l",), outcome=Outcome.UNSCORED, max_unscored=0.6)
    assert run_gate(tolerant, tolerant)[1].outcome is PASS


def test_only_cases_that_have_the_check_count_and_what_one_side_has_is_not_left_out(run_without):
    run, whole = run_without(60), run_without(0)
    one_sided = run_gate(run, whole)
    assert row_of(one_sided[0], "perplexity", "s").missing == 60
    assert not any(isinstance(each.data, NoVerdictFinding) for each in one_sided[1].findings)
    plain = [
        replace(each, case=replace(each.case, checks=each.case.checks[1:]), unscored=())
        for each in run.results
    ]
    few = replace(run, results=(*plain[:60], *run.results[60:]))
    assert run_gate(few, few)[1].outcome is PASS


def test_a_metric_that_is_not_gated_decides_nothing(run_without):
    run = run_without(60)
    sets = tuple(replace(each, gate=GateSettings()) for each in run.golden_sets)
    run = replace(run, golden_sets=sets)
    assert run_gate(run, run)[1].outcome is PASS
