"""A long stage says how far it is; a short one says nothing."""

import time

import pytest

from harness.presentation import stage_lines
from harness.presentation.stage_lines import StageLines


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stage_lines.time, "monotonic", lambda: now[0])
    return now


def test_the_rest_is_estimated_from_what_was_computed(clock):
    """Answers of an earlier run cost nothing: they don't make the rest look short."""
    lines = StageLines(print)
    assert lines.line() == ""
    lines.show("answering", 30, 270)
    assert lines.line() == "answering 30/270"
    clock[0] = 30.0
    lines.show("answering", 60, 270)
    assert lines.line() == "answering 60/270, about 4 min left"
    lines.lost = 3
    assert lines.line() == "answering 60/270, about 4 min left, 3 lost so far"
    lines.show("answering", 270, 270)
    assert lines.line() == "answering 270/270, 3 lost so far"
    lines.show("scoring", 0, 10)
    assert lines.line() == "scoring 0/10, 3 lost so far"


@pytest.mark.parametrize(
    ("each_s", "left"), [(0.01, "1 s"), (1, "80 s"), (3, "4 min"), (60, "80 min"), (200, "4.4 h")]
)
def test_times_are_readable(clock, each_s, left):
    lines = StageLines(print)
    lines.show("answering", 0, 90)
    clock[0] = 10 * each_s
    lines.show("answering", 10, 90)
    assert lines.line() == f"answering 10/90, about {left} left"


def test_lines_come_at_intervals_and_end_with_the_work():
    written = []
    with StageLines(written.append, every_s=0.02) as lines:
        lines.show("answering", 1, 2)
        time.sleep(0.2)
    count = len(written)
    assert count >= 2
    time.sleep(0.1)
    assert len(written) == count


def test_a_short_stage_says_nothing():
    written = []
    with StageLines(written.append) as lines:
        lines.show("answering", 1, 2)
    assert written == []
