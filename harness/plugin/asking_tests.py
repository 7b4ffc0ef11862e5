"""Which hand-written tests may ask the model: by their fixtures, and by their code.

A test also counts if it gets fixtures at run time, by ``request.getfixturevalue``.
"""

import inspect
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

import pytest

_OURS = "harness.plugin.fixtures"
AT_RUN_TIME = "getfixturevalue"


def asks_a_model(item: pytest.Item) -> bool:
    """Whether a test uses one of our fixtures, directly or not; foreign ones of the same name don't count."""
    return any(getattr(each.func, "__module__", None) == _OURS for each in _fixtures_of(item))


def may_ask(item: pytest.Item) -> bool:
    """Whether a collected test asks a model, or may at run time."""
    if asks_a_model(item):
        return True
    callspec, owner = getattr(item, "callspec", None), getattr(item, "cls", None)
    given = (
        set() if callspec is None else {each for each in callspec.params.values() if isinstance(each, str)}
    )
    for each in _fixtures_of(item):
        texts = _texts_at_run_time(each.func, owner)
        if texts is not None and any(fixture_asks(text, item) for text in texts | given):
            return True
    texts = _texts_at_run_time(getattr(item, "function", None), owner)
    if texts is None:
        return False
    asked = [asks for text in texts | given if (asks := fixture_asks(text, item)) is not None]
    # Where none of its texts is a fixture's name, it can be any.
    return any(asked) or not asked


def may_get(item: pytest.Item, name: str) -> bool:
    """Whether a test has a fixture, directly or not, or gets any at run time, which may be this one.

    Args:
        item: A collected test.
        name: The fixture's name.
    """
    owner = getattr(item, "cls", None)
    functions = [getattr(item, "function", None), *(each.func for each in _fixtures_of(item))]
    at_run_time = any(_texts_at_run_time(each, owner) is not None for each in functions)
    return at_run_time or name in getattr(item, "fixturenames", ())


def _fixtures_of(item: pytest.Item) -> Iterator[Any]:
    """The fixtures that a test names, and those that it requested; pytest has no public API for this."""
    named = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    yield from (definitions[-1] for definitions in named.values() if definitions)
    yield from getattr(getattr(item, "_request", None), "_fixture_defs", {}).values()


def fixture_asks(name: str, item: Any, seen: frozenset[str] = frozenset()) -> bool | None:
    """Whether a fixture asks a model, itself or through others.

    Args:
        name: The fixture's name.
        item: A test or the session, for which the name is looked up.
        seen: Names of fixtures that are being looked at.

    Returns:
        None if there is no fixture of that name.
    """
    manager: Any = getattr(item.session, "_fixturemanager", None)
    definitions = () if manager is None or name in seen else manager.getfixturedefs(name, item)
    if not definitions:
        return None
    # One that overrides another of its name may use it.
    used = definitions if name in definitions[-1].argnames else definitions[-1:]
    return any(
        getattr(each.func, "__module__", None) == _OURS
        or any(fixture_asks(other, item, seen | {name}) for other in each.argnames)
        for each in used
    )


def _texts_at_run_time(function: Any, owner: type | None) -> set[str] | None:
    """The texts in a function that gets fixtures at run time, itself or by a helper; None for any other."""
    codes = list(_codes(function, vars(owner) if owner is not None else {}, set()))
    if not any(AT_RUN_TIME in code.co_names for code in codes):
        return None
    return {text for code in codes for text in code.co_consts if isinstance(text, str)}


def _codes(function: Any, methods: Mapping[str, Any], seen: set[CodeType]) -> Iterator[CodeType]:
    """The code of a function, of what is defined in it, and of helpers of its module and class."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    code = getattr(function, "__code__", None)
    inside = [] if code is None or code in seen else [code]
    while inside:
        each = inside.pop()
        seen.add(each)
        yield each
        inside += [const for const in each.co_consts if isinstance(const, CodeType)]
        for name in each.co_names:
            helper = function.__globals__.get(name, methods.get(name))
            if getattr(helper, "__module__", None) == function.__module__:
                yield from _codes(helper, methods, seen)
