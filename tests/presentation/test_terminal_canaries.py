"""A manifest's canaries become lines; what could trick a terminal is left out."""

from hypothesis import given
from hypothesis import strategies as st

from harness.presentation.terminal import canary_lines
from harness.types.training import CanaryNotes, TrainingManifest


def lines_of(*summary: str) -> list[str]:
    return canary_lines(TrainingManifest(canaries=CanaryNotes(summary=summary)))


def test_each_line_of_the_summary_is_shown():
    lines = ["length 84 → 31 (n=64, 64), drifted", "refusals 0.00 → 0.00 (n=64, 64)"]
    assert lines_of(*lines) == lines


def test_a_manifest_without_canaries_has_no_line():
    assert canary_lines(TrainingManifest()) == canary_lines(None) == []


def test_what_could_trick_a_terminal_is_left_out():
    assert lines_of("\x1b[2J", "right\u202eleft", "length 1 → 2") == ["length 1 → 2"]


@given(st.lists(st.text()))
def test_every_line_can_be_printed(summary):
    assert all(line.isprintable() for line in lines_of(*summary))
