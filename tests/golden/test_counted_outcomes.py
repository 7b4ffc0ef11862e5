"""What a case counts as: a set's own graded cases lack no verdict where one of their scores is gated."""

from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.comparison.missing_cases import beyond_limits
from harness.golden.counted_outcomes import counted_as, counted_outcomes
from harness.history.store import open_history
from harness.presentation.sentences import sentences_of
from harness.presentation.terminal import lacks_verdicts, outcome_counts
from harness.types import Check, GateRecord, GateSettings, MetricFacts, Outcome, Repeat, Score

GATED = {"s": GateSettings(metric_margins={"rouge-l": 0.05})}
SCORE = [("rouge-l", 0.8)]


def only_grades(make_result, key="s/a", scores=SCORE, check="rouge-l", **options):
    """A case whose one check grades."""
    result = make_result(key, Outcome.UNSCORED, scores=scores)
    return replace(result, case=replace(result.case, checks=(Check(type=check, **options),)))


def test_a_case_that_only_grades_is_graded_where_its_score_is_gated(make_result):
    result = only_grades(make_result)
    assert counted_as(result, {"rouge-l"}, {}) == "graded"
    assert counted_as(result, {"bleu"}, {}) == "unscored"
    assert counted_as(result, (), {}) == "unscored"
    assert counted_as(only_grades(make_result, scores=()), {"rouge-l"}, {}) == "unscored"


def test_a_check_that_decides_and_gave_no_verdict_leaves_it_unscored(make_result):
    """Whatever is gated: it might have failed."""
    decides = only_grades(make_result, scores=(), threshold=0.5)
    assert counted_as(decides, {"rouge-l"}, {}) == "unscored"
    beside = replace(
        decides, case=replace(decides.case, checks=(Check(type="rouge-l"), Check(type="is-json")))
    )
    scored = replace(beside, scores=(Score(metric="rouge-l", value=0.8),))
    assert counted_as(scored, {"rouge-l"}, {}) == "unscored"
    unknown = only_grades(make_result, check="of-a-plug-in")
    assert counted_as(unknown, {"rouge-l"}, {"of-a-plug-in": MetricFacts(kind="binary")}) == "unscored"
    assert counted_as(unknown, {"rouge-l"}, {"of-a-plug-in": MetricFacts(kind="graded")}) == "graded"


def test_each_of_several_answers_needs_the_score(make_result):
    answers = [
        Repeat(completion=None, scores=scores, outcome=Outcome.UNSCORED)
        for scores in ((Score(metric="rouge-l", value=0.8),), ())
    ]
    result = replace(only_grades(make_result), repeats=tuple(answers))
    assert counted_as(result, {"rouge-l"}, {}) == "unscored"
    whole = replace(result, repeats=(answers[0], answers[0]))
    assert counted_as(whole, {"rouge-l"}, {}) == "graded"


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.UNSCORED])
def test_every_other_outcome_counts_as_itself(make_result, outcome):
    assert counted_as(make_result("s/a", outcome, scores=SCORE), {"rouge-l"}, {}) == outcome


@pytest.fixture
def twenty(make_result, make_run):
    """A run of 20 cases that only grade, of which the last ones have no score."""

    def build(lacking=0, **gate):
        results = [
            only_grades(make_result, f"s/{place:02}", SCORE if place < 20 - lacking else ())
            for place in range(20)
        ]
        gates = {"s": replace(GATED["s"], **gate)}
        run = make_run(results, gates=gates)
        return replace(run, metrics={"rouge-l": MetricFacts(kind="graded")})

    return build


def test_counts_agree_on_screen_in_the_record_and_in_the_gate(twenty, tmp_path):
    """It was "20 cases: 20 unscored" beside a pass: of these, the gate counts none."""
    run = twenty()
    assert outcome_counts(run) == "20 cases: 20 graded"
    assert not lacks_verdicts(run)
    assert beyond_limits(run, run.golden_sets[0]) == []
    comparison, verdict = run_gate(run, run)
    (counts,) = comparison.counts
    assert counts.candidate == counts.baseline == {"graded": 20}
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(
            GateRecord(run=run, baseline=replace(run, id="old"), comparison=comparison, verdict=verdict)
        )
        assert history.list_runs()[0].outcomes == {"graded": 20}
        assert {str(each.outcome) for each in history.load_run("latest").results} == {"unscored"}


def test_a_missing_score_is_one_unscored_case(twenty):
    """Two of 20 lack the gated score: more than 5 %, which is told once."""
    now, before = twenty(2), twenty()
    assert outcome_counts(now) == "20 cases: 2 unscored, 18 graded"
    (lacking,) = beyond_limits(now, now.golden_sets[0])
    assert (lacking.outcome, lacking.cases, lacking.n) == (Outcome.UNSCORED, 2, 20)
    comparison, verdict = run_gate(now, before)
    assert comparison.counts[0].candidate == {"graded": 18, "unscored": 2}
    assert "s: 2 of 20 cases were left unscored in the candidate, 5% are tolerated" in sentences_of(verdict)
    assert lacks_verdicts(now)
    assert not lacks_verdicts(now, {"unscored": 2})
    assert lacks_verdicts(now, {"unscored": 1})


def test_sets_of_a_run_have_gates_of_their_own(make_result, make_run):
    results = [only_grades(make_result, "s/a"), only_grades(make_result, "t/a"), make_result("t/b")]
    assert counted_outcomes(make_run(results, gates=GATED)) == ["graded", "unscored", "passed"]
