"""Labelled items are read strictly: a wrong label would calibrate a judge wrongly."""

import pytest

from harness.errors import GoldenError
from harness.judge.labelled import labelled_files, load_labelled_set

HEAD = "name: mine\nlabelled_by: two of us, by hand\nitems:\n"
RUBRIC = """\
  - id: one
    task: rubric
    question: How long can I return it?
    rubric: Names 30 days.
    answer: Within 30 days.
    label: pass
    reason: It does.
"""
PAIR = """\
  - id: two
    task: pairwise
    question: How long can I return it?
    answer_a: Within 30 days.
    answer_b: ""
    label: a
    reason: The other is empty.
    trap: position
    cluster: returns
"""


def load(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_labelled_set(path)


def test_items_are_read_with_their_traps_and_clusters(tmp_path):
    read = load(tmp_path, HEAD + RUBRIC + PAIR)
    assert [item.label for item in read.items] == ["pass", "a"]
    assert (read.items[1].trap, read.items[1].cluster) == ("position", "returns")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "label: pass",
            "label: 4",
            r"mine.yaml:4: items\[0\]: label 4 is not allowed for rubric \(allowed: pass, fail",
        ),
        ("label: pass", "label: good", r"mine.yaml:9: items\[0\].label: found \"good\""),
        ("    rubric: Names 30 days.\n", "", r"rubric needs rubric"),
        ("    reason: It does.\n", "", r"items\[0\].reason: the key is missing"),
        ("task: rubric", "task: pairwise", r"pairwise needs answer_a"),
        ("answer: W", "answer_a: x\n    answer: W", r"rubric takes no answer_a"),
        ("reason", "raison", r"items\[0\].raison: unknown key; did you mean reason"),
        ("labelled_by: two of us, by hand\n", "", r"labelled_by: the key is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, old, new, message):
    with pytest.raises(GoldenError, match=message):
        load(tmp_path, (HEAD + RUBRIC).replace(old, new))


def test_an_id_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(GoldenError, match="'one' is taken by line 4"):
        load(tmp_path, HEAD + RUBRIC + RUBRIC)


def test_an_empty_directory_is_an_error(tmp_path):
    with pytest.raises(GoldenError, match="no labelled set here"):
        labelled_files([tmp_path])
