"""A manifest's canaries become lines; a manifest is a file on disk and may hold anything."""

from hypothesis import given
from hypothesis import strategies as st

from harness.presentation.canaries import canary_lines

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_each_line_of_the_summary_is_shown():
    lines = ["length 84 → 31 (n=64, 64), drifted", "refusals 0.00 → 0.00 (n=64, 64)"]
    assert canary_lines({"canaries": {"summary": lines}}) == lines


def test_a_manifest_without_canaries_has_no_line():
    assert canary_lines({}) == []


def test_what_could_trick_a_terminal_is_left_out():
    assert canary_lines({"canaries": {"summary": ["\x1b[2J", "right\u202eleft", 3, "length 1 → 2"]}}) == [
        "length 1 → 2"
    ]


@given(ANYTHING, ANYTHING)
def test_anything_else_is_left_out(canaries, summary):
    for manifest in ({"canaries": canaries}, {"canaries": {"summary": summary}}):
        assert all(isinstance(line, str) and line.isprintable() for line in canary_lines(manifest))
