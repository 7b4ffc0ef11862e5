import math

import pytest

from reports.html.line_charts import HEIGHT, WIDTH, line_chart


def test_two_lines_share_their_axes():
    chart = line_chart(
        "Loss", {"training": [(1, 2.0), (2, 1.0), (3, 0.0)], "held out": [(2, 1.5)]}, unit="nats"
    )
    training, held_out = chart.lines
    assert training.path == f"M0,0 L{WIDTH / 2:g},{HEIGHT / 2:g} L{WIDTH:g},{HEIGHT:g}"
    assert (held_out.path, held_out.dots) == ("", ((WIDTH / 2, HEIGHT / 4),))
    assert [tick.label for tick in chart.x_ticks] == ["1", "2", "3"]
    assert chart.drawing == (
        "Loss (nats): training 2 at step 1, 0 at step 3; held out 1.5 at step 2, 1.5 at step 2"
    )


@pytest.mark.parametrize("points", [[], [(1, 2.0)], [(1, math.nan), (2, None), (3, 1.0)]])
def test_nothing_is_drawn_of_fewer_than_two_values(points):
    assert line_chart("Loss", {"training": points}) is None


def test_values_that_are_not_finite_are_counted():
    chart = line_chart("Loss", {"training": [(1, 1.0), (2, math.inf), (3, None), (4, 0.5)]})
    assert chart.left_out == 2


def test_a_constant_is_a_line_in_the_middle_at_its_value():
    chart = line_chart("Memory", {"most": [(1, 4.2), (2, 4.2)]})
    assert [(tick.label, tick.at) for tick in chart.y_ticks] == [("4.2", HEIGHT / 2)]


def test_small_numbers_are_short():
    chart = line_chart("Learning rate", {"rate": [(1, 2e-4), (2, 1e-4), (3, 0.0)]})
    assert [tick.label for tick in chart.y_ticks] == ["0", "5e−5", "1e−4", "1.5e−4", "2e−4"]


def test_a_step_is_marked_only_where_it_is_drawn():
    points = {"training": [(10, 1.0), (20, 0.5)]}
    assert line_chart("Loss", points, mark=15).mark == WIDTH / 2
    assert line_chart("Loss", points, mark=30).mark is None
