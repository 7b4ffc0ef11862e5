"""Labels survive whatever happens to the program."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import DataError
from harness.labelling.items import Expectation, LabelItem
from harness.labelling.journal import open_journal
from harness.labelling.label import LabelValue, current_labels
from harness.labelling.stored_labels import read_labels
from harness.types import Message


def item(number=0, text="an answer"):
    return LabelItem(
        id=f"item-{number}",
        messages=(Message(role="user", content="question"),),
        answers=(text,),
        wanted=Expectation(references=("right",)),
        origins=("candidate of run r1, model of a file",),
        runs=(("r1",),),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.jsonl"


def add(path, *labels, who="ada"):
    with open_journal(path) as journal:
        for number, said in labels:
            journal.add(item(number), said, who)


def standing(path):
    return {(label.who, label.item.id): label.said for label in current_labels(read_labels([path]))}


def test_a_label_is_in_the_file_before_the_next_question(path):
    with open_journal(path) as journal:
        label = journal.add(item(), LabelValue(passed=True, grade=4, comment="short"), "ada")
        assert read_labels([path]) == [label]
    assert label.at.endswith("+00:00")


def test_a_label_of_before_has_its_runs_from_its_origins(path):
    add(path, (0, LabelValue(passed=True)))
    stored = path.read_text()
    (now,) = read_labels([path])
    path.write_text(stored.replace(', "runs": [["r1"]]', ""))
    assert path.read_text() != stored
    assert read_labels([path]) == [now]


def test_the_last_label_of_a_person_stands_and_can_be_taken_back(path):
    add(path, (0, LabelValue(passed=True)), (1, LabelValue(grade=2)), (0, LabelValue(passed=False)))
    add(path, (0, LabelValue(passed=True)), who="bob")
    assert standing(path) == {
        ("ada", "item-1"): LabelValue(grade=2),
        ("ada", "item-0"): LabelValue(passed=False),
        ("bob", "item-0"): LabelValue(passed=True),
    }
    add(path, (0, None))
    assert ("ada", "item-0") not in standing(path)
    assert ("bob", "item-0") in standing(path)


def test_a_crash_at_any_byte_of_the_last_line_loses_none_before_it(path):
    """And what is added afterwards is found too."""
    add(path, (0, LabelValue(passed=True)))
    first = path.read_bytes()
    add(path, (1, LabelValue(passed=False, comment='ends in "}} {')))
    whole = path.read_bytes()
    for end in range(len(first), len(whole) + 1):
        path.write_bytes(whole[:end])
        add(path, (2, LabelValue(grade=5)))
        found = [label.item.id for label in read_labels([path])]
        complete = ["item-1"] if end >= len(whole) - 1 else []
        assert found == ["item-0", *complete, "item-2"], end


@pytest.mark.parametrize("line", ["[]", '{"prompt": "x"}', "hello", '{"id": "x"}'])
def test_another_file_is_refused_and_left_as_it_is(path, line):
    path.write_text(f"{line}\n")
    with pytest.raises(DataError, match=r"labels.jsonl:1: not a label"), open_journal(path):
        pass
    assert path.read_text() == f"{line}\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(text=st.text(st.characters(exclude_categories=())), comment=st.text())
def test_any_text_survives(path, text, comment):
    """Also one with half a surrogate pair, as a model that is cut may write."""
    path.unlink(missing_ok=True)
    with open_journal(path) as journal:
        label = journal.add(item(text=text), LabelValue(passed=True, comment=comment), "ada")
    assert read_labels([path]) == [label]
