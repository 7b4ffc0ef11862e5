"""The smallest drop or number with which something holds."""

import pytest

from harness.statistics.power import least_drop, least_number


def test_the_smallest_drop_is_one_that_holds():
    found = least_drop(lambda drop: drop >= 0.3, 1.0, 1e-3)
    assert 0.3 <= found < 0.301
    assert least_drop(lambda drop: drop >= 2, 1.0, 1e-3) is None


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
