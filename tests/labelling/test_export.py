"""Labels reach those who need them: the calibration's and the trainers' own loaders read what is written."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.judge.labelled import load_labelled_set
from harness.labelling.export import export_labels, export_text, write_export
from harness.labelling.items import Expectation, LabelItem
from harness.labelling.label import Label, LabelValue
from harness.types import Message
from trainers.data.preferences import load_pairs, load_thumbs

WANTED = Expectation(references=("right",))


def label(said, *answers, prompt="question", who="ada", wanted=WANTED, number=0):
    item = LabelItem(
        id=f"{number:016x}",
        messages=(Message(role="user", content=prompt),),
        answers=answers or ("an answer",),
        wanted=wanted,
        origins=("x",) * (len(answers) or 1),
        runs=((),) * (len(answers) or 1),
    )
    return Label(id="1", item=item, said=said, who=who, at="2026-01-01T00:00:00+00:00")


def written(tmp_path, kind, labels):
    path = tmp_path / ("labels.yaml" if kind == "calibration" else "labels.jsonl")
    write_export(path, export_text(kind, export_labels(kind, labels), path), replace=True)
    return path


def test_thumbs_grades_and_preferences_become_labelled_items(tmp_path):
    labels = [
        label(LabelValue(passed=True, grade=4, comment="nearly all of it"), number=1),
        label(LabelValue(passed=False), number=2, wanted=Expectation(rubric="Is kind.")),
        label(LabelValue(passed=True), number=3, wanted=Expectation(tone="Calm.")),
        label(LabelValue(preference="b"), "first", "second", number=4),
    ]
    read = load_labelled_set(written(tmp_path, "calibration", labels))
    assert [(item.task, item.label) for item in read.items] == [
        ("factuality", "pass"),
        ("reference", 4),
        ("rubric", "fail"),
        ("tone", "pass"),
        ("pairwise", "b"),
    ]
    assert read.items[0].reason == "nearly all of it"
    assert read.items[2].reason == "Labelled without a comment."
    assert (read.items[4].answer_a, read.items[4].answer_b) == ("first", "second")
    assert {(item.rater, item.labelled_at) for item in read.items} == {("ada", "2026-01-01T00:00:00+00:00")}
    assert "ada" in read.labelled_by
    assert len({item.cluster for item in read.items}) == 1  # one prompt


def test_two_people_who_label_one_answer_are_two_items_of_one_cluster(tmp_path):
    labels = [label(LabelValue(passed=True)), label(LabelValue(passed=False), who="bob")]
    read = load_labelled_set(written(tmp_path, "calibration", labels))
    assert [(item.rater, item.label) for item in read.items] == [("ada", "pass"), ("bob", "fail")]


def test_what_no_judge_can_be_asked_is_left_out_and_counted():
    made = export_labels("calibration", [label(LabelValue(passed=True), wanted=Expectation())])
    assert made.rows == ()
    assert made.left_out == {"neither rubric nor reference": 1}
    both = export_labels(
        "calibration", [label(LabelValue(passed=True, grade=4), wanted=Expectation(rubric="Is kind."))]
    )
    assert [row["task"] for row in both.rows] == ["rubric"]
    assert both.left_out == {"a grade needs a reference": 1}


def test_preferences_become_pairs_the_preferred_one_chosen(tmp_path):
    labels = [
        label(LabelValue(preference="b"), "worse", "better"),
        label(LabelValue(preference="tie"), "one", "other", prompt="another"),
        label(LabelValue(passed=True)),
    ]
    path = written(tmp_path, "pairs", labels)
    assert load_pairs([path]).rows == [
        {
            "prompt": [{"role": "user", "content": "question"}],
            "chosen": [{"role": "assistant", "content": "better"}],
            "rejected": [{"role": "assistant", "content": "worse"}],
        }
    ]
    assert sum(export_labels("pairs", labels).left_out.values()) == 2


def test_thumbs_become_rows_for_kto(tmp_path):
    labels = [
        label(LabelValue(passed=True), "good"),
        label(LabelValue(passed=False), "bad"),
        label(LabelValue(grade=3), "so so"),
    ]
    rows = load_thumbs([written(tmp_path, "thumbs", labels)]).rows
    assert [(row["completion"][0]["content"], row["label"]) for row in rows] == [
        ("good", True),
        ("bad", False),
    ]


def test_trainers_get_what_most_people_said_wherever_they_saw_it():
    """The answers' places differ between people; an even split teaches nothing."""
    labels = [
        label(LabelValue(preference="a"), "better", "worse"),
        label(LabelValue(preference="b"), "worse", "better", who="bob"),
        label(LabelValue(preference="a"), "worse", "better", who="eve"),
    ]
    assert [row["chosen"] for row in export_labels("pairs", labels).rows] == ["better"]
    even = export_labels("pairs", labels[1:])
    assert even.rows == ()
    assert even.left_out == {"a tie, or people disagree evenly": 1}


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("by hand")
    with pytest.raises(DataError, match="--replace"):
        write_export(path, "new", replace=False)
    assert path.read_text() == "by hand"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(
    prompt=st.text(st.characters(exclude_categories=()), min_size=1),
    answers=st.tuples(*[st.text(st.characters(exclude_categories=()))] * 2),
    comment=st.text(),
    who=st.text(min_size=1),
)
def test_any_answer_can_be_read_back_or_is_left_out(tmp_path, prompt, answers, comment, who):
    labels = [
        label(LabelValue(preference="a", comment=comment), *answers, prompt=prompt, who=who, number=1),
        label(LabelValue(passed=True, comment=comment), answers[0], prompt=prompt, who=who, number=2),
    ]
    for kind in ("calibration", "pairs", "thumbs"):
        if not (made := export_labels(kind, labels)).rows:
            assert made.left_out
            continue
        path = written(tmp_path, kind, labels)
        if kind == "calibration":
            for item in load_labelled_set(path).items:
                assert item.question == prompt
                assert (item.answer_a, item.answer_b, item.answer) in {
                    (*answers, None),
                    (None, None, answers[0]),
                }
        elif kind == "pairs":
            assert load_pairs([path]).rows[0]["chosen"][0]["content"] == answers[0]
        else:
            # Its loader refuses one-sided thumbs; a second row of the other kind makes it read the first.
            path.write_bytes(path.read_bytes() + b'{"prompt": "p", "completion": "c", "label": false}\n')
            assert load_thumbs([path]).rows[0]["completion"][0]["content"] == answers[0]


def test_a_labelled_item_has_the_tags_of_its_golden_case(tmp_path):
    tagged = label(LabelValue(passed=True), number=1)
    tagged = replace(tagged, item=replace(tagged.item, tags=("legal", "long")))
    read = load_labelled_set(
        written(tmp_path, "calibration", [tagged, label(LabelValue(passed=False), number=2)])
    )
    assert [item.tags for item in read.items] == [["legal", "long"], []]
