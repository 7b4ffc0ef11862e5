"""Checks on JSON answers."""

import io
import json
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.definition import score_function
from harness.metrics.text import TooSlowError

ORDER = {
    "type": "object",
    "required": ["name", "quantity"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z]"},
        "quantity": {"type": "integer", "minimum": 1},
        "day": {"type": "string", "format": "date"},
    },
}
scalars = st.none() | st.booleans() | st.integers(-100, 100) | st.floats(-9, 9) | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


def test_is_json_without_a_schema_takes_any_json(score) -> None:
    assert score("is-json", "[1, 2]").value == 1
    assert score("is-json", "[1, 2").value == 0


def test_a_code_fence_is_not_stripped_in_silence(score) -> None:
    result = score("is-json", "```json\n{}\n```")

    assert result.value == 0
    assert "code fence" in result.explanation


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ({"name": "Bob", "quantity": 4}, None),
        ({"name": "Bob", "quantity": 4.0}, None),  # JSON Schema: 4.0 is an integer
        ({"name": "Bob", "quantity": True}, "$.quantity"),
        ({"name": "Bob", "quantity": 0}, "$.quantity"),
        ({"name": "bob", "quantity": 1}, "$.name"),
        ({"name": "Bob"}, "'quantity' is a required property"),
        ({"name": "Bob", "quantity": 1, "size": 2}, "'size' was unexpected"),
        ({"name": "Bob", "quantity": 1, "day": "31.12."}, "$.day"),
        ([], "$"),
    ],
)
def test_a_schema_violation_is_named_with_its_place(score, answer: object, place: str | None) -> None:
    result = score("is-json", json.dumps(answer), value=ORDER)

    assert result.value == (place is None)
    assert place is None or place in result.explanation


@pytest.mark.parametrize(
    ("schema", "answer", "valid"),
    [
        ({"multipleOf": 0.01}, 19.99, True),
        ({"multipleOf": 0.01}, 19.995, False),
        ({"multipleOf": 0.1}, 0.3, True),
        ({"multipleOf": 0.0001}, 1e308, True),
        ({"multipleOf": 5}, 10**40, True),
        ({"multipleOf": 3}, 10**40, False),
        ({"multipleOf": 1e-7}, 3e-7, True),
        ({"multipleOf": 2}, "a", True),
        ({"pattern": "^abc$"}, "abc", True),
        ({"pattern": "^abc$"}, "abc\n", False),
        ({"pattern": "^(abc|d)$"}, "d\n", False),
        ({"patternProperties": {"^a$": False}}, {"a\n": 1}, True),
        ({"propertyNames": {"pattern": "^a$"}}, {"a\n": 1}, False),
        ({"pattern": r"^\d+$"}, "٣", False),
        ({"pattern": r"^\w+$"}, "é", False),
        ({"pattern": "^a.b$"}, "a\u2028b", False),
        ({"pattern": "[$]$"}, "1$", True),
        ({"pattern": "^(?:é|ü)$"}, "ü", True),
    ],
)
@pytest.mark.parametrize("draft", ["2020-12/schema", "2019-09/schema"])
def test_multiples_are_decimal_and_patterns_are_those_of_json_schema(
    score, schema: dict[str, object], answer: object, valid: bool, draft: str
) -> None:
    whole = {"$schema": f"https://json-schema.org/draft/{draft}", "$ref": "#/$defs/a", "$defs": {"a": schema}}

    assert score("is-json", json.dumps(answer), value=whole).value == valid


def test_a_format_that_nothing_checks_is_told(score) -> None:
    schema = {
        "properties": {"at": {"format": "date-time"}, "mail": {"format": "emial"}, "day": {"format": "date"}}
    }

    told = score("is-json", "{}", value=schema).explanation

    assert told.endswith("; nothing checks the format date-time or emial")
    assert "nothing checks" not in score("is-json", "{}", value={"format": "date"}).explanation


def test_a_long_violation_is_cut(score) -> None:
    assert len(score("is-json", json.dumps(["x" * 5000]), value=ORDER).explanation) < 200


