"""JSON Schemas inside golden sets and rewards: what nothing decides is found when the file is read."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

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
    return (
        next(_idle_keywords(schema, kind), None)
        or next(_broken_patterns(schema), None)
        or next(_broken_references(schema), None)
        or _endless_reference(schema)
    )


# Keywords that only say something together with another one.
_NEEDING = {
    **dict.fromkeys(("then", "else"), "if"),
    **dict.fromkeys(("minContains", "maxContains"), "contains"),
}
# Keywords that decide nothing in any draft, and need not.
_NOTES = frozenset(
    [
        *("$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$vocabulary", "$comment"),
        *("title", "description", "default", "example", "examples", "definitions", "$defs"),
        *("deprecated", "readOnly", "writeOnly", "format"),
    ]
)


def _idle_keywords(schema: Any, kind: Any) -> Iterator[str]:
    """Keywords that decide nothing in the schema's draft, although they do in another one or elsewhere."""
    from jsonschema import validators

    drafts = ("3", "4", "6", "7", "201909", "202012")
    known = [getattr(validators, f"Draft{draft}Validator") for draft in drafts]
    own = {*kind.VALIDATORS, *_together(kind)}
    any_draft = {name for each in known for name in (*each.VALIDATORS, *_together(each))}
    ignores_siblings = kind in known[:4]
    named = _draft_of(schema, kind)
    for part in _parts(schema):
        if _draft_of(part, kind) != named:
            yield "a part of it names another draft in $schema: one draft a schema"
        beside = sorted(own & set(part) - {"$ref"}) if ignores_siblings and "$ref" in part else []
        if beside:
            yield f"its draft ignores {beside[0]} beside $ref: put both into allOf"
        for name in sorted(set(part)):
            needed = _NEEDING.get(name)
            if name in any_draft and name not in own:
                yield f"{name} is no keyword of its draft, which ignores it: name the right draft in $schema"
            elif needed is not None and needed not in part:
                yield f"{name} says nothing without {needed}"
            elif name == "extends" and not isinstance(part[name], list):
                yield "extends is no list of schemas"
            elif name == "additionalItems" and not isinstance(part.get("items"), list):
                yield "additionalItems says nothing without a list of items"


def _draft_of(part: Any, kind: Any) -> str:
    return str(part.get("$schema", kind.META_SCHEMA.get("$id", kind.META_SCHEMA.get("id")))).rstrip("#")


def _together(kind: Any) -> frozenset[str]:
    """Keywords of a draft that are read by another keyword's function."""
    names = {name for name, needed in _NEEDING.items() if needed in kind.VALIDATORS}
    if "$recursiveRef" not in kind.VALIDATORS and "$dynamicRef" not in kind.VALIDATORS:
        names -= {"minContains", "maxContains"}
    if "exclusiveMinimum" not in kind.VALIDATORS:
        names |= {"exclusiveMinimum", "exclusiveMaximum"}
    return frozenset(names | ({"required"} if "required" not in kind.VALIDATORS else set()))


