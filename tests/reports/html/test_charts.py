"""The drawings place figures on a common axis and bear any losses that a manifest may hold."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.types import Interval
from reports.html.charts import FOREST_WIDTH, LOSS_HEIGHT, LOSS_WIDTH, forest_axis, forest_row, loss_curve


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
