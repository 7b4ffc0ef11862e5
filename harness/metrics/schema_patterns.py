"""JSON Schema validators that read patterns, bounds and multiples as the specification means them.

jsonschema searches by Python's ``re``, which nothing can stop in a thread or on Windows, and whose ``$`` also
matches before a last line break. Its keywords, of all drafts, are taken as they are and given another ``re``
to search by. Its ``multipleOf`` divides floats, by which 19.99 is no multiple of 0.01, its bounds and
``const`` compare them, by which 0.10000000000000000001 is 0.1, and its ``uniqueItems`` finds [1], [true] and
[1] to be three.
"""

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from functools import cache
from importlib import import_module
from types import FunctionType, SimpleNamespace
from typing import Any

from harness.metrics.text import PatternTime

_TIME: ContextVar[PatternTime] = ContextVar("pattern time of the current schema")
# The order in which they import each other.
_MODULES = ("_utils", "_keywords", "_legacy_keywords")


class WrittenFloat(float):
    """A float that knows its digits in the document."""

    __slots__ = ("digits",)

    def __new__(cls, digits: str) -> "WrittenFloat":
        """Read the digits."""
        made = super().__new__(cls, digits)
        made.digits = digits
        return made

    digits: str

    def __repr__(self) -> str:
        """As it is written."""
        return self.digits


@contextmanager
def pattern_time(time: PatternTime) -> Iterator[None]:
    """Let the validators of :func:`with_time` use this time for their patterns."""
    token = _TIME.set(time)
    try:
        yield
    finally:
        _TIME.reset(token)


@cache
def with_time(validator: Any) -> Any:
    """A validator class that searches patterns within the time that :func:`pattern_time` sets."""
    from jsonschema import validators

    copies = _copies()
    keywords = {name: copies.get(function, function) for name, function in validator.VALIDATORS.items()}
    extend: Callable[..., Any] = validators.extend
    own: dict[str, Callable[..., Any]] = {name: _bound(name) for name in _BOUNDS}
    own |= {"multipleOf": _multiple_of, "divisibleBy": _multiple_of}
    own |= {"enum": _enum, "const": _const, "uniqueItems": _unique_items}
    exact = {name: function for name, function in own.items() if name in keywords}
    types = validator.TYPE_CHECKER
    if types.is_type(1.0, "integer"):
        types = types.redefine("integer", _is_whole)
    return extend(validator, {**keywords, **exact}, type_checker=types)


def _is_whole(_: Any, instance: Any) -> bool:
    """Whether a number is whole as it is written: 1.0 is, 1.00000000000000000001 isn't."""
    is_number = isinstance(instance, int | float) and not isinstance(instance, bool)
    return is_number and _exact(instance).denominator == 1


def _enum(_validator: Any, allowed: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if _written(instance) not in map(_written, allowed):
        yield ValidationError(f"{instance!r} is not one of {allowed!r}")


def _const(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if _written(instance) != _written(wanted):
        yield ValidationError(f"{wanted!r} was expected")


def _unique_items(validator: Any, asked: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if asked and validator.is_type(instance, "array") and len(set(map(_written, instance))) < len(instance):
        yield ValidationError(f"{instance!r} has non-unique elements")


def _written(value: Any) -> object:
    """A JSON value by which equal ones are found: numbers as they are written, true is not 1."""
    if isinstance(value, dict):
        return frozenset((key, _written(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_written, value))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _exact(value) if is_number else (type(value), value)


_BOUNDS: dict[str, tuple[Callable[[Fraction, Fraction], bool], str]] = {
    "minimum": (operator.lt, "less than the minimum of"),
    "maximum": (operator.gt, "greater than the maximum of"),
    "exclusiveMinimum": (operator.le, "less than or equal to the minimum of"),
    "exclusiveMaximum": (operator.ge, "greater than or equal to the maximum of"),
}


def _bound(name: str) -> Callable[..., Iterator[Any]]:
    """A bound of numbers as written; ``exclusiveMinimum: true`` of old drafts is about ``minimum``."""

    def check(validator: Any, limit: Any, instance: Any, schema: Any) -> Iterator[Any]:
        from jsonschema.exceptions import ValidationError

        exclusive = f"exclusive{name.capitalize()}"
        beyond, told = _BOUNDS[exclusive if schema.get(exclusive) is True else name]
        if isinstance(limit, bool) or not validator.is_type(instance, "number"):
            return
        if beyond(_exact(instance), _exact(limit)):
            yield ValidationError(f"{instance!r} is {told} {limit!r}")

    return check


def _multiple_of(validator: Any, step: float, instance: Any, _schema: Any) -> Iterator[Any]:
    """The numbers as decimal fractions, as they are written."""
    from jsonschema.exceptions import ValidationError

    if validator.is_type(instance, "number") and (_exact(instance) / _exact(step)).denominator != 1:
        yield ValidationError(f"{instance!r} is not a multiple of {step!r}")


# Beyond these a decimal fraction takes long to make; such a number is told from 0 and no closer.
_MOST_DIGITS, _MOST_EXPONENT = 1000, 1000


def _exact(number: float) -> Fraction:
    """The number as it is written."""
    if isinstance(number, int):
        return Fraction(number)
    digits = str(getattr(number, "digits", "")) or repr(number)
    mantissa, _, exponent = digits.lower().partition("e")
    if len(digits) <= _MOST_DIGITS and abs(int(exponent or 0)) <= _MOST_EXPONENT:
        return Fraction(digits)
    sign = -1 if digits.startswith("-") else 1
    least = Fraction(sign * bool(mantissa.strip("-0.")), 10**_MOST_EXPONENT)
    return Fraction(float.__float__(number)) or least


@cache
def _copies() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Jsonschema's keyword functions, by the original, in namespaces whose ``re`` is limited."""
    limited_re = SimpleNamespace(search=lambda pattern, text: _TIME.get().search(pattern, text, ecma=True))
    copies: dict[Callable[..., Any], Callable[..., Any]] = {}
    spaces: dict[str, Any] = {}
    for name in _MODULES:
        module = import_module(f"jsonschema.{name}")
        space = {**vars(module), "re": limited_re, **spaces}
        for key, value in vars(module).items():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                copies[value] = FunctionType(value.__code__, space, key, value.__defaults__)
        # Functions call each other by name, also those that they import from the modules before.
        for key, value in vars(module).items():
            if isinstance(value, FunctionType):
                space[key] = copies.get(value, value)
        spaces[name] = SimpleNamespace(**space)
    return copies
