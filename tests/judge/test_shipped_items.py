"""The labelled items that ship."""

from pathlib import Path

from harness.golden.load import LABELLED
from harness.judge.labelled import labelled_files, load_labelled_set

ROOT = Path(__file__).parents[2] / "golden_sets" / LABELLED


def test_shipped_items_are_read_and_no_label_dominates():
    """Every file loads, ids are unique over the files, and one answer for all is right at most two times of three."""
    items = [item for file in labelled_files([ROOT]) for item in load_labelled_set(file).items]
    assert len({item.id for item in items}) == len(items)
    for task in {item.task for item in items}:
        labels = [item.label for item in items if item.task == task]
        assert max(labels.count(label) for label in labels) <= len(labels) * 2 / 3


def test_shipped_items_hold_every_trap():
    """Each trap that a calibration reports is in the items."""
    items = [item for file in labelled_files([ROOT]) for item in load_labelled_set(file).items]
    assert {item.trap for item in items} == {"none", "verbose", "terse", "injection", "position"}
