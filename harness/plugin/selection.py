"""What a session gates: golden sets and a project's own tests, less what the command line leaves out."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from harness.errors import GoldenError
from harness.golden.load import GateContent, gate_content, is_no_set
from harness.settings import Settings
from harness.types import GoldenCase, GoldenSet
from tunegate.printable import printable_line
from tunegate.project import session_project

# The fixture with the model's name; its name is not one that a project may use itself.
CANDIDATE_NAME = "_tunegate_candidate"


_OURS = "harness.plugin.fixtures"


_ALL, _NONE = "all models", "no model"


class FailedTests:
    """Hand-written tests that failed, recorded while they run."""

    def __init__(self) -> None:
        """Start without failures."""
        # The models that each test used, by its node id: a name in a tuple, all of them or none.
        self._failed: dict[str, tuple[str] | str] = {}

    def note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Record the end of a test's phase; a test that is run again counts with its last run.

        Args:
            item: A test that is not a golden case.
            report: The report of its setup, call or teardown.
        """
        if report.when == "setup":
            self._failed.pop(item.nodeid, None)
        if report.failed:
            self._failed[item.nodeid] = _asked(item)

    def of(self, candidate: str) -> tuple[str, ...]:
        """Node ids of the failed tests that count for a model, by its name in the session."""
        return tuple(test for test, asked in self._failed.items() if asked in {(candidate,), _ALL})

    @property
    def is_empty(self) -> bool:
        """Whether none failed."""
        return not self._failed

    @property
    def others(self) -> tuple[str, ...]:
        """Node ids of the failed tests that use no model."""
        return tuple(test for test, asked in self._failed.items() if asked == _NONE)


def asks_a_model(item: pytest.Item) -> bool:
    """Whether a test uses one of our fixtures, directly or not; foreign ones of the same name don't count."""
    return any(getattr(each.func, "__module__", None) == _OURS for each in _fixtures_of(item))


def _asked(item: pytest.Item) -> tuple[str] | str:
    if not asks_a_model(item):
        return _NONE
    callspec = getattr(item, "callspec", None)
    name = None if callspec is None else callspec.params.get(CANDIDATE_NAME)
    return _ALL if name is None else (name,)


def _fixtures_of(item: pytest.Item) -> Iterator[Any]:
    """The fixtures that a test names, and those that it requested; pytest has no public API for this."""
    named = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    yield from (definitions[-1] for definitions in named.values() if definitions)
    yield from getattr(getattr(item, "_request", None), "_fixture_defs", {}).values()


