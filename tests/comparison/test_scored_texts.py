"""Losses on texts are compared where both sides scored the same tokens, in the same place."""

from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.comparison.missing_cases import changed_findings
from harness.comparison.pairing import pair_runs, paired_metrics
from harness.comparison.scored_texts import moved_metrics
from harness.presentation.sentences import sentences_of
from harness.types import (
    Check,
    GateSettings,
    GateVerdict,
    ModelRef,
    NotComparedFinding,
    Outcome,
    Score,
    ScoredTexts,
    SetLooks,
)

GATED = {"s": GateSettings(metric_margins={"perplexity": 0.1})}
FIFTY, TEN = ScoredTexts(tokens=(50,)), ScoredTexts(tokens=(10,))
DIRECT = ScoredTexts(tokens=(50,), direct=True)


@pytest.fixture(name="run_of_texts")
def _run_of_texts(make_result, make_run):
    """Makes a run of cases whose references were scored as these texts."""

    def build(texts, value=2.0, metric="perplexity", passed=None, base="0" * 64):
        results = []
        for place, of in enumerate(texts):
            outcome = Outcome.UNSCORED if passed is None else passed
            result = make_result(f"s/{place:03}", outcome)
            case = replace(result.case, references=("a b c",), checks=(Check(type=metric),))
            score = Score(metric=metric, value=value, passed=passed, texts=of)
            results.append(replace(result, case=case, scores=(score,)))
        run = make_run(results, gates=GATED if metric == "perplexity" else None)
        return replace(run, model=ModelRef(label="m", base_model="m", base_sha256=base))

    return build


def reasons(verdict):
    return [
        each.data.reason
        for each in verdict.findings
        if isinstance(each.data, NotComparedFinding) and each.verdict is GateVerdict.INCONCLUSIVE
    ]


def test_other_numbers_of_tokens_are_not_compared(run_of_texts):
    """Equal likelihoods of texts that one tokenizer splits into 50 tokens and the other into 10 are no rise."""
    before, now = run_of_texts([FIFTY] * 40, 2.0), run_of_texts([TEN] * 40, 32.0, base="1" * 64)
    comparison, verdict = run_gate(now, before)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    assert not [row for row in comparison.metrics if row.metric == "perplexity"]
    (reason,) = reasons(verdict)
    assert "40 of 40 references are split into other numbers of tokens" in reason
    assert any(reason in line for line in sentences_of(verdict))


def test_equal_numbers_are_compared_whatever_the_base(run_of_texts):
    before, now = run_of_texts([FIFTY] * 40), run_of_texts([FIFTY] * 40, base="1" * 64)
    (row,) = paired_metrics(pair_runs(now, before))
    assert len(row.keys) == 40


def test_a_few_texts_of_an_adapter_s_own_tokens_are_left_out(run_of_texts):
    """Two of 40 are 5 %, which a set tolerates as unscored; three are not."""
    before = run_of_texts([FIFTY] * 40)
    now = run_of_texts([TEN, TEN, *[FIFTY] * 38])
    pairing = pair_runs(now, before)
    (row,) = paired_metrics(pairing)
    assert row.keys[0] == "s/002"
    assert len(row.keys) == 38
    comparison, verdict = run_gate(now, before)
    assert verdict.outcome is GateVerdict.PASS
    assert [row.missing for row in comparison.metrics] == [0]
    _, verdict = run_gate(run_of_texts([TEN, TEN, TEN, *[FIFTY] * 37]), before)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE


def test_a_set_that_tolerates_none_is_inconclusive_with_one(run_of_texts):
    now, before = run_of_texts([TEN, *[FIFTY] * 39]), run_of_texts([FIFTY] * 40)
    sets = tuple(replace(each, gate=replace(each.gate, max_unscored=0.0)) for each in now.golden_sets)
    _, verdict = run_gate(replace(now, golden_sets=sets), before)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE


