"""The jackknife's error of a mean is the textbook one."""

import math
import statistics

import pytest

from harness.statistics.jackknife import jackknife_error

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
