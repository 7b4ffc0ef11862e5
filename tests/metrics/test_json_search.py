"""JSON inside answers, and parts of JSON answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.golden.json_paths import JsonPathError, compiled_path
from harness.metrics.json_checks import schema_violation
from harness.metrics.json_search import contains_for_good, json_inside

ORDER = '{"items": [{"name": "tea", "price": 1.02}, {"name": "cup", "price": 2}], "note": null}'


@pytest.mark.parametrize(
    ("path", "value", "value_is"),
    [
        ("$.items[0].name", "tea", 1),
        ("$.items[0].name", "cup", 0),
        ("$.items[-1].price", 2.0, 1),
        ("$.items[*].name", ["tea", "cup"], 1),
        ("$.items[*].name", ["cup", "tea"], 0),
        # A path that may select many gives a list, whatever it selects.
        ("$.items[?@.price > 2].name", [], 0),
        ("$.items[?@.price > 1.5].name", ["cup"], 1),
        ("$.items[?@.price > 1.5].name", "cup", 0),
        ("$.note", None, 1),
        ("$.missing", None, 0),
        ("$.missing", "x", 0),
        ("$..price", [1.02, 2], 1),
        ("$", {"a": 1}, 0),
    ],
)
def test_a_path_selects_the_value(score, path, value, value_is):
    assert score("json-path", ORDER, value=value, path=path).value == value_is


def test_numbers_are_compared_as_decimals(score):
    assert score("json-path", ORDER, value=1.03, path="$.items[0].price", tolerance=0.01).value == 1
    assert score("json-path", ORDER, value=1.04, path="$.items[0].price", tolerance=0.01).value == 0


@pytest.mark.parametrize("text", ["", "tea", "```json\n{}\n```", '{"a": NaN}', "[" * 5000, '{"a":1,"a":2}'])
def test_what_is_not_json_fails(score, text):
    assert score("json-path", text, path="$").value == 0


@pytest.mark.parametrize(
    "path", ["", "a.b", "$.a[", "$[?match(@.a, '(a|aa)+$')]", "$.a ", "$" + "[0]" * 0 + "..", "$['a'"]
)
def test_no_path(path):
    with pytest.raises(JsonPathError):
        compiled_path(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('Sure: {"a": 1}.', [{"a": 1}]),
        ('```json\n{"a": [1]}\n```', [{"a": [1]}]),
        ('{"a": 1} and [2]', [{"a": 1}, [2]]),
        ('{"a": {"b": 1}}', [{"a": {"b": 1}}]),
        ('{x} {"a": 1}', [{"a": 1}]),
        ('{"a": 1', []),
        ('{"a": NaN} {"b": 1, "b": 2}', []),
        ('3 "text" null', []),
        ("", []),
        ('{"a": "}"}', [{"a": "}"}]),
        ('{{"a": 1}}', [{"a": 1}]),
    ],
)
def test_json_is_found_inside_a_text(text, found):
    assert list(json_inside(text)) == found


def test_contains_json_takes_any_value_that_is_valid_under_the_schema(score):
    schema = {"type": "object", "required": ["a"]}
    assert score("contains-json", 'First {"b": 1}, then {"a": 1}', value=schema).value == 1
    failed = score("contains-json", 'First {"b": 1}', value=schema)
    assert (failed.value, failed.explanation) == (0, "$: 'a' is a required property")
    assert score("contains-json", "nothing").value == 0
    assert score("contains-json", "see [1]").value == 1


def test_a_text_of_brackets_holds_no_json_or_is_an_error_and_not_a_long_wait(monkeypatch):
    assert list(json_inside("{" * 20_000)) == list(json_inside("[{" * 20_000)) == []
    monkeypatch.setattr("harness.metrics.json_search._MOST_READ", 10_000)
    with pytest.raises(ValueError, match="brackets"):
        list(json_inside(('{"a":' + "1" * 3_000 + "!") * 5))


def test_deep_nesting_is_left_out_at_once():
    """What is inside it, and not too deep, is found."""
    assert list(json_inside("[" * 50_000)) == []
    (found,) = json_inside("[" * 9_000 + "1" + "]" * 50)
    assert str(found) == "[" * 50 + "1" + "]" * 50


PARTS = (
    "{",
    "}",
    "[",
    "]",
    '"a"',
    ": 1",
    ", ",
    '"',
    "\\",
    "\\u12",
    "tru",
    "e",
    "-",
    "1e",
    "NaN",
    " x ",
    "\n",
    '{"a": 1}',
)
SCHEMAS = (None, {"type": "object"}, {"type": "array", "minItems": 2}, {"required": ["a"]})
written = st.lists(st.sampled_from([*PARTS, " and so on, it goes on and on "]), max_size=14).map("".join)


@given(written, written, st.sampled_from(SCHEMAS))
def test_what_contains_json_for_good_does_so_whatever_follows(begun, rest, schema):
    if contains_for_good(begun, schema):
        counts = [
            any(schema is None or schema_violation(value, schema) is None for value in json_inside(text))
            for text in (begun, begun + rest)
        ]
        assert counts == [True, True]


@pytest.mark.parametrize(
    ("begun", "for_good"),
    [
        ('Here: {"a": 1}', True),
        ('{"a": 1', False),
        ('[{"a": 1}', False),  # it may be part of an array
        ('[see below] {"a": 1}', True),
        ('[12 {"a": 1}', False),  # a little more text shows that this is no array
        ('[12 {"a": 1} is the answer', True),
        ('say "[" and {"a": 1}', False),
        ('say "[" and {"a": 1}, as you asked', True),
        ('["quoted {"a": 1}', False),
        ('["unfinished {1} [2]', False),
        ('{"b": 1, "b": 2} {"a": 1}', True),
        ("[1, 2]", False),  # it is valid under no schema of objects
        ("[" * 50_000 + '{"a": 1}', False),
    ],
)
def test_json_that_counts_in_every_longer_text(begun, for_good):
    assert contains_for_good(begun, {"type": "object"}) is for_good


def test_a_schema_that_cannot_be_followed_is_left_to_the_end():
    assert not contains_for_good('{"a": 1}', {"$ref": "https://example.org/none"})
