"""Corrected means of grades in any unit are the same figures in that unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.prediction_powered import prediction_powered_difference, prediction_powered_mean
from tests.statistics.test_prediction_powered import partly

UNITS = [1e-9, 1e-6, 1e6, 1e9]
GRADES = st.integers(1, 5).map(float)


def in_unit(items, unit):
    return partly(
        [unit * value for value in items.labels],
        [unit * value for value in items.judged],
        [unit * value for value in items.judged_only],
        items.clusters,
    )


def assert_alike(scaled, found, unit):
    """Also in the weight of the judge, which the method tells to two digits, and in what else it tells."""
    (head, weight), (other_head, other_weight) = (each.method.split("weight ") for each in (scaled, found))
    assert head == other_head
    assert float(weight.split(",")[0]) == pytest.approx(float(other_weight.split(",")[0]), abs=0.0101)
    expected = [unit * each for each in (found.low, found.estimate, found.high)]
    assert (scaled.low, scaled.estimate, scaled.high) == pytest.approx(expected, rel=1e-6, abs=1e-6 * unit)


@pytest.mark.parametrize("unit", UNITS)
@given(
    labelled=st.lists(st.tuples(GRADES, GRADES), min_size=2, max_size=12),
    others=st.lists(GRADES, max_size=12),
    has_scale=st.booleans(),
)
def test_grades_in_any_unit_have_the_same_weight_and_interval(unit, labelled, others, has_scale):
    """A judge of costs of millionths never varied: it got no weight, and no error was too small to be none."""
    labels, judged = zip(*labelled, strict=True)
    items = partly(labels, judged, others)
    scale = {"least": 1.0, "most": 5.0} if has_scale else {}
    found = prediction_powered_mean(items, **scale)
    scaled = prediction_powered_mean(
        in_unit(items, unit), **{name: unit * end for name, end in scale.items()}
    )
    assert_alike(scaled, found, unit)


@pytest.mark.parametrize("unit", [1.0, *UNITS])
def test_what_labels_without_an_error_may_miss_is_in_their_unit(unit):
    """Where the scale has no end it was a share of 1, of costs of 3e-6 too."""
    items = partly([3.0] * 20, [3.0] * 20, [3.0] * 40)
    found = prediction_powered_mean(in_unit(items, unit))
    unseen = 3 * (1 - 0.05 ** (1 / 20))
    assert (found.low / unit, found.high / unit) == pytest.approx((3 - unseen, 3 + unseen))


@pytest.mark.parametrize("label", [0.1, 0.3, 0.7, 1.1])
def test_labels_that_are_all_alike_give_no_judge_weight(label):
    """Their mean may differ from each of them by rounding, which gave the judge a weight of 1e-17."""
    judged, others = [0.2, 0.9, 0.4, 0.4, 0.6, 0.1, 0.8], [0.3, 0.9, 0.2, 0.5]
    found = prediction_powered_mean(partly([label] * 7, judged, others), most=2.0, least=0.0)
    unseen = 2.0 * (1 - 0.05 ** (1 / 7))
    assert found.high == pytest.approx(min(label + unseen, 2.0))
    assert "weight 0.00" in found.method


@pytest.mark.parametrize("unit", UNITS)
@given(st.lists(st.tuples(GRADES, GRADES, GRADES, GRADES), min_size=2, max_size=8), st.integers(0, 3))
def test_differences_in_any_unit_have_the_same_interval(unit, rows, more):
    """Of two sides of the same cases."""
    first, own, second, other = zip(*rows, strict=True)
    names = [*(f"c{place}" for place in range(len(rows))), *(f"d{place}" for place in range(more))]
    sides = (
        partly(first, own, [2.0, 4.0, 3.0][:more], names),
        partly(second, other, [3.0, 3.0, 5.0][:more], names),
    )
    found = prediction_powered_difference(*sides, span=4.0)
    scaled = prediction_powered_difference(*(in_unit(side, unit) for side in sides), span=4.0 * unit)
    expected = [unit * each for each in (found.low, found.estimate, found.high)]
    assert (scaled.low, scaled.estimate, scaled.high) == pytest.approx(expected, rel=1e-6, abs=1e-6 * unit)
