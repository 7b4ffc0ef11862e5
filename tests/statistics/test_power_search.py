"""The smallest drop or number with which something holds."""

import pytest

from harness.statistics.clusters import group
from harness.statistics.power import detectable_mean_drop, least_drop, least_number


def test_the_smallest_drop_is_one_that_holds():
    found = least_drop(lambda drop: drop >= 0.3, 1.0, 1e-3)
    assert 0.3 <= found < 0.301
    assert least_drop(lambda drop: drop >= 2, 1.0, 1e-3) is None


def test_the_search_ends_where_floats_are_farther_apart_than_its_precision():
    """Cases that all fall by the same 0.2 have a spread of 1e-17, and 1e-6 of that is no step at 0.05."""
    assert least_drop(lambda drop: drop >= 0.05, 0.3, 1e-24) == 0.05
    drops = [(value + 0.2) - value for value in (0.1, 0.17, 0.23, 0.3) * 10]
    found = detectable_mean_drop(group(drops, range(40)), 0.05, margin=0.05)
    assert 0.04 < found < 0.1


@pytest.mark.parametrize("move", [1.0, -1.0, 0.25, 1e-8])
def test_the_search_ends_where_all_cases_moved_by_the_same(move):
    """A score without a margin that went from 1 to 0 in every case has no spread to begin with."""
    found = detectable_mean_drop(group([move] * 20, range(20)), 0.05, rise=1.0)
    assert 0 < found < 0.5


@pytest.mark.parametrize(("least", "first"), [(1, 1), (7, 1), (7, 5), (64, 1), (3, 5)])
def test_the_smallest_number(least, first):
    assert least_number(lambda number: number >= least, 64, first) == least


def test_the_search_begins_with_one():
    """A number that holds isn't looked below: what is tried first matters to whom a trial is dear."""
    tried = []
    assert least_number(lambda number: tried.append(number) or True, 64) == 1
    assert tried == [1]
    assert least_number(lambda number: tried.append(number) or number >= 3, 64) == 3
    assert tried == [1, 1, 2, 4, 3]


def test_no_number_up_to_the_largest():
    assert least_number(lambda number: number >= 65, 64) is None
