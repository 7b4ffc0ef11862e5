"""A run's judged means, corrected by people's labels of its answers."""

from dataclasses import replace

import pytest

from harness.errors import BaselineError, SettingsError
from harness.labelling.correction import correct_scores
from harness.labelling.items import items_of
from harness.labelling.label import Label, LabelValue
from harness.labelling.run_answers import answers_of_record
from harness.types import JUDGE, Check, GateRecord, Repeat

RUBRIC = Check(type="llm-rubric", value="Is kind.")
GRADE = Check(type="llm-reference")


@pytest.fixture
def judged_run(make_result, make_run):
    """Makes a run from what the judge said of each case: pass or fail; None where it broke."""

    def build(values, run_id="now", *, answer="answer", metric="llm-rubric", checks=(RUBRIC,), clusters=()):
        results = []
        for number, value in enumerate(values):
            scores = [] if value is None else [(metric, float(value))]
            result = make_result(f"s/{number:02}", scores=scores, prompt=f"Question {number}?")
            case = replace(
                result.case,
                checks=checks,
                references=("It is so.",),
                cluster=clusters[number] if clusters else None,
            )
            text = f"{answer} {number} {value}"
            results.append(replace(result, case=case, completion=replace(result.completion, text=text)))
        return make_run(results, run_id=run_id)

    return build


def labels_of(record, says, *, who="ada"):
    """What a person says of a run's answers: ``says`` gives it by text; None for an answer not labelled."""
    items = items_of(answers_of_record(record, [], None), ask="answers", seed=0)
    said = [(item, says(item.answers[0])) for item in items]
    return [
        Label(id=item.id, item=item, said=one, who=who, at="2026-01-01T00:00:00+00:00")
        for item, one in said
        if one is not None
    ]


def number_of(text):
    return int(text.split()[1])


def test_the_judge_s_mean_is_corrected_by_the_labelled_part(judged_run):
    """By hand: the judge passes 30 of 40; people pass the first 5 of its passes among 20, and none else.

    Labelled: cases 0 to 19, all passed by the judge, 5 by people. So the judge tells nothing there (its
    covariance with people's labels is 0) and the corrected mean is people's own, 0.25.
    """
    record = GateRecord(run=judged_run([1] * 30 + [0] * 10))
    labels = labels_of(
        record, lambda text: LabelValue(passed=number_of(text) < 5) if number_of(text) < 20 else None
    )
    found = correct_scores(record, labels)
    (row,) = found.rows
    assert (row.set_name, row.metric, row.side, row.n, row.labelled) == (
        "s",
        "llm-rubric",
        "candidate",
        40,
        20,
    )
    assert row.judge.estimate == 0.75
    assert row.people.estimate == 0.25
    assert row.corrected.estimate == pytest.approx(0.25)
    assert row.corrected.low < 0.25 < row.corrected.high < 0.75
    assert (found.labels, found.used, found.unused, row.note) == (20, 20, {}, "")


def test_a_judge_that_errs_evenly_is_moved_by_its_error(judged_run):
    """By hand: the judge is right but for 4 of 20 labelled, which it passes and people fail.

    Labelled: people pass 10, the judge 14; covariance 10/20 - 0.5 x 0.7, times 20/19. All 60 judged alike.
    """
    record = GateRecord(run=judged_run(([1] * 14 + [0] * 6) * 3))
    labels = labels_of(
        record, lambda text: LabelValue(passed=number_of(text) < 10) if number_of(text) < 20 else None
    )
    (row,) = correct_scores(record, labels).rows
    weight = (0.15 * 20 / 19) / (1.5 * 0.7 * 0.3 * 60 / 59)
    assert f"weight {weight:.2f}" in row.corrected.method
    assert row.corrected.estimate == pytest.approx(0.5)


def test_grades_stay_on_their_own_scale(judged_run):
    run = judged_run([4, 5] * 10, metric="llm-reference", checks=(GRADE,))
    record = GateRecord(run=run)
    labels = labels_of(record, lambda text: LabelValue(grade=3) if number_of(text) < 16 else None)
    (row,) = correct_scores(record, labels).rows
    assert (row.metric, row.judge.estimate, row.people.estimate) == ("llm-reference", 4.5, 3.0)
    assert row.corrected.estimate == pytest.approx(3.0)
    assert row.corrected.low >= 1


def test_several_people_s_labels_of_an_answer_are_averaged(judged_run):
    record = GateRecord(run=judged_run([1, 1, 0, 0]))
    ada = labels_of(record, lambda text: LabelValue(passed=True))
    bob = labels_of(record, lambda text: LabelValue(passed=number_of(text) > 0), who="bob")
    found = correct_scores(record, [*ada, *bob])
    assert (found.used, found.rows[0].labelled) == (8, 4)
    assert found.rows[0].people.estimate == pytest.approx((0.5 + 3) / 4)


