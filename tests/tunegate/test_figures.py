"""Figures as texts: small and large ones, and what may be told as 0."""

import pytest

from harness.types.golden import ALPHA
from tunegate.figures import (
    _LEVEL,
    both_of,
    figure_of,
    figures_of,
    form_of,
    p_of,
    rates_of,
    rise_of,
    wide_enough,
)


@pytest.mark.parametrize(
    ("figures", "form"),
    [
        ((0.9, 0.9, 0.0, 1e-17), ".2f"),
        ((0.0, 0.0, 0.0), ".2f"),
        ((0.0, 0.0, -0.03, 0.03), ".2f"),
        ((2e-6, 6e-6, -1e-7, 4.2e-6), ".3g"),
        ((-0.005, 0.0), ".3g"),
        ((1e-17,), ".2f"),
    ],
)
def test_figures_that_decimals_would_hide_have_three_digits(figures, form):
    assert form_of(figures, 2) == form


def test_one_figure_is_told_in_that_form():
    assert [figure_of(each, 3) for each in (0.25, 0.005, 2e-6, 0.0, 1e-16)] == [
        *("0.250", "0.005", "2e-06"),
        *("0.000", "0.000"),
    ]


@pytest.mark.parametrize(
    ("figures", "size", "told"),
    [
        ((0.004, -0.02, 0.03), 1.0, ["+0.004", "-0.02", "+0.03"]),
        ((3e-7, -0.0613, 0.06), 1e-6, ["+3e-07", "-0.06", "+0.06"]),
        ((3e-7, 2e-7, 4e-7), 5.0, ["+3e-07", "+2e-07", "+4e-07"]),
        ((1e-17, -0.05, 0.05), 1.0, ["+0.00", "-0.05", "+0.05"]),
        # Of values of 100 million a drop of 4e-9 is rounding; so small a one of 0.5 is none.
        ((4e-9, -0.2, 0.2), 1e8, ["+0.00", "-0.20", "+0.20"]),
        ((3e-17, 2e-17, 4e-17), 5e-10, ["+3e-17", "+2e-17", "+4e-17"]),
        ((-1.5e7, -2e7, -1e7), 1e8, ["-15000000", "-20000000", "-10000000"]),
        ((1.5e300,), None, ["+1.5e+300"]),
    ],
)
def test_only_nothing_is_told_as_0(figures, size, told):
    """Half a millionth beside an interval of the whole scale was told as 0.00."""
    assert figures_of(figures, 2, sign="+", size=size) == told


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        (0.8, 0.75, "0.80 → 0.75"),
        (0.8, 0.8, "0.80 → 0.80"),
        (0.1 + 0.2, 0.3, "0.30 → 0.30"),
        (5.0, 5.0 - 3e-7, "5.0000000 → 4.9999997"),
        (0.0, 3e-7, "0 → 3e-07"),
        (0.0, 1e-17, "0.00 → 0.00"),
        (1e-18, -1e-18, "0.00 → 0.00"),
        (0.0, -2e-15, "0 → -2e-15"),
        (2e-6, 2.0004e-6, "2e-06 → 2.0004e-06"),
        (1e8, 1.2e8, "100000000 → 120000000"),
        (float("nan"), float("nan"), "nan → nan"),
    ],
)
def test_of_two_figures_the_larger_one_is_seen(before, now, text):
    assert " → ".join(both_of(before, now, 2)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0193, "p=0.019"), (2e-9, "p=2e-09"), (0.0, "p<1e-15"), (1e-300, "p<1e-15")]
)
def test_no_p_value_is_nothing(value, text):
    assert p_of(value) == text


@pytest.mark.parametrize(
    ("p", "told"),
    [
        *[
            (0.0503, "p=0.0503"),
            (0.0497, "p=0.0497"),
            (0.05, "p=0.050"),
            (0.0512, "p=0.051"),
            (0.019, "p=0.019"),
        ],
        *[(0.0499999999, "p<=0.05"), (0.0500000001, "p>0.05")],
    ],
)
def test_a_p_value_is_told_on_its_side_of_the_level(p, told):
    assert _LEVEL == ALPHA
    assert p_of(p) == told


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        ((399 / 400, 0.989, 1.0), "99.8% [99%, 100%]"),
        ((1.0, 0.98, 1.0), "100% [98%, 100%]"),
        ((1 / 300, 0.0, 0.011), "0.3% [0%, 1%]"),
        ((0.974, 0.95, 0.99), "97% [95%, 99%]"),
    ],
)
def test_only_all_is_100_percent(rate, told):
    assert rates_of(*rate) == told


@pytest.mark.parametrize(
    ("rise", "told"),
    [
        (0.1004, ("0.1004 nats per token [0.03, 0.17]", "0.1000")),
        (0.73, ("0.73 nats per token [0.03, 0.17]", "0.10")),
    ],
)
def test_a_rise_beyond_the_limit_is_not_told_as_the_limit(rise, told):
    """It trips the wire: "rose by 0.10, limit 0.10" would be none."""
    assert rise_of((rise, 0.03, 0.17), 0.1) == told


@pytest.mark.parametrize(
    ("bound", "told"), [(0.0512, "0.06"), (0.163, "0.17"), (3.21e-7, "3.3e-07"), (1.62e8, "170000000")]
)
def test_a_wide_enough_margin_is_told_in_any_unit(bound, told):
    assert wide_enough(bound) == told
    assert bound <= float(told) <= 1.2 * bound
