"""Which of a project's own tests belong to a gate, where they are, and which of them ask the model.

A test also counts if it may ask: it gets fixtures at run time, by ``request.getfixturevalue``.
"""

import inspect
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tunegate.project import configured_project

# The fixture with the model's name; its name is not one that a project may use itself.
CANDIDATE_NAME = "_tunegate_candidate"
_OURS = "harness.plugin.fixtures"
FIXTURE_NAMES = frozenset({"generate", "golden", "judge", "model", CANDIDATE_NAME})
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


def asked_model(item: pytest.Item) -> str | None:
    """The name of the only model that an asking test uses; None if it uses all."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(CANDIDATE_NAME)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A place of tests.

    Attributes:
        path: A file or directory.
        inside: A class or test of the file, as in its node id; empty for all of them.
    """

    path: Path
    inside: str = ""

    def holds(self, path: Path, inside: str) -> bool:
        """Whether a test is in this place.

        Args:
            path: Its file.
            inside: The rest of its node id.
        """
        if path != self.path and self.path not in path.parents:
            return False
        return self.inside in {"", inside} or inside.startswith((f"{self.inside}::", f"{self.inside}["))

    def __str__(self) -> str:
        """As pytest takes it."""
        return f"{self.path}::{self.inside}" if self.inside else str(self.path)


def root_of(argument: str, project: Path) -> Root:
    """The place that a path or node id names.

    Args:
        argument: As pytest takes it.
        project: What it is relative to.
    """
    # A parameter's id may have any characters.
    base, bracket, parameters = argument.partition("[")
    name, _, inside = base.partition("::")
    path = Path(os.path.normpath(project / name))
    return Root(path=path, inside=inside + bracket + parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTests:
    """The project's own tests that belong to a gate.

    Attributes:
        roots: Where they are.
        only_asking: Whether only those tests of them belong that ask the model: where the setting ``paths``
            names none.
        run_all: Whether the others are run too: paths on the command line ask for them.
        project: The project's folder; a folder in it that is configured as a project is none of it.
    """

    roots: tuple[Root, ...] = ()
    only_asking: bool = False
    run_all: bool = False
    project: Path | None = None

    def is_run(self, item: pytest.Item) -> bool:
        """Whether a collected test is run; one that was asked for by its path always is."""
        return self.run_all or not self.only_asking or not self.is_here(item) or self._asks(item)

    def _asks(self, item: pytest.Item) -> bool:
        nearest = None if self.project is None else configured_project(item.path.parent)
        return may_ask(item) and (nearest is None or self.project not in nearest.parents)

    def belongs(self, item: pytest.Item) -> bool:
        """Whether a gate without this test is partial."""
        return self._asks(item) or (not self.only_asking and self.is_here(item))

    def is_here(self, item: pytest.Item) -> bool:
        """Whether a test is in one of the places."""
        return any(root.holds(item.path, inside_file(item)) for root in self.roots)


def inside_file(item: pytest.Item) -> str:
    """The part of a test's node id after its file."""
    return item.nodeid.partition("::")[2]
