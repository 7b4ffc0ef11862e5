"""JSON of others fails in one way, in one line."""

import pytest

from harness.types.storage import parse_json


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