_MOST_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTests:
    """The project's own tests that belong to a gate.

    Attributes:
        roots: Files and directories.
        only_asking: Whether only those tests belong that ask the model: of pytest's ``testpaths``, where
            the setting ``paths`` names none.
    """

    roots: tuple[Path, ...] = ()
    only_asking: bool = False

    def belong(self, item: pytest.Item) -> bool:
        """Whether a collected test belongs to the gate; one that was asked for by its path always does."""
        return not (self.only_asking and _is_below(item.path, self.roots)) or asks_a_model(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """The parts that a session leaves out.

    Attributes:
        cases: How many of how many cases, by golden set.
        tests: Tests and folders of tests.
        keys: The cases, by key.
    """

    cases: dict[str, tuple[int, int]]
    tests: tuple[str, ...]
    keys: tuple[str, ...] = ()

    def line(self) -> str | None:
        """One line for the terminal; None where nothing is left out."""
        named = [f"{name} {out}/{total}" for name, (out, total) in self.cases.items()] + list(self.tests)
        if not named:
            return None
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        cases = sum(out for out, _ in self.cases.values())
        what = [f"{cases} cases"] * bool(cases) + ["tests"] * bool(self.tests)
        return (
            f"tunegate: partial run, left out: {' and '.join(what)} ({', '.join(named[:_MOST_NAMED])}{more})"
        )


def left_out_cases(content: GateContent, keys: Collection[str]) -> dict[str, tuple[int, int]]:
    """By golden set, how many of how many of its cases are not selected; without sets that are whole.

    Args:
        content: The content of the gate.
        keys: Of the selected cases.

    Returns:
        By name of the set, the number of its cases that are not selected, and of all its cases.
    """
    found = {}
    for golden_set in content.sets:
        out = sum(case.key not in keys for case in golden_set.cases)
        if out:
            found[golden_set.name] = (out, len(golden_set.cases))
    return found


def left_out_keys(content: GateContent, keys: Collection[str]) -> tuple[str, ...]:
    """The keys of the cases that are not selected, in order.

    Args:
        content: The content of the gate.
        keys: Of the selected cases.
    """
    return tuple(case.key for golden_set in content.sets for case in golden_set.cases if case.key not in keys)


def left_out_roots(roots: Iterable[Path], arguments: Sequence[str], here: Path) -> tuple[str, ...]:
    """Files and folders of own tests that are below none of the collected paths.

    Args:
        roots: Where the project's own tests are.
        arguments: The paths that pytest collects, perhaps with node ids.
        here: Where pytest was started: relative arguments begin there.
    """
    collected = [(here / argument.partition("::")[0]).resolve() for argument in arguments]
    return tuple(
        str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
        for path in roots
        if not _is_below(path.resolve(), collected)
    )


def _is_below(path: Path, roots: Collection[Path]) -> bool:
    return path in roots or any(root in path.parents for root in roots)


_YAML = {".yaml", ".yml"}


def own_tests(config: pytest.Config, settings: Settings) -> OwnTests:
    """The project's own tests that belong to a gate: of the setting ``paths``, else of ``testpaths``.

    Args:
        config: The session's configuration, before its arguments are changed.
        settings: The session's settings.
    """
    if settings.paths is not None:
        return OwnTests(roots=tuple(session_project(config) / path for path in settings.paths))
    found = [path for each in config.getini("testpaths") for path in config.rootpath.glob(each)]
    # Tests whose path is given are wanted, whether or not they ask the model.
    return OwnTests(roots=tuple(found), only_asking=not _names_paths(config))


def collect_golden_sets(config: pytest.Config, golden: Sequence[Path], own: OwnTests) -> None:
    """Set the paths to collect, unless the command line names its own.

    Args:
        config: The session's configuration.
        golden: Where golden sets are.
        own: The project's own tests, to be collected beside them.

    Raises:
        pytest.UsageError: There is no golden set.
    """
    if _names_paths(config):
        return
    chosen = [path for path in golden if path.exists()]
    if not chosen:
        raise pytest.UsageError(
            printable_line(
                f"no golden set: none of {', '.join(map(str, golden))} exists; "
                f"write one with: tunegate golden new golden_sets/mine.yaml"
            )
        )
    if wrong := [path for path in chosen if path.is_file() and path.suffix not in _YAML]:
        raise pytest.UsageError(
            printable_line(
                f"{wrong[0]}: not a golden set (allowed: a .yaml or .yml file, or a folder of them)"
            )
        )
    config.args = [*map(str, chosen), *(str(path) for path in own.roots)]


def _names_paths(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.ARGS


class SelectedCase(Protocol):
    """One case of one model, as pytest selected it: an item."""

    golden_set: GoldenSet
    case: GoldenCase
    candidate: str


@dataclass(slots=True, kw_only=True)
class Selection:
    """The golden cases of a session, filled while pytest collects and selects.

    Attributes:
        golden: Files and directories of the golden sets.
        names: The models that each case is an item for; the name is empty if there is only one.
        with_probes: Whether sets that probe forgetting are collected.
        sets: The collected golden sets, by file.
        content: The content of the gate, collected or not; None before it is known.
        faults: Faults of golden sets; reported together after all files are read.
        cases: The selected cases.
    """

    golden: tuple[Path, ...]
    names: tuple[str, ...] = ("",)
    with_probes: bool = True
    sets: dict[Path, GoldenSet] = field(default_factory=dict)
    content: GateContent | None = None
    faults: list[GoldenError] = field(default_factory=list)
    cases: tuple[SelectedCase, ...] = ()

    def is_golden(self, path: Path) -> bool:
        """Whether a file is, or is below, one of the golden paths, and no labelled items or part of sets."""
        return not is_no_set(path) and any(path == golden or golden in path.parents for golden in self.golden)

    @property
    def collected(self) -> int:
        """How many cases belong to the gate, before selection."""
        return 0 if self.content is None else sum(len(each.cases) for each in self.content.sets)

    def note_set(self, path: Path, golden_set: GoldenSet) -> None:
        """Keep a collected set.

        Args:
            path: Its file.
            golden_set: Its content.
        """
        self.sets[path] = golden_set

    def find_content(self, cases: Sequence[SelectedCase]) -> bool:
        """Find what belongs to the gate, with files that were not collected.

        Args:
            cases: All that were collected, before selection.

        Returns:
            Whether the bundled probes are to be asked too: where all cases of the project's own are.
        """
        self.content = gate_content(self.golden, forgetting=self.with_probes, known=self.sets)
        noted = {str(fault) for fault in self.faults}
        self.faults += [fault for fault in self.content.faults if str(fault) not in noted]
        keys = {each.case.key for each in cases}
        own = [case.key for golden_set in self.content.own for case in golden_set.cases]
        return bool(self.content.bundled) and not self.faults and keys.issuperset(own)

    def note_fault(self, error: GoldenError) -> None:
        """Store a file's fault until all are read."""
        self.faults.append(error)

    def take(self, cases: Sequence[SelectedCase]) -> None:
        """Store the selected cases.

        Raises:
            pytest.UsageError: A golden set is invalid; one line for each fault.
        """
        if (fault := shared_name(cases)) is not None:
            self.note_fault(fault)
        if self.faults:
            raise pytest.UsageError(*(str(fault) for error in self.faults for fault in error.faults))
        self.cases = tuple(cases)

    def golden_sets(self) -> list[GoldenSet]:
        """The golden sets with the cases that at least one model answers."""
        sets: dict[str, GoldenSet] = {}
        cases: dict[str, dict[str, GoldenCase]] = {}
        for each in self.cases:
            sets[each.golden_set.name] = each.golden_set
            cases.setdefault(each.golden_set.name, {})[each.case.id] = each.case
        return [replace(golden_set, cases=tuple(cases[name].values())) for name, golden_set in sets.items()]

    def keys_by_name(self) -> dict[str, set[str]]:
        """Keys of the cases that each model answers, by its name; without models that answer no case."""
        keys: dict[str, set[str]] = {}
        for each in self.cases:
            keys.setdefault(each.candidate, set()).add(each.case.key)
        return keys


def shared_name(cases: Sequence[SelectedCase]) -> GoldenError | None:
    """The first golden set with the name of another file, as a fault; None if all names differ."""
    paths: dict[str, str] = {}
    for each in cases:
        golden_set = each.golden_set
        other = paths.setdefault(golden_set.name, golden_set.path)
        if other != golden_set.path:
            problem = f"the set's name {golden_set.name!r} is taken by {other}"
            return GoldenError(golden_set.path, None, "name", problem, "a name of its own")
    return None


SELECTION: pytest.StashKey[Selection] = pytest.StashKey()