def test_a_thumb_is_of_the_rubric_where_there_is_one(judged_run):
    """The same case asks for facts too: the thumb was not asked about them."""
    checks = (RUBRIC, Check(type="factuality"))
    run = judged_run([1, 0, 1, 0], checks=checks)
    both = [
        replace(one, scores=(*one.scores, replace(one.scores[0], metric="factuality"))) for one in run.results
    ]
    record = GateRecord(run=replace(run, results=tuple(both)))
    labels = labels_of(record, lambda text: LabelValue(passed=True))
    rows = {row.metric: row for row in correct_scores(record, labels).rows}
    assert (rows["llm-rubric"].labelled, rows["factuality"].labelled) == (4, 0)
    assert rows["factuality"].note == "nothing is labelled"
    assert rows["factuality"].corrected is None


def test_labels_of_elsewhere_do_not_count_and_are_told(judged_run):
    """Of another run, though of the same text; of a pair; and of the same answer to another rubric."""
    record = GateRecord(run=judged_run([1, 0, 1, 0]))
    other = GateRecord(run=judged_run([1, 0, 1, 0], run_id="other"))
    reworded = GateRecord(run=judged_run([1, 0, 1, 0], checks=(replace(RUBRIC, value="Is short."),)))
    good = LabelValue(passed=True)
    own = labels_of(record, lambda text: good if number_of(text) < 3 else None)
    elsewhere = labels_of(other, lambda text: good)
    asked_otherwise = labels_of(reworded, lambda text: good)
    pair = replace(
        own[0].item, answers=("x", "y"), origins=own[0].item.origins * 2, runs=own[0].item.runs * 2
    )
    pairs = [replace(own[0], item=pair, said=LabelValue(preference="a"))]
    found = correct_scores(record, [*own, *elsewhere, *asked_otherwise, *pairs])
    assert found.rows[0].labelled == found.used == 3
    assert found.unused == {
        "of other runs or of files": 4,
        "of pairs": 1,
        "of answers or questions that no judge scored here": 4,
    }


@pytest.mark.parametrize(
    ("labelled", "clusters", "note"),
    [
        (1, (), "too few labels: 2 are needed"),
        (2, (), "few labels: below 15 the interval is rough"),
        (4, ("a",) * 4 + ("b",) * 16, "too few labels: 2 clusters are needed"),
        (15, (), ""),
    ],
)
def test_few_labels_are_told(judged_run, labelled, clusters, note):
    record = GateRecord(run=judged_run([1, 0] * 10, clusters=clusters))
    labels = labels_of(
        record,
        lambda text: LabelValue(passed=number_of(text) % 3 == 0) if number_of(text) < labelled else None,
    )
    (row,) = correct_scores(record, labels).rows
    assert row.note.startswith(note)
    assert (row.corrected is None) == (row.people is None) == note.startswith("too few")
    assert bool(row.note) == bool(note)


def test_clusters_widen_the_interval(judged_run):
    says = lambda text: LabelValue(passed=number_of(text) < 12) if number_of(text) < 20 else None  # noqa: E731
    width = {}
    for clusters in ((), tuple(f"c{n // 4}" for n in range(40))):
        record = GateRecord(run=judged_run([1, 0] * 20, clusters=clusters))
        (row,) = correct_scores(record, labels_of(record, says)).rows
        width[bool(clusters)] = row.corrected.high - row.corrected.low
    assert width[True] > 1.3 * width[False]


def test_answers_that_no_person_saw_fairly_take_no_part(judged_run):
    """Where a case was asked several times people are shown its worst answer; where the judge broke, none counts."""
    run = judged_run([1, 1, 0, None, 1])
    first = run.results[0]
    repeats = tuple(
        Repeat(completion=first.completion, scores=first.scores, outcome=first.outcome) for _ in "ab"
    )
    twice = replace(run.results[1].case, checks=(RUBRIC, replace(RUBRIC, value="Is short.")))
    results = (replace(first, repeats=repeats), replace(run.results[1], case=twice), *run.results[2:])
    record = GateRecord(run=replace(run, results=results))
    (row,) = correct_scores(record, labels_of(record, lambda text: LabelValue(passed=True))).rows
    assert (row.n, row.labelled) == (2, 2)
    assert row.left_out == {
        "with several answers": 1,
        "several checks of one type": 1,
        "without the judge's verdict": 1,
    }


