import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.paired_binary import holm


def test_a_worked_example():
    """0.01, 0.04, 0.03 among three: 3 x 0.01, then 2 x 0.03, and never less than one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), max_size=10))
def test_adjusting_never_lowers_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)
