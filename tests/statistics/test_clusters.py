"""Independent units: sums over clusters, Kish's effective number, the unseen share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.clusters import group, unseen_share, variance_inside


def test_values_are_added_up_by_cluster():
    units = group([1.0, 0.0, 0.5, 0.25], ["a", 1, "a", 2])
    assert units.sums == (1.5, 0.0, 0.25)
    assert units.sizes == (2.0, 1.0, 1.0)
    assert units.mean == pytest.approx(1.75 / 4)


@given(st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 5)), min_size=1, max_size=40))
def test_the_scaled_sums_average_to_the_mean_of_a_case(values):
    units = group([value for value, _ in values], [cluster for _, cluster in values])
    assert sum(units.scaled) / units.count == pytest.approx(units.mean)
    assert 1 - 1e-9 <= units.effective <= units.count + 1e-9


def test_unequal_clusters_count_for_less():
    """Kish: (8 + 1 + 1)^2 / (64 + 1 + 1); equal ones count in full."""
    assert group([0.0] * 10, [0] * 8 + [1, 2]).effective == pytest.approx(100 / 66)
    assert group([0.0] * 10, [0, 1] * 5).effective == pytest.approx(2)


def test_fifty_nine_draws_exclude_five_percent():
    """The least n with 0.95^n <= 0.05 is 59."""
    assert unseen_share(59, 0.05) < 0.05 < unseen_share(58, 0.05)


def test_the_variance_inside_clusters_of_a_worked_example():
    """About their means of 2 and 5: 1 + 1 + 0 of the three, 4 + 4 of the two; 10 over 6 cases less 3 clusters."""
    values, clusters = [1.0, 3.0, 2.0, 3.0, 7.0, 9.0], ["a", "a", "a", "b", "b", "c"]
    assert variance_inside(values, clusters) == pytest.approx(10 / 3)
    assert variance_inside(values, range(6)) == 0.0
    assert variance_inside([0.1] * 3, ["a"] * 3) == pytest.approx(0.0, abs=1e-12)