def test_an_earlier_version_s_record_of_one_base_is_compared(run_of_texts):
    """It doesn't say the number of tokens; another base has another tokenizer, for all that is known."""
    before, now = run_of_texts([None] * 40), run_of_texts([FIFTY] * 40)
    assert len(paired_metrics(pair_runs(now, before))) == 1
    other = replace(before, model=replace(before.model, base_sha256="1" * 64))
    pairing = pair_runs(now, other)
    assert paired_metrics(pairing) == []
    assert "unknown in one run" in pairing.refused["perplexity"]


def test_what_was_scored_before_a_reasoning_is_not_compared_with_what_was_scored_behind_it(run_of_texts):
    """9 nats of a word where a reasoning begins, and 1 nat where the answer does, are no gain of 8."""
    before, now = run_of_texts([None] * 40, 8000.0), run_of_texts([DIRECT] * 40, 2.7)
    _, verdict = run_gate(now, before)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    (reason,) = reasons(verdict)
    assert "scored before or inside a reasoning in the baseline" in reason
    _, verdict = run_gate(now, run_of_texts([DIRECT] * 40, 2.7))
    assert verdict.outcome is GateVerdict.PASS


def test_cases_that_such_a_check_decides_are_not_compared(run_of_texts):
    now = run_of_texts([DIRECT] * 40, 1.0, "choice-likelihood", passed=True)
    before = run_of_texts([None] * 40, 0.0, "choice-likelihood", passed=False)
    pairing = pair_runs(now, before)
    assert not pairing.pairs
    assert set(pairing.unpaired.values()) == {
        "decided by choice-likelihood, which was scored before or inside a reasoning in the baseline"
    }
    # A model without a reasoning has the same place in both versions.
    same = run_of_texts([FIFTY] * 40, 1.0, "choice-likelihood", passed=True)
    assert len(pair_runs(same, before).pairs) == 40
    other = run_of_texts([FIFTY] * 40, 0.0, "choice-likelihood", passed=False)
    assert len(pair_runs(now, other).pairs) == 40


def test_a_group_without_such_a_member_is_no_earlier_record_of_one_that_has_one(run_of_texts):
    """One name stands for the groups of all cases: half of them have no text that is scored."""
    now = run_of_texts([DIRECT, None] * 20, metric="all-of", passed=True)
    assert moved_metrics(now, now, ["all-of"]) == {}
    assert [*moved_metrics(now, run_of_texts([None] * 40, metric="all-of", passed=True), ["all-of"])] == [
        "all-of"
    ]
    assert [*moved_metrics(run_of_texts([None] * 40, metric="all-of", passed=True), now, ["all-of"])] == [
        "all-of"
    ]


def test_cases_that_are_yet_to_come_are_no_earlier_record(run_of_texts):
    """At the first of four looks 30 of 40 cases have no score: they were foreseen as scored otherwise."""
    whole = run_of_texts([DIRECT] * 40, metric="choice-likelihood", passed=True)
    looked = SetLooks(set_name="s", look=1, planned=4, cases=40, answered=10, fractions=(0.25,))
    now = replace(whole, results=whole.results[:10], looks=(looked,))
    pairing = pair_runs(now, whole, known=[each.key for each in whole.results])
    assert changed_findings(now, whole, pairing, [each.case for each in whole.results[10:]]) == []


def test_cases_that_such_losses_decide_are_no_regression(run_of_texts):
    """Of equal likelihood, in half as many tokens: beyond its threshold by the units alone."""
    before = run_of_texts([FIFTY] * 40, 2.0, passed=True)
    now = run_of_texts([TEN] * 40, 10.0, passed=False, base="1" * 64)
    comparison, verdict = run_gate(now, before)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    assert comparison.metrics == ()
    assert pair_runs(now, before).unpaired["s/000"] == (
        "decided by perplexity, whose losses per token are of other units"
    )
