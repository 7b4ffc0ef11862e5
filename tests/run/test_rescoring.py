"""A stored run's answers are scored anew by some metrics: the other scores stay, outcomes follow."""

from dataclasses import replace

import pytest

from harness.run.cache import Cache
from harness.run.rescoring import others_of, rescored
from harness.run.scoring import Judging
from harness.run.session import metric_facts
from harness.types import Check, MetricError, Outcome, Repeat, Score

RUBRIC, CONTAINS = Check(type="llm-rubric", value="Good."), Check(type="contains", value="yes")
SCORES = (
    Score(metric="llm-rubric", value=1.0, passed=True),
    Score(metric="contains", value=1.0, passed=True, explanation="as it was"),
)


@pytest.fixture
def anew(replace_metric):
    """Scores a run anew by a judge that passes what says ``fine``."""

    def verdict(request):
        return Score(metric="llm-rubric", value=float("fine" in request.text), explanation="today")

    replace_metric("llm-rubric", lambda requests: [verdict(each) for each in requests])

    def score(run, cases=None, metric=("llm-rubric",), judge="new"):
        cases = [result.case for result in run.results] if cases is None else cases
        checks = [check for case in cases for check in case.checks]
        facts = {name: each for name, each in metric_facts(checks, judge).items() if name in metric}
        with Cache(None) as cache:
            return rescored(run, facts, cases, Judging(), cache, lambda *_: None)

    return score


def judged(result, text, scores=SCORES, checks=(RUBRIC, CONTAINS), **changes):
    completion = replace(result.completion, text=text)
    case = replace(result.case, checks=checks)
    return replace(result, case=case, completion=completion, scores=scores, **changes)


def test_only_the_metric_s_own_scores_are_new_and_the_outcome_follows(anew, make_run, make_result):
    run = make_run(
        [judged(make_result("s/a"), "yes, fine"), judged(make_result("s/b"), "yes")], run_id="then"
    )
    found = anew(run)
    assert [result.outcome for result in found.results] == [Outcome.PASSED, Outcome.FAILED]
    new = {score.metric: (score.value, score.passed, score.explanation) for score in found.results[1].scores}
    assert new == {"llm-rubric": (0.0, False, "today"), "contains": (1.0, True, "as it was")}
    assert found.metrics["llm-rubric"].scored_by == {"judge": "new"}
    assert found.metrics["contains"] == run.metrics["contains"]
    assert found.id.startswith("then-rescored-")
    assert anew(run).id == found.id
    # Another judge's run, also where it says the same: a history has one for each id.
    assert anew(run, judge="newer").id != found.id


def test_each_answer_of_a_case_is_scored_anew(anew, make_run, make_result):
    result = judged(make_result("s/a"), "yes, fine")
    answers = tuple(
        Repeat(completion=replace(result.completion, text=text), scores=result.scores, outcome=Outcome.PASSED)
        for text in ("yes, fine", "yes")
    )
    run = make_run([replace(result, case=replace(result.case, repeat=2), repeats=answers)])
    (found,) = anew(run).results
    assert [answer.outcome for answer in found.repeats] == [Outcome.PASSED, Outcome.FAILED]
    assert found.outcome is Outcome.FAILED


def test_what_is_not_asked_or_was_changed_since_stays(anew, make_run, make_result):
    run = make_run([judged(make_result(f"s/{name}"), "yes") for name in "abc"])
    first, second, _ = (result.case for result in run.results)
    found = anew(run, [first, replace(second, references=("another",))])
    assert [result.outcome for result in found.results] == [Outcome.FAILED, Outcome.PASSED, Outcome.PASSED]
    assert found.results[1:] == run.results[1:]
    assert anew(run, []) is run


def test_a_case_without_an_answer_or_with_a_broken_check_stays_without_a_verdict(anew, make_run, make_result):
    broken = (MetricError(metric="contains", error="broke"),)
    late = (MetricError(metric="generation", error="too late"),)
    results = [
        judged(make_result("s/a"), "fine", scores=SCORES[:1], errors=broken),
        judged(make_result("s/b"), "fine", scores=(), errors=late),
        replace(judged(make_result("s/c"), "fine", scores=(), errors=late), completion=None),
        judged(make_result("s/d"), "fine", scores=SCORES[:1]),
        judged(make_result("s/e"), "fine", outcome=Outcome.SKIPPED),
    ]
    found = anew(make_run(results))
    assert [result.outcome for result in found.results] == [
        *(Outcome.ERRORED for _ in range(3)),
        Outcome.UNSCORED,
        Outcome.SKIPPED,
    ]
    assert found.results[1].scores == ()


def test_a_run_without_texts_or_with_losses_in_the_check_stays_as_it_is(anew, make_run, make_result):
    """The file of an accepted baseline has no texts, and no record has losses."""
    kept = make_run([replace(judged(make_result("s/a"), "yes"), completion=None)])
    assert anew(kept) is kept
    group = Check(type="all-of", checks=(RUBRIC, Check(type="perplexity", threshold=9.0)))
    scores = (Score(metric="all-of", value=1.0, passed=True),)
    run = make_run([judged(make_result("s/a"), "yes", scores=scores, checks=(group,))])
    assert anew(run, metric=("all-of",)) is run
    # Another metric of it is scored anew.
    run = make_run([judged(make_result("s/a"), "yes", scores=(*scores, *SCORES[:1]), checks=(group, RUBRIC))])
    found = anew(run, metric=("all-of", "llm-rubric"))
    assert [(score.metric, score.value) for score in found.results[0].scores] == [
        *(("all-of", 1.0), ("llm-rubric", 0.0))
    ]
    assert found.metrics["all-of"] == run.metrics["all-of"]


@pytest.mark.parametrize(
    ("change", "is_other"),
    [
        ({}, False),
        ({"scored_by": None}, False),
        ({"scored_by": {"judge": "old"}}, True),
        # Nobody knows which of its scores today's judge gave.
        ({"scored_by": {"judge": "new, old"}}, True),
        ({"version": "0"}, True),
        ({"higher_is_better": False}, True),
    ],
)
def test_what_was_scored_in_another_way_or_partly_by_another_judge_is_scored_anew(
    make_run, make_result, change, is_other
):
    facts = metric_facts([RUBRIC], "new")
    run = replace(make_run([]), metrics={name: replace(each, **change) for name, each in facts.items()})
    assert others_of(facts, run) == (facts if is_other else {})


def test_a_file_of_a_check_is_read_where_it_is_now(anew, replace_metric, make_run, make_result):
    """The stored run's project was elsewhere; the file's content is the same."""
    seen = []

    def verdict(requests):
        seen.extend(each.check.file for each in requests)
        return [Score(metric="llm-rubric", value=1.0) for _ in requests]

    then, now = (
        Check(type="llm-rubric", value="Good.", file=f"/{each}/strict.md") for each in ("then", "now")
    )
    run = make_run([judged(make_result("s/a"), "fine", checks=(then, CONTAINS))])
    cases = [replace(result.case, checks=(now, CONTAINS)) for result in run.results]
    assert cases[0].content_sha256 == run.results[0].case.content_sha256
    replace_metric("llm-rubric", verdict)
    assert anew(run, cases).results[0].errors == ()
    assert seen == ["/now/strict.md"]
