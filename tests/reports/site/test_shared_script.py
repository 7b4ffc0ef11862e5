"""The number functions of the site's pages, as a browser runs them: true in any unit, with signs where they matter."""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import reports.html
from reports.html import figures
from reports.site.pages import PAGES

pytestmark = pytest.mark.browser
TEMPLATES = Path(reports.html.__file__).with_name("templates")
MINUS = "−"
NUMBER = re.compile(r"[+−]?\d+(\.\d+)?(e[+−]\d+)?")
Call = Callable[..., list[str]]


@pytest.fixture(scope="module")
def call(browser: Any) -> Iterator[Call]:
    """Call a function of the script with each of several values, and the same further arguments."""
    context = browser.new_context()
    page = context.new_page()
    for part in PAGES["index.html"].scripts:
        if not part.endswith("overview.js"):
            page.add_script_tag(content=(TEMPLATES / part).read_text(encoding="utf-8"))

    def called(name: str, values: Sequence[object], *rest: object) -> list[str]:
        source = f"({{ values, rest }}) => values.map((value) => {name}(value, ...rest))"
        found: list[str] = page.evaluate(source, {"values": list(values), "rest": list(rest)})
        return found

    yield called
    context.close()


def read(text: str) -> float:
    """The figure that a text says."""
    assert NUMBER.fullmatch(text), text
    return float(text.replace(MINUS, "-"))


def drawn(low: int, high: int, count: int = 400) -> list[float]:
    """Values of either sign and any size between two powers of ten."""
    draw = random.Random(5)
    sizes = [10 ** draw.uniform(low, high) for _ in range(count)]
    return [size * draw.choice([-1, 1]) for size in sizes]


@pytest.mark.parametrize(
    ("name", "rest", "value", "text"),
    [
        ("plainMean", (), 0, "0.000"),
        ("plainMean", (), 0.5, "0.500"),
        ("plainMean", (), -0.25, "−0.250"),
        ("plainMean", (), 12.44, "12.4"),
        ("plainMean", (), 999.7, "1000"),
        ("plainMean", (), 12345.6, "12346"),
        ("plainMean", (), 2e-7, "2e−7"),
        ("plainMean", (), -2e-7, "−2e−7"),
        ("plainMean", (), -1e-17, "0.000"),
        ("hundredths", (), 0, "0.0"),
        ("hundredths", (), 0.951, "95.1"),
        ("hundredths", (), -0.008, "−0.8"),
        ("hundredths", (), 0.0004, "0.04"),
        ("hundredths", (), -1e-9, "0.0"),
        ("percent", (), 0.5, "50.0\u202f%"),
        ("meanText", (True,), 0.5, "50.0\u202f%"),
        ("meanText", (False,), 0.5, "0.500"),
        ("signedText", (True,), 0.5, "+50.0"),
        ("signedText", (True,), 0, "0.0"),
        ("signedText", (True,), 1e-9, "0.0"),
        ("signedText", (True,), -1e-9, "0.0"),
        ("signedText", (False,), 2e-7, "+2e−7"),
        ("signedText", (False,), -2e-7, "−2e−7"),
        ("signedText", (False,), 1e-17, "0.000"),
        ("signedText", (False,), -1e-17, "0.000"),
        ("spanText", (True,), [0.1, -0.05, 0.25], "[−5.0, 25.0]"),
        ("spanText", (False,), [2e-7, -1e-7, 5e-7], "[−1e−7, 5e−7]"),
        ("momentText", (), "2026-01-05T09:00:00+00:00", "2026-01-05 09:00"),
        ("momentText", (), "yesterday", "yesterday"),
        ("thousands", (), 999, "999"),
        ("thousands", (), 1234567, "1\u202f234\u202f567"),
    ],
)
def test_a_figure_is_written_for_people(call: Call, name: str, rest: tuple, value: object, text: str) -> None:
    assert call(name, [value], *rest) == [text]


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e12, 1e30])
def test_means_say_what_they_are_in_any_unit(call: Call, unit: float) -> None:
    """A cost of millionths was 0.000 in some page once."""
    values = [unit * value for value in drawn(-1, 2)]
    for value, text in zip(values, call("plainMean", values), strict=True):
        # Three decimals near 1, else three digits.
        assert read(text) == pytest.approx(value, rel=0.006, abs=0.00051 if 0.01 <= abs(value) < 10 else 0.0)
        assert text.startswith(MINUS) == (value < 0)


def test_rates_say_what_they_are_down_to_a_case_of_a_million(call: Call) -> None:
    values = [0.0, *drawn(-6, 0)]
    for value, text in zip(values, call("hundredths", values), strict=True):
        assert read(text) == pytest.approx(100 * value, rel=0.06, abs=0.051 if abs(value) >= 0.0005 else 0.0)
        assert (read(text) == 0) == (value == 0)


@pytest.mark.parametrize("rate", [True, False])
def test_differences_have_their_sign_and_only_nothing_has_none(call: Call, rate: bool) -> None:
    values = [0.0, *drawn(-22, 0 if rate else 20)]
    rounding = 1e-6 if rate else 1e-15
    for value, text in zip(values, call("signedText", values, rate), strict=True):
        found = read(text)
        if abs(value) < rounding:
            assert found == 0
            assert text[0] not in f"+{MINUS}"
        else:
            assert text[0] == ("+" if value > 0 else MINUS)
            assert (found > 0) == (value > 0)


def test_no_text_has_a_hyphen_for_a_minus_or_is_no_number(call: Call) -> None:
    values = [0.0, -0.0, *drawn(-22, 20)]
    for name, rest in (
        ("plainMean", ()),
        ("hundredths", ()),
        ("signedText", (True,)),
        ("signedText", (False,)),
    ):
        for text in call(name, values, *rest):
            assert "-" not in text
            read(text)


def test_the_pages_and_the_report_say_the_same(call: Call) -> None:
    """Below a millionth a browser writes its exponents shorter."""
    means, rates = [0.0, *drawn(-5, 14)], [0.0, *drawn(-6, 0)]
    for value, text in zip(means, call("plainMean", means), strict=True):
        assert read(text) == read(figures.mean(value)), value
    for value, text in zip(rates, call("hundredths", rates), strict=True):
        assert read(text) == read(figures.hundredths(value)), value