@lru_cache(maxsize=1024)
def _unchecked(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    schema = json.loads(text)
    kind = validator_for(schema, default=Draft202012Validator)
    known, parts = kind.FORMAT_CHECKER.checkers, list(_parts(schema))
    formats = {part["format"] for part in parts if isinstance(part.get("format"), str)} - set(known)
    read = {*kind.VALIDATORS, *_together(kind), *_NOTES}
    names = {name for part in parts for name in part if name not in read and not name.startswith("x-")}
    return tuple(sorted(formats)), tuple(sorted(names))


def unchecked_formats(schema: JsonValue) -> tuple[str, ...]:
    """Names under ``format`` in a valid schema that nothing here can check, in order."""
    return _unchecked(json.dumps(schema, sort_keys=True))[0]


def unchecked_keywords(schema: JsonValue) -> tuple[str, ...]:
    """Keywords of a valid schema that decide nothing: misspelt ones, ``contentEncoding`` and its like."""
    return _unchecked(json.dumps(schema, sort_keys=True))[1]


# Keywords that hold schemas: one, or a list of them; or one for each name.
_HOLDING = (
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "items", "prefixItems", "additionalItems"),
    *("unevaluatedItems", "contains", "additionalProperties", "unevaluatedProperties", "propertyNames"),
    *("contentSchema", "extends", "type", "disallow"),
)
_HOLDING_BY_NAME = (
    *("properties", "patternProperties", "dependentSchemas", "dependencies", "definitions", "$defs"),
)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas inside it, of any draft, the outer ones first."""
    if not isinstance(schema, dict):
        return
    yield schema
    for name in _HOLDING:
        held = schema.get(name)
        for inner in held if isinstance(held, list) else [held]:
            yield from _parts(inner)
    for name in _HOLDING_BY_NAME:
        by_name = schema.get(name)
        for inner in by_name.values() if isinstance(by_name, dict) else ():
            yield from _parts(inner)


def of_one_draft(schema: JsonValue) -> JsonValue:
    """A copy of a schema without $schema, for a validator of its draft.

    Read again inside of it, $schema would lead to the library's own validator.
    """
    copied = json.loads(json.dumps(schema))
    for part in _parts(copied):
        part.pop("$schema", None)
    return cast("JsonValue", copied)


def _broken_patterns(schema: Any) -> Iterator[str]:
    for part in _parts(schema):
        inside = part.get("patternProperties")
        named = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
        for pattern in [*named, *(inside if isinstance(inside, dict) else ())]:
            try:
                compiled(pattern, ecma=True)
            except PatternError as error:
                yield f"its pattern {pattern!r} is not one of Python's: {error}"


def _rooted(schema: Any) -> tuple[Any, Any]:
    """The schema as a resource, and what finds its parts."""
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    resource: Resource[Any] = Resource.from_contents(schema, default_specification=DRAFT202012)
    return resource, Registry[Any]().with_resource("", resource).resolver_with_root(resource)


def _broken_references(schema: Any) -> Iterator[str]:
    from referencing.exceptions import Unresolvable

    resource, resolver = _rooted(schema)

    def walk(part: Any, within: Any) -> Iterator[str]:
        reference = part.contents.get("$ref") if isinstance(part.contents, dict) else None
        if isinstance(reference, str):
            try:
                within.lookup(reference)
            except Unresolvable:
                yield f"its $ref {reference!r} is not in the schema itself"
        for inner in part.subresources():
            yield from walk(inner, within.in_subresource(inner))

    yield from walk(resource, resolver)


# Keywords whose schemas apply to the same value, and those that name one.
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")
_NAMING = ("$ref", "$dynamicRef")


def _endless_reference(schema: Any) -> str | None:
    """A schema that asks for itself before it looks into the value could never be decided."""
    from referencing import Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    resource, resolver = _rooted(schema)
    decided: set[int] = set()
    # A keyword of one draft only.
    naming = (*_NAMING, "$recursiveRef") if "2019-09" in str(schema.get("$schema")) else _NAMING

    def walk(part: Any, within: Any, open_: tuple[int, ...]) -> str | None:
        if not isinstance(part, dict) or id(part) in decided:
            return None
        if id(part) in open_:
            return "it refers to itself without an end"
        try:
            following = [within.lookup(part[key]) for key in naming if isinstance(part.get(key), str)]
        except Unresolvable:
            following = []
        steps = [(one.contents, one.resolver) for one in following]
        for key in _SAME_VALUE:
            inner = part.get(key)
            inside = inner if isinstance(inner, list) else [inner]
            if key.startswith("dependen"):
                inside = list(inner.values()) if isinstance(inner, dict) else []
            for one in inside:
                if isinstance(one, dict):
                    resource = Resource[Any].from_contents(one, default_specification=DRAFT202012)
                    steps.append((one, within.in_subresource(resource)))
        found = next((told for step in steps if (told := walk(*step, (*open_, id(part))))), None)
        decided.add(id(part))
        return found

    for part in (resource.contents, *_parts(schema)):
        if (problem := walk(part, resolver, ())) is not None:
            return problem
    return None
