"""Words of many scripts, and numbers."""

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.text import number, one_spelling, pieces, terms, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café, Ωmega_1 北京!", ["café", "ωmega", "1", "北", "京"]),
        ("कि का", ["कि", "का"]),
        ("cafe\u0301", ["café"]),
        ("\u1112\u1161\u11ab국", ["한국"]),
        ("𠀀𠀁漢", ["𠀀", "𠀁", "漢"]),  # beyond the basic plane
        ("葛\U000e0100", ["葛"]),  # with a variation selector
        ("カー", ["カ", "ー"]),
        ("ខ្ញុំស្រលាញ់", ["ខ្ញុំ", "ស្រ", "លា", "ញ់"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("ශ්\u200dරී", ["ශ්රී"]),
        ("👩\u200d🚀👍🏽", ["👩🚀", "👍🏽"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("བོད་སྐད", ["བོད", "སྐད"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zero", "width"]),
        ("STRASSE Straße ΟΔΟΣ", ["strasse", "strasse", "οδοσ"]),
        ("x² ½ Ⅻ", ["x²", "½", "ⅻ"]),
        ("…!?", []),
    ],
)
def test_words_of_many_scripts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text())
def test_composition_changes_no_word(text: str) -> None:
    assert words(unicodedata.normalize("NFD", text)) == words(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", "5"),
        ("-5.0", "-5"),
        ("\u22125", "-5"),
        ("+1,234.5", "1234.5"),
        ("1e3", "1000"),
        (" 0.0 ", "0"),
    ],
)
def test_a_number_has_a_value(text: str, value: str) -> None:
    assert number(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "007", "1,23", "1 000", "5%", "0x1f", "1_000", "٣", "1.2.3", "nan", "1e99999", ".5"]
)
def test_what_is_no_number(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-5 and 5.0", ["-5", "and", "5"]),
        ("$5.00, 100%", ["$", "5", "100", "%"]),
        ("1,000.50", ["1000.5"]),
        ("2024-01-05", ["2024", "01", "05"]),
        ("10.0.0.1", ["10", "0", "0", "1"]),
        ("v1.10", ["v1", "10"]),
        ("a 3-8", ["a", "3", "8"]),
        ("-0.0", ["0"]),
        ("12345678901234567890123456789012345.10", ["12345678901234567890123456789012345.1"]),
    ],
)
def test_terms_are_words_numbers_and_signs(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_pieces_are_what_spaces_separate_or_single_characters() -> None:
    assert pieces("Hello, World!  don't 好的。yes ไทย") == [
        "hello,",
        "world!",
        "don't",
        "好",
        "的",
        "。yes",
        "ไ",
        "ท",
        "ย",
    ]


def test_one_spelling_has_single_spaces_and_nothing_that_is_never_drawn() -> None:
    assert one_spelling(" a\u00a0\n b\u200b\ufeff ") == "a b"
    assert one_spelling("👩\u200d🚀") == "👩\u200d🚀"
