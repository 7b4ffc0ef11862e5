"""Numbers are written with their unit, their sign where it matters, and no more digits than they carry."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.html import figures


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (figures.count(1_234_567), "1 234 567"),
        (figures.percent(0.95), "95.0 %"),
        (figures.points(0.55), "+55.0"),
        (figures.points(-0.008), "−0.8"),
        (figures.points(0.0), "0.0"),
        (figures.points(-0.0001), "−0.01"),
        (figures.points(1e-9), "0.0"),
        (figures.percent(0.0004), "0.04 %"),
        (figures.percent(0.0), "0.0 %"),
        (figures.score(1.0), "1"),
        (figures.score(0.8124), "0.812"),
        (figures.score(12.44), "12.4"),
        (figures.score(-0.25), "−0.250"),
        (figures.mean(1.0), "1.000"),
        (figures.mean(12.44), "12.4"),
        (figures.mean(999.4), "999"),
        (figures.mean(999.7), "1000"),
        (figures.mean(-999.5), "−1000"),
        (figures.limit(999.7), "1000"),
        (figures.limit(9.999), "10"),
        (figures.mean(12345.6), "12346"),
        (figures.mean(-1e8), "−100000000"),
        (figures.mean(1e300), "1e+300"),
        (figures.mean(2e-6), "2e−06"),
        (figures.mean(-0.0004), "−0.0004"),
        (figures.mean(1e-17), "0.000"),
        (figures.mean(-1e-17), "0.000"),
        (figures.mean(0.00517), "0.00517"),
        (figures.difference(0.1234), "+0.123"),
        (figures.difference(-4.2e-6), "−4.2e−06"),
        (figures.difference(1e-17), "0.000"),
        (figures.difference(12.3), "+12.300"),
        (figures.difference(-1.5e8), "−150000000"),
        (figures.limit(0.05), "0.05"),
        (figures.limit(3e-7), "3e−07"),
        (figures.limit(250000.0), "250000"),
        (figures.p_value(0.0004), "< 0.001"),
        (figures.p_value(0.0123), "0.012"),
        (figures.p_value(0.0503), "0.0503"),
        (figures.p_value(0.0496), "0.0496"),
        (figures.p_value(0.05), "0.050"),
        (figures.duration(8.24), "8.2 s"),
        (figures.duration(200), "3 min 20 s"),
        (figures.duration(7500), "2 h 05 min"),
    ],
)
def test_figures_are_written_for_people(written: str, expected: str) -> None:
    assert written.replace("\u202f", " ") == expected


@given(st.floats(min_value=1e-6, max_value=1e6), st.integers(min_value=1, max_value=12))
def test_a_nice_step_divides_the_span_into_at_most_so_many(span: float, most: int) -> None:
    step = figures.nice_step(span, most)
    assert span / step <= most * (1 + 1e-6)
    assert round(step / 10 ** math.floor(math.log10(step) + 1e-9), 6) in {1, 2, 5, 10}
