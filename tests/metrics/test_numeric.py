"""Numbers in answers."""

from fractions import Fraction

import pytest

from harness.golden.quantities import quantities
from harness.golden.unit_conversion import UnitError, check_unit, converted, joined
from tests.metrics.growth import LongText, grows_as_its_length


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1 hour 30 minutes", [("3/2", "hour")]),
        ("1h30m15s", [("5415/3600", "h")]),
        ("2 days, 3 hours and 30 minutes", [("103/48", "days")]),
        ("5'11\"", [("71/12", "ft")]),
        ("-1 h 30 min", [("-3/2", "h")]),
        ("$12 and 50 cents", [("25/2", "$")]),
        ("£5 30 p", [("53/10", "£")]),
        # Of no one kind, not smaller, not less than one of it, or of a sum.
        ("1 km 5 kg", [("1", "km"), ("5", "kg")]),
        ("30 minutes 1 hour", [("30", "minutes"), ("1", "hour")]),
        ("1 hour 90 minutes", [("1", "hour"), ("90", "minutes")]),
        ("5 m by 20 cm", [("5", "m"), ("20", "cm")]),
        ("5 m + 20 cm", [("5", "m"), ("20", "cm")]),
        ("5 m\n20 cm", [("5", "m"), ("20", "cm")]),
        ("5 m 20 sec", [("5", "m"), ("20", "sec")]),
    ],
)
def test_parts_of_one_quantity_are_joined(text, parts):
    found = joined(quantities(text))
    assert [(one.number, one.unit) for one in found] == [(Fraction(number), unit) for number, unit in parts]


def in_unit(text, unit):
    (found,) = quantities(text)
    return converted(found.number, found.unit, unit)


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
        ("１２．５", ["25/2"]),
        ("$5.20", ["5.2"]),
        # Of an equation the result.
        ("6*7 = 42", ["42"]),
        ("6 x 7 = 42", ["42"]),
        ("10 - 2 = 8", ["8"]),
        ("(3 + 4) * 2 = 14", ["14"]),
        ("2.5 \\times 4 = 10", ["10"]),
        ("- 6*7 = **42**", ["42"]),
        ("42 = 6*7", ["42"]),
        ("20% of 50 is 10", ["10"]),
        ("f(3) = 10", ["10"]),
        ("6*7 = 42, 2 + 2 = 4", ["42", "4"]),
        ("- 6*7 = 42\n- 2 + 2 = 4", ["42", "4"]),
        ("not 6*7 = 42", ["7", "42"]),
        ("6*7 ≠ 42", ["6", "7"]),
        ("5 + 5 is not 11", ["5", "5"]),
        ("2x + 5 = 13", ["2", "5", "13"]),
        ("x = 3 + 4", ["3", "4"]),
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
    assert in_unit(text, unit) == Fraction(number)


@pytest.mark.parametrize(
    ("text", "unit"), [("5 km", "kg"), ("5 blah", "m"), ("5", "m"), ("5 km", "__import__")]
)
def test_units_that_do_not_convert(text, unit):
    with pytest.raises(UnitError):
        in_unit(text, unit)


@pytest.mark.parametrize("unit", ["apples", "m^", "m/", "(", "\ud800", "Gb", "KB"])
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
        ("3 + 4 = 7", 7, {}, 1),
        ("3 + 4 = 7", 3, {"pick": "first"}, 0),
        ("3 + 4 is 7, plus 1 is 8", 8, {}, 0),
        ("3 and 7", 7, {"pick": "last"}, 1),
        ("3 and 7", 3, {"pick": "first"}, 1),
        ("1 hour 30 minutes", "90 min", {}, 1),
        ("1 hour 30 minutes", "30 min", {}, 0),
        ("1 hour 30 minutes or 2 hours", "90 min", {}, 0),
        ("90 minutes", "1 h 30 min", {}, 1),
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


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5 million", "5000000"), ("$5 bn", "5000000000"), ("$5k", "5000"), ("5k", "5000"), ("5万", "50000"), ("3억", "300000000"),
        ("5 hundred thousand", "500000"), ("5 Millionen", "5000000"), ("5 млн", "5000000"), ("5 लाख", "500000"), ("12,34,567", "1234567"),
        ("minus 5", "-5"), ("Negative 5", "-5"), ("负5", "-5"), ("-$5", "-5"), ("$-5", "-5"), ("- 5", "-5"),
        ("5²", "25"), ("10^20", str(10**20)), ("1×10²⁰", str(10**20)), (r"3 \times 10^{4}", "30000"), ("2**10", "1024"), ("5 1/2", "11/2"), ("5½", "11/2"),
        (r"\frac{3}{4}", "3/4"), (r"-\dfrac{3}{4}", "-3/4"), (r"\boxed{1\frac{1}{2}}", "3/2"), ("1{,}000", "1000"), (r"1\,000", "1000"), (r"$5\%$", "5"), (r"5\text{ km}", "5"),
        ("5e3", "5000"), ("٣٫٥", "7/2"), ("१२", "12"), ("<answer>5</answer>", "5"), ("_5_", "5"), ("5!", "5"), ("It is 5, not 6.", "5"), ("答案是5。", "5"), ("共5个", "5"), ("5人", "5"),
    ],
)  # fmt: skip
def test_sizes_signs_and_powers_are_part_of_a_number(text, number):
    assert [one.number for one in quantities(text)] == [Fraction(number)]


