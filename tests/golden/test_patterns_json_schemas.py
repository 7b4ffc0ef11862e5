"""Faults of JSON Schemas that are found when a file is read: endless ones, and keywords that nothing reads."""

import pytest
from jsonschema import validators

from harness.golden.patterns import of_one_draft, schema_problem, unchecked_keywords

D3, D4, D6, D7 = (f"http://json-schema.org/draft-0{number}/schema#" for number in (3, 4, 6, 7))
D2019 = "https://json-schema.org/draft/2019-09/schema"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"not": {"$ref": "#"}},
        {"$dynamicRef": "#"},
        {"if": {"$ref": "#"}},
        {"dependentSchemas": {"a": {"$ref": "#"}}},
        {"$id": "http://x/y", "$ref": "http://x/y"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
        {"$ref": "#z", "$defs": {"a": {"$anchor": "z", "allOf": [{"$ref": "#z"}]}}},
        {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "#"},
    ],
)
def test_a_schema_that_asks_for_itself_at_the_same_value_is_refused(schema):
    assert schema_problem(schema) == "it refers to itself without an end"


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "#"}}},
        {"anyOf": [{"type": "string"}, {"items": {"$ref": "#"}}]},
        {
            "$ref": "#/$defs/a",
            "allOf": [{"$ref": "#/$defs/a"}],
            "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}},
        },
    ],
)
def test_a_schema_that_asks_for_itself_further_inside_is_accepted(schema):
    assert schema_problem(schema) is None


@pytest.mark.parametrize(
    ("schema", "idle"),
    [
        ({"dependencies": {"a": ["b"]}}, "dependencies"),
        ({"divisibleBy": 2}, "divisibleBy"),
        ({"disallow": "string"}, "disallow"),
        ({"extends": {}}, "extends"),
        ({"$recursiveRef": "#"}, "$recursiveRef"),
        ({"additionalItems": False}, "additionalItems"),
        ({"$schema": D3, "multipleOf": 0.01}, "multipleOf"),
        ({"$schema": D3, "allOf": [{}]}, "allOf"),
        ({"$schema": D4, "const": 1}, "const"),
        ({"$schema": D4, "if": {}, "then": {}}, "if"),
        ({"$schema": D6, "properties": {"a": {"if": {}, "then": {}}}}, "if"),
        ({"$schema": D7, "prefixItems": [{}]}, "prefixItems"),
        ({"$schema": D7, "contains": {}, "minContains": 2}, "minContains"),
        ({"$schema": D7, "items": [{"dependentRequired": {"a": ["b"]}}]}, "dependentRequired"),
        ({"$schema": D7, "dependencies": {"a": ["b"], "c": {"unevaluatedProperties": False}}}, "unevaluatedProperties"),
        ({"$schema": D2019, "prefixItems": [{}]}, "prefixItems"),
        ({"$schema": D2019, "$dynamicRef": "#"}, "$dynamicRef"),
    ],
)  # fmt: skip
def test_a_keyword_that_the_schema_s_draft_ignores_is_refused(schema, idle):
    assert schema_problem(schema) == (
        f"{idle} is no keyword of its draft, which ignores it: name the right draft in $schema"
    )


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"minContains": 2}, "minContains says nothing without contains"),
        ({"then": {}}, "then says nothing without if"),
        ({"$schema": D7, "additionalItems": False}, "additionalItems says nothing without a list of items"),
        ({"$schema": D3, "extends": {"type": "string"}}, "extends is no list of schemas"),
        ({"$schema": D7, "properties": {"a": {"$ref": "#", "minLength": 3}}}, "its draft ignores minLength beside $ref: put both into allOf"),
        ({"properties": {"a": {"$schema": D7}}}, "a part of it names another draft in $schema: one draft a schema"),
    ],
)  # fmt: skip
def test_a_keyword_without_what_it_needs_is_refused(schema, problem):
    assert schema_problem(schema) == problem


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": D3, "divisibleBy": 0.01, "properties": {"a": {"required": True}}, "dependencies": {"a": "b"}},
        {"$schema": D3, "extends": [{"type": "string"}], "disallow": ["null"], "type": ["string", {"type": "number"}]},
        {"$schema": D4, "minimum": 1, "exclusiveMinimum": True},
        {"$schema": D7, "dependencies": {"a": ["b"]}, "items": [{}], "additionalItems": False},
        {"$schema": D7, "properties": {"a": {"$ref": "#", "title": "x", "$schema": D7.rstrip("#")}}},
        {"$schema": D2019, "properties": {"a": {"$recursiveRef": "#"}}, "contains": {}, "minContains": 2},
        {"properties": {"dependencies": {"type": "string"}, "$schema": {}}, "enum": [{"if": 1}], "$ref": "#/$defs/a", "minLength": 3, "$defs": {"a": {}}},
    ],
)  # fmt: skip
def test_keywords_of_the_draft_and_names_of_properties_are_none_that_are_ignored(schema):
    assert schema_problem(schema) is None
    assert unchecked_keywords(schema) == ()


def test_misspelt_keywords_and_notes_that_nothing_checks_are_told():
    schema = {"requried": ["a"], "nullable": True, "x-order": 1, "properties": {"requried": {"contentEncoding": "base64", "maxlength": 3}}}  # fmt: skip
    assert unchecked_keywords(schema) == ("contentEncoding", "maxlength", "nullable", "requried")


def test_a_copy_without_drafts_keeps_everything_else():
    schema = {"$schema": D7, "properties": {"$schema": {"$schema": D7, "const": {"$schema": 1}}}}
    assert of_one_draft(schema) == {"properties": {"$schema": {"const": {"$schema": 1}}}}


@pytest.mark.parametrize("draft", ["3", "4", "6", "7", "201909", "202012"])
def test_the_drafts_own_schemas_are_fine(draft):
    """None of their keywords is taken for another draft's."""
    own = getattr(validators, f"Draft{draft}Validator").META_SCHEMA
    if draft in {
        "6",
        "7",
        "4",
    }:  # later ones are spread over several documents, draft 3 has an object in extends
        assert schema_problem({**own, "$schema": own["$schema"]}) is None
        assert unchecked_keywords(own) == ()
