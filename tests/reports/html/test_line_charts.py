import math

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


def test_a_single_value_is_a_dot():
    assert line_chart("Loss", {"training": []}) is None
    chart = line_chart("Loss", {"training": [(1, 2.0)]})
    assert [(line.path, line.dots) for line in chart.lines] == [("", ((0.0, HEIGHT / 2),))]
    assert [tick.label for tick in (*chart.x_ticks, *chart.y_ticks)] == ["1", "2"]


def test_values_that_are_not_finite_leave_a_gap():
    """Their steps belong to the axis: a loss that broke down doesn't end early."""
    points = [
        (1, 1.0),
        (2, 0.5),
        (3, math.inf),
        (4, 0.5),
        (5, None),
        (6, 1.0),
        (7, 0.5),
        (8, math.nan),
        (9, None),
    ]
    chart = line_chart("Loss", {"training": points * 3})
    at = [round((step - 1) / 8 * WIDTH, 1) for step in range(10)]
    once = line_chart("Loss", {"training": points})
    assert once.lines[0].path == f"M0,0 L{at[2]:g},{HEIGHT:g} M{at[6]:g},0 L{at[7]:g},{HEIGHT:g}"
    assert (once.left_out, once.first_left_out) == (4, 3)
    assert [tick.label for tick in once.x_ticks] == ["2", "4", "6", "8"]
    # Of many points only those that stand alone have dots.
    many = line_chart(
        "Loss", {"training": [(n, 1.0 if n % 20 else None) for n in range(41)] + [(42, None), (43, 0.5)]}
    )
    assert many.lines[0].dots == ((WIDTH, HEIGHT),)
    assert chart.left_out == 12


def test_what_has_no_finite_value_is_told():
    chart = line_chart("Loss", {"training": [(3, math.nan), (4, None)]})
    assert (chart.lines, chart.left_out, chart.first_left_out) == ((), 2, 3)
    assert chart.drawing == "Loss: no finite value"


def test_a_constant_is_a_line_in_the_middle_at_its_value():
    chart = line_chart("Memory", {"most": [(1, 4.2), (2, 4.2)]})
    assert [(tick.label, tick.at) for tick in chart.y_ticks] == [("4.2", HEIGHT / 2)]


def test_small_numbers_are_short():
    chart = line_chart("Learning rate", {"rate": [(1, 2e-4), (2, 1e-4), (3, 0.0)]})
    assert [tick.label for tick in chart.y_ticks] == ["0", "5e−5", "1e−4", "1.5e−4", "2e−4"]


def test_labels_tell_close_values_apart():
    chart = line_chart("Learning rate", {"rate": [(1, 9.9999e-5), (2, 9.9990e-5)]})
    assert [tick.label for tick in chart.y_ticks] == ["9.999e−5", "1e−4"]


def test_a_step_is_marked_only_where_it_is_drawn():
    points = {"training": [(10, 1.0), (20, 0.5)]}
    assert line_chart("Loss", points, mark=15).mark == WIDTH / 2
    assert line_chart("Loss", points, mark=30).mark is None
