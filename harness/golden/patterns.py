"""Patterns and JSON Schemas inside golden sets and rewards: faults are found when the file is read.

Patterns are those of Python's ``re``, matched by the library ``regex``, which can stop a match that takes too
long. ``regex`` reads some texts otherwise: ``x{i}`` is a fuzzy match, ``[[:alpha:]]`` a class, and a
combining mark is part of a word. So a pattern is parsed by ``re`` and written out again in what both read
alike.
"""

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, cast

from harness.types import JsonValue

_GLOBAL_FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.ASCII
# Not a flag of re: the pattern is meant as in ECMA-262, the dialect of JSON Schema.
_ECMA = 1 << 20
_LETTERS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "a": re.ASCII, "u": re.UNICODE}
_WORD, _ASCII_WORD = r"\p{L}\p{N}_", "a-zA-Z0-9_"
_SPACE, _ASCII_SPACE = r"\s\x1c-\x1f", r" \t\n\r\f\v"
_AT = {
    codes.AT_BEGINNING: "^",
    codes.AT_BEGINNING_STRING: r"\A",
    codes.AT_END: "$",
    codes.AT_END_STRING: r"\Z",
    codes.AT_BOUNDARY: r"(?:(?<=[{word}])(?![{word}])|(?<![{word}])(?=[{word}]))",
    codes.AT_NON_BOUNDARY: r"(?:(?<=[{word}])(?=[{word}])|(?<![{word}])(?![{word}])(?!\A\Z))",
}
_COMPLEMENTS = {
    codes.CATEGORY_NOT_WORD: codes.CATEGORY_WORD,
    codes.CATEGORY_NOT_SPACE: codes.CATEGORY_SPACE,
    codes.CATEGORY_NOT_DIGIT: codes.CATEGORY_DIGIT,
}
_REPEATS = {codes.MAX_REPEAT: "", codes.MIN_REPEAT: "?", codes.POSSESSIVE_REPEAT: "+"}


def rewritten(pattern: str, flags: int = 0, *, ecma: bool = False) -> tuple[str, int]:
    r"""A pattern of ``re`` as one that means the same to ``regex``, and the flags that it is compiled with.

    Args:
        pattern: The pattern.
        flags: Flags of ``re`` that it is meant with.
        ecma: What both dialects write alike means the same as in ECMA-262: ``$`` is the very end of the text,
            ``\d`` and ``\w`` are ASCII.

    Returns:
        The pattern, and the flags of ``regex``.

    Raises:
        re.error: The pattern is none of ``re``.
        OverflowError: It repeats something too often.
        RecursionError: It is nested too deeply.
    """
    with warnings.catch_warnings():
        # A nested set is read as re reads it today.
        warnings.simplefilter("ignore", FutureWarning)
        re.compile(pattern, flags)
        tree = _parser.parse(pattern, flags)
    flags = tree.state.flags | (_ECMA if ecma else 0)
    return _sequence(tree, flags), int(flags & _GLOBAL_FLAGS)


def _sequence(nodes: Iterable[tuple[Any, Any]], flags: int) -> str:
    return "".join(_node(code, value, flags) for code, value in nodes)


def _node(code: Any, value: Any, flags: int) -> str:
    if code in {codes.LITERAL, codes.NOT_LITERAL}:
        return _set([(codes.LITERAL, value)], flags, negated=code is codes.NOT_LITERAL)
    if code is codes.IN:
        negated = value[0][0] is codes.NEGATE
        return _set(value[1:] if negated else value, flags, negated=negated)
    if code in _REPEATS:
        least, most, repeated = value
        limit = "" if most is codes.MAXREPEAT else most
        return f"(?:{_sequence(repeated, flags)}){{{least},{limit}}}{_REPEATS[code]}"
    if code is codes.BRANCH:
        return "(?:" + "|".join(_sequence(branch, flags) for branch in value[1]) + ")"
    return _place(code, value, flags) if code in {codes.AT, codes.ANY} else _group(code, value, flags)


def _place(code: Any, value: Any, flags: int) -> str:
    """Beginnings, ends and borders of words; any character."""
    if code is codes.ANY:
        return r"[^\n\r\u2028\u2029]" if flags & _ECMA and not flags & re.DOTALL else "."
    if value is codes.AT_END and flags & _ECMA and not flags & re.MULTILINE:
        return r"\Z"
    return _AT[value].format(word=_ASCII_WORD if flags & (re.ASCII | _ECMA) else _WORD)


def _group(code: Any, value: Any, flags: int) -> str:
    """Groups, what looks around, and references to groups."""
    if code is codes.SUBPATTERN:
        number, added, removed, inner = value
        text = _sequence(inner, (flags | added) & ~removed)
        if number is not None:
            return f"({text})"
        changes = _letters(added) + ("-" + _letters(removed) if removed else "")
        return f"(?{changes}:{text})"
    if code is codes.ATOMIC_GROUP:
        return f"(?>{_sequence(value, flags)})"
    if code in {codes.ASSERT, codes.ASSERT_NOT}:
        direction, inner = value
        sign = ("<" if direction < 0 else "") + ("=" if code is codes.ASSERT else "!")
        return f"(?{sign}{_sequence(inner, flags)})"
    if code is codes.GROUPREF:
        return rf"(?:\g<{value}>)"
    if code is codes.GROUPREF_EXISTS:
        number, yes, no = value
        return f"(?({number}){_sequence(yes, flags)}|{_sequence(no or (), flags)})"
    raise re.error(f"{code} is not supported")


