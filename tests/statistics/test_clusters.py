"""Independent units: sums over clusters, Kish's effective number, the unseen share."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.clusters import Units, group, joined, spreads, unseen_share, variance_inside


def test_values_are_added_up_by_cluster():
    units = group([1.0, 0.0, 0.5, 0.25], ["a", 1, "a", 2])
    assert units.sums == (1.5, 0.0, 0.25)
    assert units.sizes == (2.0, 1.0, 1.0)
    assert units.mean == pytest.approx(1.75 / 4)


def test_items_with_a_common_mark_are_joined_through_others_too():
    """The first and the fourth have no mark in common, but each has one with the third."""
    first, second, third, fourth, fifth = joined([["a"], ["b"], ["a", "c"], iter(["c"]), []])
    assert first == third == fourth
    assert len({first, second, fifth}) == 3


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


def test_the_spread_of_clusters_of_a_worked_example():
    """Means 0.1, -0.1 and 0.2 vary by 0.07 / 3; of it 0.02 x (1 + 1 + 1/4) / 3 = 0.015 is of cases by themselves.

    1/120 is left between clusters: 0.02 + 1/120 for a single case, 4 x 0.02 + 16 / 120 for four. Half of all samples
    show less than ln 2 of it: with two degrees of freedom chi-squared has the median 2 ln 2.
    """
    uneven = Units(sums=(0.1, -0.1, 0.8), sizes=(1.0, 1.0, 4.0), inside=0.02)
    shown = np.array([0.02 + 1 / 120] * 2 + [0.08 + 16 / 120])
    assert spreads(uneven) == pytest.approx(shown / math.log(2))
    # Means that vary by less than cases by themselves would: 0.2 of 3 degrees of freedom, 0.28 / 9 of 2.
    calm = Units(sums=uneven.sums, sizes=uneven.sizes, inside=0.2)
    pooled = (3 * 0.2 + 2 * 0.28 / 9) / 5 / (4.35146 / 5)
    assert spreads(calm) == pytest.approx([pooled] * 2 + [4 * pooled], rel=1e-5)
    # Of one size the means are enough: 9 x 0.01.
    for inside in (0.0, 0.02):
        even = Units(sums=(0.6, 0.3, 0.0), sizes=(3.0,) * 3, inside=inside)
        assert spreads(even) == pytest.approx([0.09 / math.log(2)] * 3)
