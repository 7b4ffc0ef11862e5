"""JSON of others fails in one way, in one line."""

from dataclasses import dataclass

import pytest

from benchmarks.report import made_up
from harness.types import GateRecord
from harness.types.storage import decode, encode, encode_by_parts, parse_json


@dataclass
class EmptyRecord:
    """Has no fields."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 5000, "a number has thousands of digits"),
        ("[-" + "1" * 5000 + "]", "a number has thousands of digits"),
        ("{", "Expecting property name"),
        (b"\xff\xfe\xff", "codec can't decode"),
    ],
)
def test_whatever_is_wrong_is_a_value_error(text, message):
    with pytest.raises(ValueError, match=message) as raised:
        parse_json(text)
    assert "\n" not in str(raised.value)


def test_json_is_read():
    assert parse_json('{"a": [1, 2.5, "x"]}') == {"a": [1, 2.5, "x"]}


def test_a_long_record_is_written_in_parts_as_it_would_be_at_once():
    """So that storing a run of many cases does not hold it in memory a second time."""
    record = made_up(300)
    parts = list(encode_by_parts(record))
    assert "".join(parts) == encode(record)
    assert max(map(len, parts)) < len(encode(record)) / 20
    assert decode(GateRecord, "".join(parts)) == record


@pytest.mark.parametrize("value", [None, "a", [], tuple(range(300)), {"a": [1] * 300}, EmptyRecord()])
def test_any_value_is_written_in_parts(value):
    assert "".join(encode_by_parts(value)) == encode(value)