@pytest.mark.parametrize(
    "text",
    [
        "5-6", "5 - 6", "5–6", "5 to 6", "5 or 6", "between 5 and 6", "5 ± 1", "±5", "5+/-1", "5 bis 6", "5 oder 6", "5至6", "not 5", "isn't 5", "≠5", "ist nicht 5",
        "less than 5", "more than 5", "> 5", "<5", "≥ 5", "at least 5", "up to 5", "5%", "5 percent", "5 ‰", "5:30", "5/2", "5th", "5²", "5π", "3√5",
        "0x5", "5e999999999", "5 million", "5 K", "5M", "minus 5", "negative five", "COVID-5", "v5", "5-5-2024", "$5k", "5 dozen", "a\n- 5", "5, 6 or 7", "1 or 5", "3 + 5", "5人から6人", "第5", "5 or more people than 4", "three to 5 or 6", "5.0.0", "5,0", "5~6", "(5, 6)", "5 × 2", "5 out of 10", "1999-5",
    ],
)  # fmt: skip
def test_what_is_no_plain_five_is_none(score, text):
    assert score("numeric", text, value=5).value == 0
    assert score("numeric", text, value="5 km").value == 0


@pytest.mark.parametrize(
    ("text", "value", "value_is"),
    [
        ("1 MW", "1 mW", 0), ("1 Ms", "1 ms", 0), ("1 Mb", "1 MB", 0), ("1 KB", "1 kB", 0), ("1 mb", "1 MB", 0), ("1 gg", "1 Gg", 0), ("1 MHZ", "1 MHz", 0), ("1 Mm", "1 mm", 0),
        ("4.5 KM", "4.5 km", 1), ("1 Kg", "1 kg", 1), ("5 Kilometers", "5 km", 1), ("5 HOURS", "300 min", 1), ("100 uF", "100 μF", 1), ("20 ℃", "20 °C", 1),
        ("20 degrees Celsius", "20 °C", 1), ("20 K", "20 °C", 0), ("273.15 K", "0 °C", 1), ("10000 cm²", "1 m2", 1), ("5 square meters", "5 m^2", 1),
        ("5 km per hour", "5 km", 0), ("5 km / h", "5 km", 0), ("5 km an hour", "5 km/h", 1), ("5 km squared", "5 km", 0), ("5 m/s", "5 m", 0),
        ("10", "10 dB", 0), ("10 dB", "10 dB", 1), ("10 dBm", "10 dB", 0), ("8 bit", "1 B", 1), ("8 rad", "1 B", 0), ("8", "1 B", 0), ("1", "1 rad", 0), ("1 rpm", "1 Hz", 0),
        ("5 dollars", "$5", 1), ("USD 5", "$5", 1), ("5 USD", "$5", 1), ("€5", "$5", 0), ("A$5", "$5", 0), ("$5 CAD", "$5", 0), ("$5 million", "$5", 0), ("$5 each", "$5", 1), ("$5", "5 USD", 1),
        ("50%", 0.5, 1), ("50 percent", "50 %", 1), ("0.5", "50%", 1), ("5 km (5000 m)", "5 km", 1), ("5 km (6000 m)", "5 km", 0), ("5\u2003km", "5 km", 1), ("a 5-km run", "5 km", 1),
    ],
)  # fmt: skip
def test_the_case_and_the_kind_of_a_unit_count(score, text, value, value_is):
    assert score("numeric", text, value=value).value == value_is


@pytest.mark.parametrize(("text", "is_unclear"), [("5-6", True), ("5 or 6", True), ("5 and 7", True), ("5:30", True), ("5 M", True), ("7", False), ("none", False)])  # fmt: skip
def test_what_cant_be_read_is_no_proof_of_another_number(score, text, is_unclear):
    assert score("numeric", text, value=5).unclear is is_unclear


@pytest.mark.parametrize(
    "text",
    [
        LongText("1 ", 20_000),
        LongText("1,111", 20_000),
        LongText("1 111 ", 20_000),
        LongText("1", 100_000),
        LongText("a.", 50_000, before="1"),
        LongText("1 or ", 20_000),
        LongText(" ", 100_000, after="1"),
        LongText("minus ", 20_000),
    ],
    ids=str,
)
def test_long_answers_are_read_in_time(score, text):
    assert grows_as_its_length(lambda answer: score("numeric", answer, value=5), text)


@pytest.mark.parametrize(
    "text",
    ["3 is wrong", "3 km is wrong", "3 is not the answer", "3 isn't right", "3 is too low", "-(3)", "− ( 3)", "1 234,5", "1\u202f234,5"],
)  # fmt: skip
def test_a_number_that_is_denied_behind_it_or_in_other_marks_is_not_read(text):
    assert quantities(text) == []


@pytest.mark.parametrize("text", ["3?", "**3**?", "3 ?", "Is it (3)?", "3？"])
def test_a_number_that_is_asked_is_left_open(text):
    assert [one.is_hedged for one in quantities(text)] == [True]


@pytest.mark.parametrize(
    "text",
    ["3 is not prime", "3 is right", "It is 3, which is what was wrong before", "3 was correct, I said 4 is wrong", "x (3)", "3 apples", "What is 1 + 2? 3"],
)  # fmt: skip
def test_what_is_said_of_another_thing_denies_no_number(text):
    assert 3 in [one.number for one in quantities(text) if not one.is_hedged]
