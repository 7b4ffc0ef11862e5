"""Reading an answer as JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.json_checks import NotJsonError, parse_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_every_json_value_is_read_back(value: object) -> None:
    assert parse_json(f"\n {json.dumps(value)} \t") == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('```json\n{"a": 1}\n```', "code fence"),
        ('{"a": 1, "a": 1}', "'a' occurs twice"),
        ('[{"b": {"a": 1, "a": 2}}]', "'a' occurs twice"),
        ("NaN", "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ("1e999", "too large"),
        ("9" * 5000, "is too large"),
        ("Sure: {}", "begins with 'Sure: {}'"),
        ('{"a": 1} Hope this helps!', "more text follows the JSON: 'Hope this helps!'"),
        ('{"a": [1, 2', "ends early, after"),
        ("{'a': 1}", "line 1, column 2"),
        ("[1,\n2,]", "line 2"),
        ("[" * 100_000, "deeper"),
        ("[" * 500 + "]" * 500, "deeper than 100"),
        ('{"a":' * 101 + "1" + "}" * 101, "deeper than 100"),
        ("\ufeff{}", "\\ufeff"),
    ],
)
def test_what_is_not_strictly_json_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(NotJsonError) as caught:
        parse_json(text)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_hundred_levels_are_allowed() -> None:
    assert parse_json("[" * 100 + "1" + "]" * 100)
    with pytest.raises(NotJsonError, match="deeper than 100"):
        parse_json("[" * 101 + "]" * 101)


@given(st.text(alphabet='{}[]",:10truefalsn \\u\n', max_size=60))
def test_anything_else_is_refused_and_never_crashes(text: str) -> None:
    try:
        parse_json(text)
    except NotJsonError as error:
        assert str(error)  # noqa: PT017 # either ending is right; only another exception is a fault
