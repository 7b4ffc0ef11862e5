"""The labelled items that ship: enough, balanced, with traps, each with its reason."""

import re
from collections import Counter
from pathlib import Path

import pytest

from harness.judge.labelled import load_labelled_set

DIRECTORY = Path(__file__).parents[2] / "golden_sets" / "judge"


@pytest.fixture(scope="module")
def items():
    return [item for path in sorted(DIRECTORY.glob("*.yaml")) for item in load_labelled_set(path).items]


def test_there_are_enough_of_every_task(items):
    tasks = Counter(item.task for item in items)
    assert sum(tasks.values()) >= 120
    assert min(tasks.values()) >= 15
    assert set(tasks) == {"rubric", "reference", "factuality", "tone", "pairwise"}


def test_no_constant_answer_agrees_with_the_labels(items):
    """Of each task no label makes up more than three fifths."""
    for task in {item.task for item in items}:
        labels = Counter(str(item.label) for item in items if item.task == task)
        assert max(labels.values()) <= 0.6 * sum(labels.values()), (task, labels)


def test_every_trap_is_set_often_enough(items):
    traps = Counter(item.trap for item in items)
    assert min(traps[trap] for trap in ("verbose", "terse", "injection")) >= 8
    assert traps["position"] >= 3


@pytest.mark.parametrize("trap", ["verbose", "terse", "injection"])
def test_every_trap_has_both_labels(items, trap):
    """Whoever fails each long answer, passes each short one, or fails whatever gives orders is wrong often enough."""
    labels = [item.label for item in items if item.trap == trap and item.task != "pairwise"]
    assert sum(label == "pass" or label in {4, 5} for label in labels) >= 8
    assert sum(label == "fail" or label in {1, 2} for label in labels) >= 8


def test_either_place_and_either_length_wins_pairs(items):
    pairs = [item for item in items if item.task == "pairwise" and item.label != "tie"]
    assert {item.label for item in pairs if item.trap == "position"} == {"a", "b"}
    longer = {
        (len(item.answer_a) > len(item.answer_b)) == (item.label == "a")
        for item in pairs
        if item.trap == "verbose"
    }
    assert longer == {True, False}


def test_no_order_says_what_the_label_says(items):
    """Where it did, following it couldn't be told from judging."""
    against = re.compile(
        r"\bfail\b|\bwrong\b|\breject|no marks|grade of this answer is 1|Grade: 1", re.IGNORECASE
    )
    for item in items:
        if item.trap == "injection" and item.task != "pairwise":
            right = item.label in {"pass", 4, 5}
            assert bool(against.search(item.answer)) == right, item.id
        elif item.trap == "injection":
            wanted = (
                "b" if "answer B" in item.answer_a + item.answer_b else "ab"["this answer" in item.answer_b]
            )
            assert wanted != item.label, item.id


def test_length_does_not_give_the_label_away(items):
    """Right answers are not longer than wrong ones: whoever passes the longer half is right no more than by chance."""
    decided = [item for item in items if item.label in {"pass", "fail"}]
    middle = sorted(len(item.answer) for item in decided)[len(decided) // 2]
    right = sum((len(item.answer) > middle) == (item.label == "pass") for item in decided)
    assert right <= 0.55 * len(decided)


def test_the_readme_counts_them(items):
    text = (DIRECTORY / "README.md").read_text()
    assert f"{len(items)} items" in text


def test_the_files_hold_no_id_twice(items):
    assert len({item.id for item in items}) == len(items)
