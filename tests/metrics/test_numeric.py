"""Numbers in answers."""

from fractions import Fraction

import pytest

from harness.golden.quantities import UnitError, check_unit, in_unit, quantities


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The answer is 42.", ["42"]),
        ("**42**", ["42"]),
        ("1,234.5", ["1234.5"]),
        ("1 234 567", ["1234567"]),
        ("1\u202f234", ["1234"]),
        ("1'234", ["1234"]),
        ("12 34", ["12", "34"]),
        ("-3", ["-3"]),
        ("−3.5", ["-3.5"]),
        ("2.5e-3", ["0.0025"]),
        ("3×10^5", ["300000"]),
        ("3/4", ["3/4"]),
        (".5", ["1/2"]),
        ("٤٢ and ४२", ["42", "42"]),
        ("１２．５", ["12", "5"]),
        ("$5.20", ["5.2"]),
        # Neither numbers nor part of one.
        ("1.234,5", []),
        ("1,23", []),
        ("1.2.3", []),
        ("2024-05-01", []),
        ("12:30", []),
        ("3-5", []),
        ("H2O, v1.2, x2", []),
        ("1/0", []),
        ("1e999", []),
        ("9" * 5000, []),
        ("", []),
    ],
)
def test_numbers_are_read(text, numbers):
    assert [str(one.number) for one in quantities(text)] == [str(Fraction(number)) for number in numbers]


def test_a_decimal_comma_is_an_option():
    assert [one.number for one in quantities("1.234,5", ",")] == [Fraction("1234.5")]
    assert quantities("1,234.5", ",") == []


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [("5 km", "m", "5000"), ("1 h", "min", "60"), ("37 °C", "degF", "98.6"), ("40 %", "", "0.4"), ("3 kWh", "J", "10800000"), ("5 µg", "mg", "0.005"), ("$5", "$", "5")],
)  # fmt: skip
def test_units_are_converted_exactly(text, unit, number):
    assert in_unit(quantities(text)[0], unit) == Fraction(number)


@pytest.mark.parametrize(
    ("text", "unit"), [("5 km", "kg"), ("5 blah", "m"), ("5", "m"), ("5 km", "__import__")]
)
def test_units_that_do_not_convert(text, unit):
    with pytest.raises(UnitError):
        in_unit(quantities(text)[0], unit)


@pytest.mark.parametrize("unit", ["apples", "m^", "m/", "(", "\ud800"])
def test_no_unit(unit):
    with pytest.raises(UnitError):
        check_unit(unit)


@pytest.mark.parametrize(
    ("text", "value", "options", "value_is"),
    [
        ("The answer is 42.", 42, {}, 1),
        ("42.0", 42, {}, 1),
        ("42", 42.0, {}, 1),
        ("-42", 42, {}, 0),
        ("0.1", 0.1, {}, 1),
        ("420", 42, {}, 0),
        ("4.2", 42, {}, 0),
        ("forty-two", 42, {}, 0),
        ("", 0, {}, 0),
        ("3 + 4 = 7", 7, {}, 0),
        ("3 + 4 = 7", 7, {"pick": "last"}, 1),
        ("3 + 4 = 7", 3, {"pick": "first"}, 1),
        ("7, that is 7.0", 7, {}, 1),
        ("1.02", 1.01, {"tolerance": 0.01}, 1),
        ("1.03", 1.01, {"tolerance": 0.01}, 0),
        ("105", 100, {"relative": 0.05}, 1),
        ("106", 100, {"relative": 0.05}, 0),
        ("5000 m", "5 km", {}, 1),
        ("5001 m", "5 km", {}, 0),
        ("5001 m", "5 km", {"tolerance": 0.001}, 1),
        ("5 kg", "5 km", {}, 0),
        ("5", "5 km", {}, 0),
        ("5 km", 5, {}, 1),
        ("0.4", "40 %", {}, 1),
        ("40", "40 %", {}, 0),
        ("1.234,5", "1234,5", {"decimal": ","}, 1),
        ("2.54 cm", "1 in", {}, 1),
        ("180 deg", "3.141592653589793 rad", {"relative": 1e-9}, 1),
    ],
)  # fmt: skip
def test_a_number_is_compared_by_its_value(score, text, value, options, value_is):
    assert score("numeric", text, value=value, **options).value == value_is


def test_the_closest_reference_counts_and_the_reason_names_both(score):
    assert score("numeric", "7", "6", "7").value == 1
    assert score("numeric", "8 km", "7 km").explanation == "expected '7 km', found '8 km'"