def test_a_reference_to_an_address_is_an_error_and_no_download(
    request_for, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A schema that takes anything stands ready at the address; it must not be asked for."""
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_args, **_rest: io.BytesIO(b"{}"))
    request = request_for("is-json", "{}", value={"$ref": "http://example.invalid/schema.json"})

    with pytest.raises(Exception, match="Unresolvable"):
        score_function("is-json")([request])


@pytest.mark.usefixtures("hurried")
def test_a_schema_with_a_pattern_that_backtracks_is_stopped(request_for) -> None:
    request = request_for("is-json", json.dumps("a" * 60 + "b"), value={"pattern": "(a|aa)+$"})

    with pytest.raises(TooSlowError, match="the schema's pattern"):
        score_function("is-json")([request])


def test_json_equals_names_path_expected_and_found(score) -> None:
    result = score("json-equals", '{"items": [{"n": 2}], "b": 1}', '{"items": [{"n": 3}], "a": null}')

    assert result.value == 0
    assert result.explanation == (
        "$.items[0].n: expected 3, found 2; $.a: missing, expected null; $.b: not expected, found 1"
    )


def test_only_the_first_differences_are_listed(score) -> None:
    wanted, found = {f"k{n}": 1 for n in range(9)}, {f"k{n}": 2 for n in range(9)}
    explanation = score("json-equals", json.dumps(found), json.dumps(wanted)).explanation

    assert explanation.endswith("; and 6 more differences")


def test_the_closest_reference_is_explained(score) -> None:
    result = score("json-equals", '{"a": 1, "b": 3}', '{"a": 9, "b": 9}', '{"a": 1, "b": 2}')

    assert result.explanation == "$.b: expected 2, found 3"


def test_any_reference_will_do(score) -> None:
    assert score("json-equals", "2", "1", "2").value == 1


@pytest.mark.parametrize(
    ("answer", "wanted", "equal"),
    [
        ("1", "1.0", True),
        ("true", "1", False),
        ("0", "false", False),
        ("null", "false", False),
        ('"1"', "1", False),
        ("[1, 2]", "[2, 1]", False),
        ("[1, 2]", "[1, 2, 3]", False),
        ("{}", "[]", False),
        ("1" + "0" * 400, "1.5", False),
    ],
)
def test_types_and_order_count(score, answer: str, wanted: str, equal: bool) -> None:
    assert score("json-equals", answer, wanted).value == equal


def test_tolerance_is_in_decimal_fractions(score) -> None:
    """In binary floats 1.02 - 1.01 is a little more than 0.01."""
    assert score("json-equals", "1.02", "1.01", tolerance=0.01).value == 1
    assert score("json-equals", "1.021", "1.01", tolerance=0.01).value == 0
    assert score("json-equals", "1.02", "1.01").value == 0
    assert score("json-equals", "true", "1", tolerance=5).value == 0


def test_ignored_keys_are_the_top_level_ones(score) -> None:
    assert score("json-equals", '{"a": 1, "id": 7}', '{"a": 1, "id": 8}', ignore=["id"]).value == 1
    assert score("json-equals", '{"a": {"id": 7}}', '{"a": {"id": 8}}', ignore=["id"]).value == 0


def test_a_value_takes_the_references_place(score) -> None:
    assert score("json-equals", '{"a": 1}', "no json", value={"a": 1}).value == 1


def test_a_reference_that_is_no_json_is_an_error_of_the_case(request_for) -> None:
    with pytest.raises(ValueError, match="a reference of the case is not JSON"):
        score_function("json-equals")([request_for("json-equals", "{}", "Bob")])


def test_keys_and_text_from_a_hostile_answer_stay_printable(score) -> None:
    answer = '{"\\ud800\\n": "\\ud800", "b": {"c": "\\ud800"}}'
    explanation = score("json-equals", answer, "{}").explanation

    assert explanation.encode("utf-8")
    assert "\n" not in explanation


def _reversed(value: object) -> object:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    return [_reversed(item) for item in value] if isinstance(value, list) else value


@given(values)
def test_key_order_is_no_difference(score, value: object) -> None:
    assert score("json-equals", json.dumps(_reversed(value)), json.dumps(value)).value == 1


@given(values, values)
def test_equality_is_symmetric_and_explained_when_it_fails(score, left: object, right: object) -> None:
    there = score("json-equals", json.dumps(left), json.dumps(right))
    back = score("json-equals", json.dumps(right), json.dumps(left))

    assert there.value == back.value
    assert there.value == 1 or "$" in there.explanation


@given(values, st.dictionaries(st.text(max_size=3), scalars, min_size=1, max_size=3))
def test_a_changed_leaf_is_found(score, value: object, leaf: dict[str, object]) -> None:
    """Wrapping a value beside a key that the other side lacks makes the two differ."""
    assert score("json-equals", json.dumps([value, leaf]), json.dumps([value, {}])).value == 0


@pytest.mark.parametrize(
    ("schema", "answer", "value"),
    [
        ({"maximum": 0.1}, "0.10000000000000000001", 0),
        ({"maximum": 0.1}, "0.1", 1),
        ({"maximum": 0.3}, "0.30000000000000004", 0),
        ({"minimum": 0.1}, "0.1", 1),
        ({"minimum": 0.1}, "0.09999999999999999999", 0),
        ({"exclusiveMaximum": 0.1}, "0.1", 0),
        ({"exclusiveMaximum": 0.1}, "0.09999999999999999999", 1),
        ({"exclusiveMinimum": 9007199254740992}, "9007199254740993.0", 1),
        ({"maximum": 1}, "true", 1),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 1, "exclusiveMaximum": True},
            "1",
            0,
        ),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 1, "exclusiveMaximum": False},
            "1.0",
            1,
        ),
        ({"multipleOf": 0.01}, "19.990000000000000000001", 0),
    ],
)
def test_numbers_are_compared_with_bounds_as_they_are_written(score, schema, answer, value):
    assert score("is-json", answer, value=schema).value == value


@pytest.mark.parametrize("digits", ["9" * 310, "-" + "9" * 5000])
def test_an_integer_beyond_a_float_s_range_is_refused_like_any_number(score, digits):
    found = score("is-json", digits)
    assert found.value == 0
    assert "is too large" in found.explanation


def test_a_schema_that_refers_to_itself_reads_the_deepest_answer(score):
    deepest = '{"a": ' * 99 + "1" + "}" * 99
    schema = {
        "anyOf": [{"properties": {"a": {"$ref": "#"}}, "type": "object"}, {"allOf": [{"type": "number"}]}]
    }
    assert score("is-json", deepest, value=schema).value == 1
