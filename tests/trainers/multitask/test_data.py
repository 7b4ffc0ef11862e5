"""A row that can't be used is named by file and line, before anything is trained."""

import json

import pytest

from harness.errors import DataError
from trainers.multitask.config import MultitaskConfig
from trainers.multitask.data import load_tasks

LABEL = {"text": "book a room", "label": "book"}
ENTITIES = {"text": "anna is in oslo", "entities": [{"type": "city", "start": 11, "end": 15}]}
SPAN = {"question": "who is in?", "passage": "anna is in oslo.", "answer": "oslo"}


def load(tmp_path, kind, rows, held_out=None):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {"name": "task", "kind": kind, "data": tmp_path / "rows.jsonl"}
    if held_out is not None:
        (tmp_path / "held_out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held_out))
        task["eval_data"] = tmp_path / "held_out.jsonl"
    config = MultitaskConfig.model_validate({"output": tmp_path / "out", "tasks": [task], "golden": []})
    return load_tasks(config)["task"]


def test_labels_are_sorted_and_the_answer_is_the_label(tmp_path):
    data = load(tmp_path, "label", [LABEL, {"text": "a call", "label": "a"}])
    assert data.task.labels == ("a", "book")
    assert data.train.rows[0]["answer"] == "book"


def test_the_answer_of_entities_is_what_the_gate_reads(tmp_path):
    data = load(tmp_path, "entities", [ENTITIES, {"text": "none here", "entities": []}])
    assert data.task.labels == ("O", "B-city", "I-city")
    assert data.train.rows[0]["answer"] == '[{"type": "city", "text": "oslo"}]'
    assert data.train.rows[1]["answer"] == "[]"


def test_a_span_is_found_in_its_passage(tmp_path):
    row = load(tmp_path, "span", [SPAN]).train.rows[0]
    assert row["text"] == "who is in?\n\nanna is in oslo."
    assert row["target"] == (11, 15)


def test_a_start_is_counted_in_the_passage_as_written(tmp_path):
    row = {**SPAN, "passage": "  oslo, oslo", "start": 8}
    assert load(tmp_path, "span", [row]).train.rows[0]["target"] == (6, 10)


@pytest.mark.parametrize(
    ("kind", "row", "message"),
    [
        ("label", {"text": "a"}, "label: found None"),
        ("label", {"text": " ", "label": "a"}, "text: found ' '"),
        ("label", {**LABEL, "extra": 1}, r"unknown key 'extra' \(allowed: label, text\)"),
        ("entities", {"text": "a"}, "entities: found None .*a list"),
        ("entities", {"text": "a", "entities": [{"type": "x"}]}, "entities: found .*start and end"),
        ("entities", {"text": "a", "entities": [{"type": "x", "start": 0, "end": 2}]}, "start 0 and end 2 in 1 char"),
        ("entities", {"text": "a", "entities": [{"type": "x", "start": True, "end": 1}]}, "found start True"),
        ("entities", {"text": "a", "entities": [{"type": "", "start": 0, "end": 1}]}, "type: found ''"),
        ("span", {**SPAN, "answer": "rome"}, "answer: 'rome' is not in the passage"),
        ("span", {**SPAN, "answer": "n"}, "answer: 'n' occurs 3 times; give start"),
        ("span", {**SPAN, "start": 3}, "start: the answer 'oslo' doesn't begin at 3"),
        ("span", {**SPAN, "start": "11"}, "start: the answer 'oslo' doesn't begin at '11'"),
        ("span", {**SPAN, "question": "who?\n\nwhere?"}, "question: contains an empty line"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named(tmp_path, kind, row, message):
    good = {"label": LABEL, "entities": ENTITIES, "span": SPAN}[kind]
    with pytest.raises(DataError, match=rf"rows.jsonl:2: .*{message}"):
        load(tmp_path, kind, [good, row])


def test_one_label_is_nothing_to_learn(tmp_path):
    with pytest.raises(DataError, match="all rows of task have the label 'book'"):
        load(tmp_path, "label", [LABEL])


def test_text_without_any_entity_is_nothing_to_learn(tmp_path):
    with pytest.raises(DataError, match="no row of the task task has an entity"):
        load(tmp_path, "entities", [{"text": "a", "entities": []}])


def test_a_held_out_row_may_not_be_trained_on(tmp_path):
    rows = [LABEL, {"text": "a call", "label": "a"}]
    with pytest.raises(DataError, match=r"held_out.jsonl:1: .*is in the training data too: .*rows.jsonl:1"):
        load(tmp_path, "label", rows, [{"text": "Book a room!", "label": "book"}])


@pytest.mark.parametrize(
    ("kind", "held_out", "message"),
    [
        (
            "label",
            {"text": "new", "label": "c"},
            r"found 'c', which no training row has \(allowed: a, book\)",
        ),
        (
            "entities",
            {"text": "new", "entities": [{"type": "c", "start": 0, "end": 3}]},
            r"found 'c'.*allowed: city",
        ),
    ],
)
def test_a_held_out_row_of_an_unknown_label_is_named(tmp_path, kind, held_out, message):
    rows = {"label": [LABEL, {"text": "a call", "label": "a"}], "entities": [ENTITIES]}[kind]
    with pytest.raises(DataError, match=rf"held_out.jsonl:1: {message}"):
        load(tmp_path, kind, rows, [held_out])


def test_a_golden_case_in_the_data_stops_training(tmp_path):
    golden = tmp_path / "desk.yaml"
    golden.write_text(
        "name: desk\ncases:\n  - id: room\n    prompt: Book a room\n    references: [book]\n    checks: [{type: equals}]\n"
    )
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [{"text": "x", "label": "a"}, LABEL])
    )
    task = {"name": "task", "kind": "label", "data": tmp_path / "rows.jsonl"}
    settings = {"output": tmp_path / "out", "tasks": [task], "golden": [golden]}
    with pytest.raises(DataError, match=r"rows.jsonl:2: golden case desk/room"):
        load_tasks(MultitaskConfig.model_validate(settings))
    leaky = load_tasks(MultitaskConfig.model_validate({**settings, "leakage": "allow"}))
    assert len(leaky["task"].train.leakage["found"]) == 1
