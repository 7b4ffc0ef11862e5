"""Patterns in a JSON Schema end in time, wherever they stand, in every draft; what they decide stays jsonschema's."""

import threading

import jsonschema
import pytest
from jsonschema.validators import validator_for

from harness.metrics.json_checks import is_json, parse_json, schema_violation
from harness.metrics.schema_patterns import pattern_time, with_time
from harness.metrics.text import PatternTime, TooSlowError

ENDLESS, NAME = "^(a|aa)+$", "a" * 60 + "b"
DRAFTS = ["http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema"]  # fmt: skip


def errors_of(schema, answer, seconds=0.05):
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    with pattern_time(PatternTime(what="the pattern", seconds=seconds)):
        return [error.message for error in with_time(kind)(schema).iter_errors(answer)]


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"pattern": ENDLESS}, NAME),
        ({"patternProperties": {ENDLESS: {"type": "string"}}}, {NAME: 1}),
        ({"additionalProperties": False, "patternProperties": {ENDLESS: {}}}, {NAME: 1}),
        ({"unevaluatedProperties": False, "patternProperties": {ENDLESS: {}}}, {NAME: 1}),
        ({"unevaluatedProperties": False, "allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"patternProperties": {ENDLESS: {}}}}}, {NAME: 1}),
        ({"propertyNames": {"pattern": ENDLESS}}, {NAME: 1}),
        ({"items": {"anyOf": [{"type": "integer"}, {"pattern": ENDLESS}]}}, [NAME]),
        ({"$ref": "#/$defs/name", "$defs": {"name": {"pattern": ENDLESS}}}, NAME),
    ],
)  # fmt: skip
def test_a_pattern_that_backtracks_is_stopped_wherever_it_stands(schema, answer):
    with pytest.raises(TooSlowError):
        errors_of(schema, answer)


@pytest.mark.parametrize("draft", DRAFTS)
def test_in_each_draft(draft):
    for schema, answer in (({"pattern": ENDLESS}, NAME), ({"patternProperties": {ENDLESS: {}}}, {NAME: 1})):
        with pytest.raises(TooSlowError):
            errors_of({"$schema": draft, **schema}, answer)


CASES = [
    ({"pattern": "^a+$"}, "ab"),
    ({"pattern": "^a+$"}, "aa"),
    ({"pattern": "^नम"}, "नमस्ते"),
    (
        {"patternProperties": {"^n_": {"type": "integer"}}, "additionalProperties": False},
        {"n_a": "x", "m": 1},
    ),
    ({"patternProperties": {"^n_": {}}, "additionalProperties": {"type": "string"}}, {"n_a": 1, "m": 1}),
    ({"patternProperties": {"^n_": {}}, "unevaluatedProperties": False}, {"n_a": 1, "m": 1}),
    ({"allOf": [{"patternProperties": {"^n_": {}}}], "unevaluatedProperties": False}, {"n_a": 1}),
    ({"prefixItems": [{"pattern": "x"}], "unevaluatedItems": False}, ["x", 2]),
    ({"dependentSchemas": {"a": {"required": ["b"]}}, "format": "email"}, {"a": 1}),
]


@pytest.mark.parametrize(("schema", "answer"), CASES)
@pytest.mark.parametrize("draft", DRAFTS)
def test_answers_are_judged_as_jsonschema_judges_them(schema, answer, draft):
    kind = validator_for({"$schema": draft})
    assert errors_of({"$schema": draft, **schema}, answer, seconds=1.0) == [
        error.message for error in kind({"$schema": draft, **schema}).iter_errors(answer)
    ]


def test_jsonschema_itself_is_left_as_it_is():
    """Others in the process use it too."""
    import re

    from jsonschema import _keywords, _utils

    with_time(jsonschema.Draft202012Validator)
    assert _keywords.re is re
    assert _utils.re is re
    assert jsonschema.Draft202012Validator({"pattern": "a"}).is_valid("a")


@pytest.mark.usefixtures("hurried")
def test_a_check_in_another_thread_is_errored_in_time(request_for):
    """Also through a reference to the schema's own root, which names its draft."""
    schema = {
        "$schema": DRAFTS[-1],
        "properties": {"next": {"$ref": "#"}, "name": {"pattern": ENDLESS}},
    }
    request = request_for("is-json", f'{{"next": {{"name": "{NAME}"}}}}', value=schema)
    found = []

    def check():
        try:
            is_json([request])
        except TooSlowError as error:
            found.append(str(error))

    thread = threading.Thread(target=check)
    thread.start()
    thread.join(timeout=60)
    assert "the schema's pattern took more than" in found[0]


D3, D4, D6 = (f"http://json-schema.org/draft-0{number}/schema#" for number in (3, 4, 6))


@pytest.mark.parametrize(
    ("schema", "answer", "is_valid"),
    [
        ({"$schema": D3, "divisibleBy": 0.01}, "19.99", True),
        ({"$schema": D3, "divisibleBy": 0.01}, "19.995", False),
        ({"$schema": D3, "divisibleBy": 0.0001}, "0.0075", True),
        ({"$schema": D3, "minimum": 0.1, "exclusiveMinimum": True}, "0.10000000000000000001", True),
        ({"const": 0.1}, "0.10000000000000000001", False),
        ({"const": 0.1}, "0.100", True),
        ({"const": {"a": [1, 0.1]}}, '{"a": [1.0, 1e-1]}', True),
        ({"enum": [9007199254740993.0]}, "9007199254740993", False),
        ({"enum": [1]}, "true", False),
        ({"enum": [False]}, "0", False),
        ({"enum": [None, "1"]}, "1", False),
        ({"uniqueItems": True}, "[1, true]", True),
        ({"uniqueItems": True}, "[[1], [true], [1]]", False),
        ({"uniqueItems": True}, '[{"a": 1, "b": 2}, {"b": 2, "a": 1.0}]', False),
        ({"uniqueItems": True}, "[0.1, 0.10000000000000000001]", True),
        ({"type": "integer"}, "1.0", True),
        ({"type": "integer"}, "1.00000000000000000001", False),
        ({"type": "integer"}, "true", False),
        ({"$schema": D6, "type": "integer"}, "1e2", True),
        ({"$schema": D4, "type": "integer"}, "1.0", False),
        ({"exclusiveMinimum": 0}, "1e-999999999", True),
        ({"exclusiveMinimum": 0}, "0e999999999", False),
        ({"type": "integer"}, "0." + "0" * 5000 + "1", False),
        ({"multipleOf": 0.01, "properties": {"a": {"$ref": "#", "$schema": "https://json-schema.org/draft/2020-12/schema"}}}, '{"a": 19.99}', True),
    ],
)  # fmt: skip
def test_numbers_are_compared_as_they_are_written(schema, answer, is_valid):
    assert (schema_violation(parse_json(answer), schema) is None) == is_valid
