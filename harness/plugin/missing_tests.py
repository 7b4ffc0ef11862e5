"""The tests that belong to a gate and were not collected: their files are read, and never imported."""

import ast
import fnmatch
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.plugin.asking_tests import AT_RUN_TIME, fixture_asks
from harness.plugin.own_tests import FIXTURE_NAMES, OwnTests, inside_file
from tunegate.project import configured, files_of_tests, patterns_of, session_project


def missing_tests(
    own: OwnTests, session: pytest.Session, items: Collection[pytest.Item], failed: Collection[str]
) -> tuple[str, ...]:
    """The tests that belong to the gate and were not collected: whole files by path, others by node id.

    However they were left out: by paths on the command line, ``--ignore``, ``collect_ignore``, another
    plugin, a file that skips itself.

    Args:
        own: The project's own tests.
        session: The session, after it has collected.
        items: What it found.
        failed: Node ids of files that broke while they were collected; these are named already.
    """
    found: dict[Path, set[str]] = {}
    for item in items:
        found.setdefault(item.path, set()).add(inside_file(item).partition("[")[0])
    reader = _SourceReader(session.config, session)
    missing: list[str] = []
    for root in own.roots:
        name = _node_id(root.path, session)
        if (
            root.inside
            and name not in failed
            and not any(root.holds(each.path, inside_file(each)) for each in items)
        ):
            missing.append(f"{name}::{root.inside}")
    whole_roots = [root.path for root in own.roots if not root.inside]
    for path in files_of_tests(whole_roots, session.config):
        name = _node_id(path, session)
        if name in failed:
            continue
        tests = [test for test, asks in reader.tests(path).items() if asks or not own.only_asking]
        absent = [test for test in tests if test not in found.get(path, ())]
        whole = bool(absent) and len(absent) == len(tests)
        missing += [name] if whole else [f"{name}::{test}" for test in absent]
    return tuple(missing)


def asking_files(config: pytest.Config, files: Iterable[Path]) -> list[Path]:
    """The files in which a test asks a model; they are read before anything is collected.

    Args:
        config: The session's configuration.
        files: Test files of the project.
    """
    reader = _SourceReader(config)
    return [path for path in files if any(reader.tests(path).values())]


def _node_id(path: Path, session: pytest.Session) -> str:
    return os.path.relpath(path, session.config.rootpath).replace(os.sep, "/")


_Functions = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What a file of Python defines: tests by name with their class, fixtures, and what all tests use."""

    tests: Mapping[str, set[str]]
    fixtures: Mapping[str, set[str]]
    used_by_all: set[str]


class _SourceReader:
    """Reads which tests a file has, and which of them ask a model."""

    def __init__(self, config: pytest.Config, session: pytest.Session | None = None) -> None:
        project = session_project(config)
        self._root = project if project in config.rootpath.parents else config.rootpath
        # None before there is one: then fixtures are known by what the files define, and by our names.
        self._session = session
        self._functions = patterns_of(config, "python_functions")
        self._classes = patterns_of(config, "python_classes")
        self._always = set(configured(config, "usefixtures"))
        self._read: dict[Path, _Source] = {}

    def tests(self, path: Path) -> dict[str, bool]:
        """The tests of a file, and whether each asks a model."""
        source = self._source(path)
        folders = [each for each in (path.parent, *path.parent.parents) if each.is_relative_to(self._root)]
        conftests = [self._source(each / "conftest.py") for each in reversed(folders)]
        fixtures = {name: used for each in (*conftests, source) for name, used in each.fixtures.items()}
        everywhere = self._always.union(*(each.used_by_all for each in (*conftests, source)))

        def asks(name: str, seen: frozenset[str] = frozenset()) -> bool:
            if name not in fixtures or name in seen:
                known = None if self._session is None else fixture_asks(name, self._session)
                return name in FIXTURE_NAMES if known is None else known
            return any(asks(other, seen | {name}) for other in fixtures[name])

        return {name: any(map(asks, used | everywhere)) for name, used in source.tests.items()}

    def _source(self, path: Path) -> _Source:
        if path not in self._read:
            self._read[path] = self._parsed(path)
        return self._read[path]

    def _parsed(self, path: Path) -> _Source:
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            # pytest can't collect it either.
            return _Source(tests={}, fixtures={}, used_by_all=set())
        tests: dict[str, set[str]] = {}
        for name, node, marks in self._defined(tree.body, "", set()):
            tests[name] = _used_names(node) | marks
        fixtures, everywhere = {}, _marks(tree.body)
        for each in ast.walk(tree):
            if isinstance(each, _Functions) and (decorator := _fixture_decorator(each)) is not None:
                options = {given.arg: given.value for given in getattr(decorator, "keywords", ())}
                name = getattr(options.get("name"), "value", None) or each.name
                fixtures[name] = _used_names(each)
                everywhere |= {name} if getattr(options.get("autouse"), "value", False) else set()
        return _Source(tests=tests, fixtures=fixtures, used_by_all=everywhere)

    def _defined(
        self, body: Iterable[ast.stmt], prefix: str, marks: set[str]
    ) -> Iterator[tuple[str, _Functions, set[str]]]:
        for node in body:
            if isinstance(node, _Functions):
                if _is_named(node.name, self._functions) and _fixture_decorator(node) is None:
                    yield prefix + node.name, node, marks
            elif isinstance(node, ast.ClassDef):
                is_case = any("TestCase" in ast.unparse(base) for base in node.bases)
                if is_case or _is_named(node.name, self._classes):
                    own = marks | _marks(node.body).union(*map(_requested, node.decorator_list))
                    yield from self._defined(node.body, f"{prefix}{node.name}::", own)
            elif isinstance(node, ast.If | ast.Try | ast.With):
                yield from self._defined([*node.body, *getattr(node, "orelse", ())], prefix, marks)


def _is_named(name: str, patterns: Iterable[str]) -> bool:
    """As pytest finds tests by their names: by a prefix, or a pattern."""
    return any(name.startswith(each) or fnmatch.fnmatch(name, each) for each in patterns)


def _fixture_decorator(node: _Functions) -> ast.expr | None:
    def called(each: ast.expr) -> str:
        return ast.unparse(each.func if isinstance(each, ast.Call) else each)

    return next((each for each in node.decorator_list if called(each).endswith("fixture")), None)


def _used_names(node: _Functions) -> set[str]:
    """The arguments of a test or fixture, and the fixtures that it names otherwise."""
    given = node.args
    return {each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)} | _requested(node)


def _requested(node: ast.AST) -> set[str]:
    """The texts of marks that name fixtures; all texts where fixtures are got at run time."""
    inside = list(ast.walk(node))
    if any(isinstance(each, ast.Attribute) and each.attr == AT_RUN_TIME for each in inside):
        return _texts(inside)
    marks = [
        each for each in inside if isinstance(each, ast.Call) and "usefixtures" in ast.unparse(each.func)
    ]
    return {text for mark in marks for text in _texts(mark.args)}


def _texts(nodes: Iterable[ast.AST]) -> set[str]:
    return {each.value for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def _marks(body: Iterable[ast.stmt]) -> set[str]:
    """The fixtures that a module's or class's own marks name."""
    assigned = [
        each for each in body if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "pytestmark"
    ]
    return set().union(*map(_requested, assigned))
