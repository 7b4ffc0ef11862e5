"""References inside of a JSON Schema: those that lead nowhere, and those that lead back without an end."""

from collections.abc import Iterator, Sequence
from typing import Any


def _rooted(schema: Any) -> tuple[Any, Any]:
    """The schema as a resource, and what finds its parts."""
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    resource: Resource[Any] = Resource.from_contents(schema, default_specification=DRAFT202012)
    return resource, Registry[Any]().with_resource("", resource).resolver_with_root(resource)


def broken_references(schema: Any) -> Iterator[str]:
    """Why references of a schema lead nowhere; nothing is downloaded."""
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


def endless_reference(schema: Any, parts: Sequence[Any]) -> str | None:
    """A schema that asks for itself before it looks into the value could never be decided.

    Args:
        schema: The schema.
        parts: All schemas inside of it.
    """
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

    for part in (resource.contents, *parts):
        if (problem := walk(part, resolver, ())) is not None:
            return problem
    return None
