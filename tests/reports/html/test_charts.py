"""The drawings place figures on a common axis and bear any losses that a manifest may hold."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.types import Interval
from reports.html.charts import (
    FOREST_WIDTH,
    LOSS_HEIGHT,
    LOSS_WIDTH,
    Forest,
    forest_axis,
    forest_row,
    loss_curve,
    own_axis,
)


def drop(estimate: float, low: float, high: float) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, confidence=0.9, method="made up")


def test_all_rows_share_an_axis_with_zero_and_the_margins_on_it() -> None:
    drops = [drop(0.4, 0.3, 0.5), drop(-0.02, -0.1, 0.03)]
    axis = forest_axis(drops, [0.05, 0.1])
    rows = [forest_row(axis, drops[0], 0.05), forest_row(axis, drops[1], 0.1)]
    assert rows[0].zero == rows[1].zero
    assert rows[1].low < rows[1].estimate < rows[1].zero < rows[0].margin < rows[1].margin < rows[0].low
    assert "0" in [tick.label for tick in axis.ticks]
    assert all(0 <= tick.at <= FOREST_WIDTH for tick in axis.ticks)
    assert not any(row.cut_low or row.cut_high for row in rows)


def test_an_interval_beyond_the_scale_is_cut_and_says_so() -> None:
    """Log perplexity may change by more than one; it must not squeeze all other rows."""
    wide = drop(2.5, -3.0, 4.0)
    axis = forest_axis([wide, drop(0.1, 0.0, 0.2)], [0.05])
    row = forest_row(axis, wide, None)
    assert row.cut_low
    assert row.cut_high
    assert 0 <= row.low <= row.estimate <= row.high <= FOREST_WIDTH


def own_row(estimate: float, low: float, high: float, margin: float | None) -> Forest:
    interval = drop(estimate, low, high)
    return forest_row(own_axis(interval, margin), interval, margin, own=True)


@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e9, 1e80])
def test_a_score_is_drawn_the_same_in_any_unit(unit: float) -> None:
    """Costs of millionths were drawn as zero on an axis of points; latencies in milliseconds were cut."""
    row = own_row(2 * unit, 1 * unit, 4 * unit, 3 * unit)
    same = own_row(2.0, 1.0, 4.0, 3.0)
    assert (row.zero, row.low, row.estimate, row.high, row.margin) == pytest.approx(
        (same.zero, same.low, same.estimate, same.high, same.margin), abs=0.11
    )
    assert row.zero < row.low < row.estimate < row.margin < row.high
    assert [tick.at for tick in row.ticks] == pytest.approx([tick.at for tick in same.ticks], abs=0.11)
    named = [float(tick.label.replace("−", "-")) for tick in row.ticks]
    assert named == pytest.approx([at * unit for at in (0, 2, 4)])


def test_the_labels_of_an_own_axis_are_short() -> None:
    labels = [
        [tick.label for tick in own_row(*figures).ticks]
        for figures in ((-2e-6, -4e-6, 0.0, 1e-6), (0.02, -0.1, 0.2, None), (3e6, 2e6, 4e6, None))
    ]
    assert labels == [
        ["−4e−06", "−2e−06", "0"],
        ["−0.1", "0", "+0.1", "+0.2"],
        ["0", "+2e+06", "+4e+06"],
    ]


def test_a_score_without_a_drop_has_zero_in_the_middle() -> None:
    row = own_row(0.0, 0.0, 0.0, None)
    assert row.zero == row.low == row.estimate == row.high == FOREST_WIDTH / 2
    assert [tick.label for tick in row.ticks] == ["0"]


def test_an_end_without_a_limit_goes_beyond_the_axis() -> None:
    """Cases without a value on one side may have lost anything, on a scale without an end."""
    row = own_row(2.0, 1.0, math.inf, 1.5)
    assert row.cut_high
    assert not row.cut_low
    assert row.zero < row.low < row.margin < row.estimate < row.high == FOREST_WIDTH
    assert row.estimate < FOREST_WIDTH * 2 / 3


@given(
    st.lists(st.floats(-1e100, 1e100), min_size=3, max_size=3).map(sorted), st.none() | st.floats(0, 1e100)
)
def test_no_score_breaks_its_axis(ends: list[float], margin: float | None) -> None:
    low, estimate, high = ends
    row = own_row(estimate, low, high, margin)
    places = [row.zero, row.low, row.estimate, row.high, *(tick.at for tick in row.ticks)]
    assert all(0 <= place <= FOREST_WIDTH for place in places)
    assert len(row.ticks) <= 5
    assert not row.cut_low
    assert not row.cut_high


def test_rates_of_thousandths_fill_their_axis() -> None:
    """Of ten thousand cases with a margin of a tenth of a point nothing could be seen beside zero."""
    small = drop(0.0005, 0.0002, 0.0008)
    row = forest_row(forest_axis([small], [0.001]), small, 0.001)
    assert row.low - row.zero > 10
    assert row.margin is not None
    assert row.margin - row.high > 10


def test_the_loss_curve_goes_from_the_first_step_to_the_last() -> None:
    curve = loss_curve([(10, 2.0), (30, 1.0), (20, 1.5)])
    assert curve is not None
    assert curve.path == f"M0,0 L{LOSS_WIDTH / 2:g},{LOSS_HEIGHT / 4:g} L{LOSS_WIDTH:g},{LOSS_HEIGHT / 2:g}"
    assert (curve.first, curve.last, curve.lowest, curve.first_step, curve.last_step) == (
        2.0,
        1.0,
        1.0,
        10,
        30,
    )
    assert curve.y_ticks[0].label == "0"


def test_losses_that_are_no_numbers_are_counted_not_drawn() -> None:
    curve = loss_curve([(1, 1.0), (2, math.nan), (3, None), (4, math.inf), (5, 0.5)])
    assert curve is not None
    assert (curve.points, curve.unusable) == (2, 3)


@pytest.mark.parametrize("losses", [[], [(1, 1.0)], [(1, 1.0)] * 2, [(1, 1e300), (2, 1.0)]])
def test_without_two_points_there_is_no_curve(losses: list[tuple[int, float | None]]) -> None:
    assert loss_curve(losses) is None


def test_a_long_curve_is_thinned_but_keeps_its_spike() -> None:
    losses: list[float] = [1.0] * 50_000
    losses[31_234] = 9.0
    curve = loss_curve(list(enumerate(losses, start=1)))
    assert curve is not None
    assert curve.path.count("L") < 1_000
    assert ",0 " in curve.path


@given(st.lists(st.tuples(st.integers(), st.none() | st.floats()), max_size=8))
def test_no_numbers_break_the_drawing(losses: list[tuple[int, float | None]]) -> None:
    curve = loss_curve(losses)
    if curve is not None:
        assert "nan" not in curve.path
        assert "inf" not in curve.path