def test_candidate_and_baseline_are_corrected_and_their_difference_is_paired(judged_run):
    """By hand: all labelled; people pass the candidate's 12 of 20 and the baseline's 18, 6 of them lost."""
    candidate, baseline = judged_run([1] * 20), judged_run([0] * 20, run_id="then", answer="older")
    record = GateRecord(run=candidate, baseline=baseline)
    passes = {"answer": 12, "older": 18}
    found = correct_scores(
        record, labels_of(record, lambda text: LabelValue(passed=number_of(text) < passes[text.split()[0]]))
    )
    assert [(row.side, row.run_id, row.people.estimate) for row in found.rows] == [
        ("candidate", "now", 0.6),
        ("baseline", "then", 0.9),
    ]
    (difference,) = found.differences
    assert (difference.n, difference.labelled) == (20, (20, 20))
    assert difference.judge.estimate == 1.0
    assert difference.corrected.estimate == pytest.approx(-0.3)
    # Six of twenty differ by one: an error of sqrt(0.3 x 0.7 / 19), skewed by -1.68 / 4.2^(3/2) = -0.195, so that
    # t of 19, 1.729, is 2.014 on the lower side.
    assert difference.corrected.low == pytest.approx(-0.3 - 2.014 * (0.21 / 19) ** 0.5, abs=0.001)


def test_values_of_two_judges_are_not_subtracted(judged_run):
    """An equal model, of which the baseline's judge passed all 20 and the new one 16; people pass 10 of either."""
    candidate, baseline = judged_run([1] * 16 + [0] * 4), judged_run([1] * 20, run_id="then", answer="older")

    def by(run, judge):
        facts = {name: replace(each, scored_by={JUDGE: judge}) for name, each in run.metrics.items()}
        return replace(run, metrics=facts)

    for of_baseline, estimate, note in (
        ("judge-7b", -0.2, ""),
        ("judge-70b", None, "judge-70b judged it in the baseline, judge-7b in the candidate"),
    ):
        record = GateRecord(run=by(candidate, "judge-7b"), baseline=by(baseline, of_baseline))
        labels = labels_of(record, lambda text: LabelValue(passed=number_of(text) < 10))
        (difference,) = correct_scores(record, labels).differences
        assert (difference.judge and difference.judge.estimate) == pytest.approx(estimate)
        assert difference.note == note
        assert difference.corrected.estimate == pytest.approx(0, abs=1e-9)


def test_without_labels_on_both_sides_there_is_no_difference(judged_run):
    record = GateRecord(run=judged_run([1] * 20), baseline=judged_run([0] * 20, run_id="then", answer="old"))
    found = correct_scores(
        record, labels_of(record, lambda text: None if "old" in text else LabelValue(passed=True))
    )
    assert found.differences == ()
    assert [row.labelled for row in found.rows] == [20, 0]


def test_cases_that_only_the_baseline_was_asked_are_left_out(judged_run):
    """Nobody was shown them: the labelled part of the baseline would be drawn from fewer."""
    record = GateRecord(run=judged_run([1] * 4), baseline=judged_run([0] * 9, run_id="then", answer="old"))
    found = correct_scores(record, labels_of(record, lambda text: LabelValue(passed=True)))
    assert [(row.side, row.n, row.labelled) for row in found.rows] == [
        ("candidate", 4, 4),
        ("baseline", 4, 4),
    ]


def test_a_baseline_that_was_asked_with_other_values_of_the_template_is_not_asked_alike(judged_run):
    """They were other prompts: people were shown none of its answers, and no difference is corrected."""
    candidate, then = judged_run([1] * 4), judged_run([0] * 4, run_id="then", answer="old")
    alike = GateRecord(run=candidate, baseline=then)
    off = replace(then, plan=replace(then.plan, chat_template_kwargs={"enable_thinking": False}))
    record = GateRecord(run=candidate, baseline=off)
    says = lambda text: LabelValue(passed=True)  # noqa: E731
    assert len(labels_of(alike, says)) == 8
    assert len(labels_of(record, says)) == 4
    found = correct_scores(record, labels_of(alike, says))
    assert ([row.side for row in found.rows], found.differences) == (["candidate"], ())
    assert len(correct_scores(alike, labels_of(alike, says)).rows) == 2


def test_what_cannot_be_corrected_is_refused(judged_run):
    record = GateRecord(run=judged_run([1, 0]))
    with pytest.raises(SettingsError, match=r"--metric pairwise: .*allowed: llm-rubric, llm-reference"):
        correct_scores(record, [], ["pairwise"])
    with pytest.raises(BaselineError, match="run now: no judge's score of tone is stored"):
        correct_scores(record, [], ["tone"])
    with pytest.raises(SettingsError, match=r"no label is of .*run now \(there is none\)"):
        correct_scores(record, [])
    other = GateRecord(run=judged_run([1, 0], run_id="other"))
    with pytest.raises(
        SettingsError, match=r"\(2 of other runs or of files\): tunegate judge label --run now"
    ):
        correct_scores(record, labels_of(other, lambda text: LabelValue(passed=True)))
