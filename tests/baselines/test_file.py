"""An accepted run's file keeps every score and label of an answer, and what earlier formats kept is read."""

import json
from dataclasses import replace

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import load_baseline, read_baseline, run_of
from harness.comparison.gate import run_gate
from harness.registry import Registry, use_registry
from harness.types import Check, GateSettings, GateVerdict, Outcome, Repeat, Score, ScoredTexts

# Two checks of one type in a case, and their scores.
TWICE = (Check(type="rouge-l"), Check(type="rouge-l"))


def two_scores(result, first, second):
    scores = (Score(metric="rouge-l", value=first), Score(metric="rouge-l", value=second))
    return replace(result, case=replace(result.case, checks=TWICE), scores=scores)


@pytest.fixture
def scored_twice(make_run, make_result):
    """Makes a run of 80 cases with two scores of one metric each, which is gated."""

    def build(first, second):
        results = [two_scores(make_result(f"s/{n:02}", Outcome.UNSCORED), first, second) for n in range(80)]
        return make_run(results, gates={"s": GateSettings(metric_margins={"rouge-l": 0.05})})

    return build


def kept(run, folder, **changes):
    """The run as the file of its accepted baseline has it, of which facts are changed."""
    facts = json.loads(accept_run(run, "shipped", "why", folder).read_text()) | changes
    return run_of(read_baseline(json.dumps(facts), "shipped.json"), [each.case for each in run.results])


@pytest.mark.parametrize("scores", [(1.0, 0.0), (0.0, 1.0)])
def test_a_run_equals_its_own_file_where_a_case_has_several_checks_of_one_type(
    scored_twice, tmp_path, scores
):
    """The last check's score alone made a regression of an equal model, or a pass of any."""
    run = scored_twice(*scores)
    comparison, verdict = run_gate(run, kept(run, tmp_path))
    (row,) = [each for each in comparison.metrics if each.metric == "rouge-l"]
    assert (row.baseline.mean.estimate, row.candidate.mean.estimate, row.drop.estimate) == (0.5, 0.5, 0.0)
    assert verdict.outcome is GateVerdict.PASS


def test_so_it_does_with_several_answers(make_run, make_result, tmp_path):
    result = two_scores(make_result("s/a"), 1.0, 0.0)
    answers = [
        Repeat(
            completion=None,
            outcome=Outcome.PASSED,
            scores=(Score(metric="rouge-l", value=one), Score(metric="rouge-l", value=other)),
        )
        for one, other in ((1.0, 0.0), (0.25, 0.75))
    ]
    case = replace(result.case, repeat=2)
    run = make_run([replace(result, case=case, repeats=tuple(answers))])
    (found,) = kept(run, tmp_path).results
    assert [[score.value for score in each.scores] for each in found.repeats] == [[1.0, 0.0], [0.25, 0.75]]


def test_a_case_is_shown_by_the_answer_that_decides_in_its_file_too(make_run, make_result, tmp_path):
    """One of three answers broke, and not the first: such a case has no verdict in the run or in its file."""
    passed, broken = (Repeat(completion=None, outcome=each) for each in (Outcome.PASSED, Outcome.ERRORED))

    def run_with(second):
        results = [make_result(f"s/{n:02}", second.outcome if n < 4 else True) for n in range(100)]
        answered = [
            replace(
                each,
                case=replace(each.case, repeat=3),
                repeats=(passed, second if place < 4 else passed, passed),
            )
            for place, each in enumerate(results)
        ]
        return make_run(answered, gates={"s": GateSettings(max_errored=0.05)})

    accepted, now = run_with(broken), run_with(passed)
    for before in (accepted, kept(accepted, tmp_path)):
        (row,) = run_gate(now, before)[0].metrics
        assert (row.n, row.missing) == (96, 4)


def test_all_labels_of_a_case_are_kept(make_run, make_result, tmp_path):
    """Two classifications in a case: the candidate counts both."""
    result = make_result("s/a")
    scores = (
        Score(metric="classification", value=1.0, passed=True, labels=("red", "red")),
        Score(metric="classification", value=0.0, passed=False, labels=("green", "blue")),
        Score(metric="contains", value=1.0, passed=True),
    )
    run = make_run([replace(result, scores=scores)])
    (found,) = kept(run, tmp_path).results
    assert [(score.metric, score.value, score.labels) for score in found.scores] == [
        (score.metric, score.value, score.labels) for score in scores
    ]


def in_format_two(run):
    """The lines of its cases as format 2 had them: one score and one pair of labels by metric."""
    return {
        result.key: {
            "sha256": result.case.content_sha256,
            "answers": [[str(result.outcome), {score.metric: score.value for score in result.scores}]],
            "labels": [{score.metric: score.labels for score in result.scores if score.labels}],
        }
        for result in run.results
    }


@pytest.fixture
def said():
    """What is noted meanwhile."""
    lines = []
    before = use_registry(Registry(warn=lines.append))
    yield lines
    use_registry(before)


def test_a_file_that_kept_one_of_several_scores_is_not_compared_by_it(scored_twice, tmp_path, said):
    """Nobody knows the others; pass rates are as they were."""
    run = scored_twice(1.0, 0.0)
    before = kept(run, tmp_path, schema_version=2, cases=in_format_two(run))
    assert all(result.scores == () for result in before.results)
    comparison, verdict = run_gate(run, before)
    assert comparison.metrics == ()
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    assert said == [
        "baseline shipped: of a case's several checks of one type its file has the last score alone (rouge-l), "
        "so these are not compared: accept a run again"
    ]


def test_a_file_of_format_two_is_read(make_run, make_result, tmp_path):
    score = Score(metric="classification", value=1.0, labels=("red", "blue"))
    result = make_result("s/a")
    run = make_run([replace(result, scores=(score,))])
    (found,) = kept(run, tmp_path, schema_version=2, cases=in_format_two(run)).results
    assert found.scores == (score,)


def test_a_file_with_too_few_labels_is_read(make_run, make_result, tmp_path):
    """Somebody may have edited it; the rest is unknown."""
    score = Score(metric="classification", value=1.0, labels=("red", "blue"))
    run = make_run([replace(make_result("s/a"), scores=(score, replace(score, labels=("red", "red"))))])
    path = accept_run(run, "shipped", "why", tmp_path)
    path.write_text(path.read_text().replace('[["red", "blue"], ["red", "red"]]', '[["red", "blue"]]'))
    (found,) = run_of(load_baseline(path), [run.results[0].case]).results
    assert [each.labels for each in found.scores] == [("red", "blue"), None]


def test_the_tokens_of_scored_texts_are_kept(make_result, make_run, tmp_path):
    """Without them, perplexities of two tokenizers would be compared."""
    texts = [ScoredTexts(tokens=(5, 7), direct=True), None]
    result = make_result("s/a")
    scores = tuple(Score(metric="perplexity", value=2.0, texts=each) for each in texts)
    (found,) = kept(make_run([replace(result, scores=scores)]), tmp_path).results
    assert [score.texts for score in found.scores] == texts
