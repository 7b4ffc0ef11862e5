import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.paired_binary import Trials, case_p_values, holm, used_level, weighted_holm


def test_a_worked_example():
    """0.01, 0.04, 0.03 among three: 3 x 0.01, then 2 x 0.03, and never less than one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), max_size=10))
def test_adjusting_never_lowers_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in order] == sorted(adjusted)


def test_a_worked_example_with_weights():
    """0.012 is above its fifth of 5 %, but 0.03 is within the other four; then 0.012 has the whole 5 %."""
    assert weighted_holm([0.03, 0.012], [4, 1]) == pytest.approx([0.0375, 0.0375])
    assert weighted_holm([0.045, 0.012], [4, 1]) == pytest.approx([0.05625, 0.05625])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), max_size=10))
def test_the_smallest_p_for_its_weight_is_tested_at_its_share(pairs):
    p_values, weights = [p for p, _ in pairs], [weight for _, weight in pairs]
    adjusted = weighted_holm(p_values, weights)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    if pairs:
        first = min(range(len(pairs)), key=lambda place: p_values[place] / weights[place])
        assert adjusted[first] == pytest.approx(min(1, p_values[first] / weights[first] * sum(weights)))


def test_a_worked_example_of_the_level_that_single_cases_use():
    """Five answers a side. 5 of 10 passed: 1/252 at the least, then 26/252. 6 of 10: 5/210 at the least.

    Both together have room in 5 %, but not in 2.5 %.
    """
    half, more = Trials(5, 5, 0, 5), Trials(5, 5, 1, 5)
    assert used_level([half], 0.025) == pytest.approx(1 / 252)
    assert used_level([half, more], 0.025) == pytest.approx(1 / 252)
    assert used_level([half, more], 0.05) == pytest.approx(1 / 252 + 5 / 210)
    assert used_level([half] * 3, 0.01) == used_level([Trials(5, 5, 5, 5)], 0.05) == 0.0


def test_the_level_used_is_one_that_a_case_can_show():
    cases = [Trials(5, 5, 0, 5), Trials(3, 5, 4, 5), Trials(5, 5, 4, 5)]
    assert min(case_p_values(cases)) == pytest.approx(used_level(cases, 0.025))