def _set(items: Sequence[tuple[Any, Any]], flags: int, *, negated: bool) -> str:
    """One character of a set; the complements among its items become alternatives, for sets don't nest."""
    inside = "".join(_item(code, value, flags) for code, value in items if value not in _COMPLEMENTS)
    parts = [f"[{inside}]"] if inside else []
    parts += [f"[^{_category(_COMPLEMENTS[value], flags)}]" for _, value in items if value in _COMPLEMENTS]
    if len(parts) == 1 and inside and not _is_ascii_folded(flags):
        return f"[^{inside}]" if negated else parts[0]
    text = f"(?:{'|'.join(parts)})"
    if _is_ascii_folded(flags):
        # Letters of either case are the same within ASCII only; regex also takes the Kelvin sign for a k.
        text = f"(?:(?-i:{text})|(?-i:(?=[\\x00-\\x7f])){text})"
    return f"(?:(?!{text})[\\s\\S])" if negated else text


def _item(code: Any, value: Any, flags: int) -> str:
    if code is codes.LITERAL:
        return _character(value)
    if code is codes.RANGE:
        return f"{_character(value[0])}-{_character(value[1])}"
    return _category(value, flags)


def _category(category: Any, flags: int) -> str:
    r"""The characters of ``\w``, ``\s`` and ``\d`` in ``re``, as items of a set."""
    if category is codes.CATEGORY_WORD:
        return _ASCII_WORD if flags & (re.ASCII | _ECMA) else _WORD
    if category is codes.CATEGORY_SPACE:
        return _ASCII_SPACE if flags & re.ASCII else _SPACE
    return "0-9" if flags & _ECMA else r"\d"


def _is_ascii_folded(flags: int) -> bool:
    return bool(flags & re.ASCII and flags & re.IGNORECASE)


def _character(number: int) -> str:
    """A character as both libraries read it wherever it stands, in a set too."""
    character = chr(number)
    if character.isascii() and character.isalnum():
        return character
    return rf"\U{number:08x}"


def _letters(flags: int) -> str:
    return "".join(letter for letter, flag in _LETTERS.items() if flags & flag)


class PatternError(ValueError):
    """A text is no regular expression; the message says why."""


def check_pattern(pattern: str) -> None:
    """Refuse a text that is no pattern.

    Raises:
        PatternError: It is none.
    """
    compiled(pattern)


@lru_cache(maxsize=512)
def compiled(pattern: str, *, ignore_case: bool = False, ecma: bool = False) -> Any:
    """A pattern of Python's ``re``, compiled by ``regex``, whose methods take a ``timeout``.

    Args:
        pattern: A pattern of Python's ``re``.
        ignore_case: Whether letters match in either case.
        ecma: Whether it is meant as in a JSON Schema.

    Raises:
        PatternError: It is no pattern.
    """
    import regex

    try:
        text, flags = rewritten(pattern, re.IGNORECASE if ignore_case else 0, ecma=ecma)
        return regex.compile(text, flags)
    except (re.error, regex.error, OverflowError) as error:
        raise PatternError(str(error)) from error
    except RecursionError as error:
        raise PatternError("nested too deeply") from error


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
        or (_broken_reference(schema) if 'ef"' in text else None)
    )


def _broken_reference(schema: Any) -> str | None:
    # Few schemas have references.
    from harness.golden.schema_references import broken_references, endless_reference

    resources = list(parts_of(schema))
    return next(broken_references(schema), None) or endless_reference(schema, resources)


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
    for part in parts_of(schema):
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
    known, parts = kind.FORMAT_CHECKER.checkers, list(parts_of(schema))
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


def parts_of(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas inside it, of any draft, the outer ones first."""
    if not isinstance(schema, dict):
        return
    yield schema
    for name in _HOLDING:
        held = schema.get(name)
        for inner in held if isinstance(held, list) else [held]:
            yield from parts_of(inner)
    for name in _HOLDING_BY_NAME:
        by_name = schema.get(name)
        for inner in by_name.values() if isinstance(by_name, dict) else ():
            yield from parts_of(inner)


def of_one_draft(schema: JsonValue) -> JsonValue:
    """A copy of a schema without $schema, for a validator of its draft.

    Read again inside of it, $schema would lead to the library's own validator.
    """
    copied = json.loads(json.dumps(schema))
    for part in parts_of(copied):
        part.pop("$schema", None)
    return cast("JsonValue", copied)


def _broken_patterns(schema: Any) -> Iterator[str]:
    for part in parts_of(schema):
        inside = part.get("patternProperties")
        named = [part["pattern"]] if isinstance(part.get("pattern"), str) else []
        for pattern in [*named, *(inside if isinstance(inside, dict) else ())]:
            try:
                compiled(pattern, ecma=True)
            except PatternError as error:
                yield f"its pattern {pattern!r} is not one of Python's: {error}"
