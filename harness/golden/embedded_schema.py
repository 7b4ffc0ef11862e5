"""JSON Schemas inside golden sets: an invalid one is found when the set is read, not in each score."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from harness.golden.patterns import PatternError, compiled
from harness.types import JsonValue

# Draft 4 and older call it id.
_ID_KEYS = ("$id", "id")


def schema_problem(schema: JsonValue) -> str | None:
    """Why a value is not a usable JSON Schema (2020-12 unless it names another draft), or None.

    A ``$ref`` must point into the schema itself: scoring downloads nothing.
    """
    if not isinstance(schema, dict):
        return "not a JSON Schema: that is a mapping"
    # A set's default schema occurs in every case, and checking one takes milliseconds.
    return _problem_of(json.dumps(schema, sort_keys=True))


@lru_cache(maxsize=1024)
def _problem_of(text: str) -> str | None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    schema = json.loads(text)
    draft = schema.get("$schema", Draft202012Validator.META_SCHEMA["$id"])
    known = isinstance(draft, str)
    kind = validator_for({"$schema": draft} if known else {}, default=Draft202012Validator)
    if not known or draft.rstrip("#") not in {str(kind.META_SCHEMA.get(key)).rstrip("#") for key in _ID_KEYS}:
        return f"not a JSON Schema: its $schema {draft!r} is an unknown draft"
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        return f"not a JSON Schema: {error.message} at {error.json_path}"
    except RecursionError:
        return "not a JSON Schema: nested too deeply"
    return next(_broken_patterns(schema), None) or next(_broken_references(schema), None)


@lru_cache(maxsize=1024)
def _unchecked(text: str) -> tuple[str, ...]:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    schema = json.loads(text)
    known = validator_for(schema, default=Draft202012Validator).FORMAT_CHECKER.checkers
    named = (part.get("format") for part in _parts(schema))
    return tuple(sorted({name for name in named if isinstance(name, str) and name not in known}))


def unchecked_formats(schema: JsonValue) -> tuple[str, ...]:
    """Names under ``format`` in a valid schema that nothing here can check, in order."""
    return _unchecked(json.dumps(schema, sort_keys=True))


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas inside it."""
    from referencing import Resource
    from referencing.jsonschema import DRAFT202012

    waiting = [Resource[Any].from_contents(schema, default_specification=DRAFT202012)]
    while waiting:
        part = waiting.pop()
        waiting += part.subresources()
        if isinstance(part.contents, dict):
            yield part.contents


def _broken_patterns(schema: Any) -> Iterator[str]:
    for part in _parts(schema):
        inside = part.get("patternProperties")
        named = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
        for pattern in [*named, *(inside if isinstance(inside, dict) else ())]:
            try:
                compiled(pattern, ecma=True)
            except PatternError as error:
                yield f"its pattern {pattern!r} is not one of Python's: {error}"


def _broken_references(schema: Any) -> Iterator[str]:
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource: Resource[Any] = Resource.from_contents(schema, default_specification=DRAFT202012)
    resolver = Registry[Any]().with_resource("", resource).resolver_with_root(resource)

    def walk(part: Resource[Any], within: Any) -> Iterator[str]:
        reference = part.contents.get("$ref") if isinstance(part.contents, dict) else None
        if isinstance(reference, str):
            try:
                within.lookup(reference)
            except Unresolvable:
                yield f"its $ref {reference!r} is not in the schema itself"
        for inner in part.subresources():
            yield from walk(inner, within.in_subresource(inner))

    yield from walk(resource, resolver)
