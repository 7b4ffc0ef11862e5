"""The jackknife's error of a mean is the textbook one."""

import math
import statistics

import pytest

from harness.statistics.jackknife import added_by_cluster, jackknife_error

VALUES = [0.0, 1.0, 1.0, 3.0, 5.0, 8.0]


def mean_of(places):
    return statistics.fmean(VALUES[place] for place in places) if places else None


def test_of_a_mean_it_is_the_standard_error():
    error, units = jackknife_error(range(6), mean_of)
    assert error == pytest.approx(statistics.stdev(VALUES) / math.sqrt(6))
    assert units == 6


def test_clusters_are_left_out_whole():
    """Two clusters: the error is half the distance of their means."""
    error, units = jackknife_error(["a", "a", "a", "b", "b", "b"], mean_of)
    assert error == pytest.approx(abs(statistics.fmean(VALUES[:3]) - statistics.fmean(VALUES[3:])) / 2)
    assert units == 2


def test_what_cannot_be_computed_without_a_case_is_passed_over():
    error, units = jackknife_error(["a", "a"], lambda places: mean_of(places) if len(places) == 2 else None)
    assert (error, units) == (0.0, 1)


def test_what_clusters_of_uneven_sizes_add_to_a_mean_is_their_own_sum():
    """1 + 0 + 2, 4 and 5 in six cases: means without each 9 / 3, 8 / 5 and 7 / 4 of 12 / 6."""
    found = added_by_cluster(2.0, [3.0, 1.6, 1.75], [3.0, 1.0, 2.0])
    assert found.sums == pytest.approx((3.0, 4.0, 5.0))
    assert (found.sizes, found.mean) == ((3.0, 1.0, 2.0), pytest.approx(2.0))


def test_of_equal_sizes_they_are_the_pseudo_values_of_tukey_and_give_the_figure():
    """Three clusters and a figure of 1: 3 - 2 d_i, whose mean of 1.2 is moved to 1."""
    found = added_by_cluster(1.0, [0.5, 1.0, 1.2], [1.0, 1.0, 1.0])
    assert found.sums == pytest.approx((2 - 0.2, 1 - 0.2, 0.6 - 0.2))
    assert found.mean == pytest.approx(1.0)


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1.0, 1e6])
def test_what_is_rounding_depends_on_the_scale(unit):
    """Of figures of 1e-10 no cluster added anything; of large ones rounding was a move."""
    found = added_by_cluster(
        2.0 * unit, [3.0 * unit, 1.6 * unit, 1.75 * unit], [3.0, 1.0, 2.0], unit=6 * unit
    )
    assert [each / unit for each in found.sums] == pytest.approx([3.0, 4.0, 5.0])
    whole = 0.1 * unit
    noise = [whole * (1 + 4e-16), whole, whole * (1 - 4e-16)]
    still = added_by_cluster(0.0, [each - whole for each in noise], [1.0, 1.0, 1.0], unit=unit)
    assert still.sums == (0.0, 0.0, 0.0)
