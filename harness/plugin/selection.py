"""What a session gates: golden sets and a project's own tests, less what the command line leaves out."""

import os
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest

from harness.errors import GoldenError
from harness.golden.load import GateContent, gate_content, is_no_set, name_fault
from harness.plugin.asking_tests import asks_a_model
from harness.plugin.missing_tests import asking_files
from harness.plugin.own_tests import OwnTests, Root, asked_model, root_of
from harness.settings import Settings
from harness.types import GoldenCase, GoldenSet
from tunegate.printable import printable_line
from tunegate.project import configured_project, files_of_tests, name_of, places_of_tests, session_project

_ALL, _NONE = "all models", "no model"


class SeenTests:
    """The tests of all collected files, before anything was left out of them; registered with pytest."""

    def __init__(self, *, others: type[pytest.Item]) -> None:
        """Items of the class ``others`` are no hand-written tests."""
        self._others = others
        self.items: dict[str, pytest.Item] = {}

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Note what a file has, where a node id or ``--lf`` selects a part of it."""
        report = yield
        items = [each for each in report.result or () if isinstance(each, pytest.Item)]
        self.items |= {name_of(item): item for item in items if not isinstance(item, self._others)}
        return report


def belonging_tests(own: OwnTests, items: Iterable[pytest.Item], seen: SeenTests) -> list[pytest.Item]:
    """The tests without which a gate is partial.

    Args:
        own: Which tests belong to the gate.
        items: The collected tests, before any is deselected.
        seen: What their files have: what a node id or ``--lf`` leaves out belongs where the whole file would.
    """
    kept = {name_of(item): item for item in items}
    cut = {name: item for name, item in seen.items.items() if name not in kept and own.is_here(item)}
    return [item for item in (*kept.values(), *cut.values()) if own.belongs(item)]


@dataclass(slots=True, kw_only=True)
class Turns:
    """How the items of a session ended, recorded while they run.

    Attributes:
        reached: Node ids of the items that came to their turn.
        left_out: Why an item of the gate said nothing, by its node id: something else than the golden set
            skipped it, its own setup broke, or a mark expects its failure.
        failed: The models that a failed hand-written test used, by its node id: a name, all or none.
        asked: How often hand-written tests have asked.
    """

    reached: set[str] = field(default_factory=set)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    _asked_before: int = 0

    def note(
        self, item: pytest.Item, report: pytest.TestReport, *, skipped: str = "", failed: str = ""
    ) -> None:
        """Record a phase of an item; one that is run again counts with its last run.

        Args:
            item: The item.
            report: The report of its setup, call or teardown.
            skipped: Why it says nothing of the model, if it doesn't.
            failed: Which models its failure is a failure of, if it failed.
        """
        name = name_of(item)
        if report.when == "setup":
            self.failed.pop(name, None)
            self.left_out.pop(name, None)
        if report.when == "call" or not report.passed:
            self.reached.add(name)
        if skipped:
            self.left_out[name] = skipped
        if failed:
            self.failed[name] = failed

    def note_test(self, item: pytest.Item, report: pytest.TestReport, own: OwnTests) -> None:
        """Record a phase of a hand-written test.

        Args:
            item: The test.
            report: The report of its setup, call or teardown.
            own: Which tests belong to the gate.
        """
        skipped = failed = ""
        has_asked, self._asked_before = self.asked > self._asked_before, self.asked
        if report.skipped and own.belongs(item):
            skipped = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        if report.failed and report.when == "setup" and not has_asked and own.belongs(item):
            skipped = "error at setup"
        if report.failed:
            # What breaks around a test and asks nothing, such as a database, says nothing of a model.
            asks = (report.when == "call" or has_asked) and asks_a_model(item)
            failed = (asked_model(item) or _ALL) if asks else self.failed.get(name_of(item), _NONE)
        self.note(item, report, skipped=skipped, failed=failed)

    def failed_of(self, candidate: str) -> tuple[str, ...]:
        """Node ids of the failed tests that count for a model, by its name in the session."""
        return tuple(test for test, asked in self.failed.items() if asked in {candidate or _ALL, _ALL})

    @property
    def failed_others(self) -> tuple[str, ...]:
        """Node ids of the failed tests that use no model."""
        return tuple(test for test, asked in self.failed.items() if asked == _NONE)


_MOST_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OmittedParts:
    """The parts that a session leaves out.

    Attributes:
        cases: How many of how many cases, by golden set.
        tests: Hand-written tests and files of them, each perhaps with the reason.
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
        what = [f"{cases} case{'s' * (cases > 1)}"] * bool(cases) + ["tests"] * bool(self.tests)
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


def left_out_of(content: GateContent | None, keys: Collection[str], tests: Sequence[str]) -> OmittedParts:
    """What is left out where only these cases are answered, and these tests say nothing.

    Args:
        content: The content of the gate; None before it is known.
        keys: Of the cases that are answered.
        tests: The hand-written tests.
    """
    if content is None:
        return OmittedParts(cases={}, tests=tuple(tests))
    cases, absent = left_out_cases(content, keys), left_out_keys(content, keys)
    return OmittedParts(cases=cases, keys=absent, tests=tuple(tests))


_YAML = {".yaml", ".yml"}


def own_tests(config: pytest.Config, settings: Settings) -> OwnTests:
    """The project's own tests that belong to a gate: of ``paths``, else of ``testpaths``, else all.

    Args:
        config: The session's configuration, before its arguments are changed.
        settings: The session's settings.

    Raises:
        pytest.UsageError: A path of the setting does not exist.
    """
    if settings.paths is not None:
        roots = [root_of(path, session_project(config)) for path in settings.paths]
        if missing := [str(root.path) for root in roots if not root.path.exists()]:
            raise pytest.UsageError(
                printable_line(f"paths: {missing[0]} does not exist (allowed: files, folders and node ids)")
            )
        return OwnTests(roots=tuple(roots))
    places = places_of_tests(config)
    # Where no folder of tests is named, only files that have such a test are collected.
    if not places and (files := files_of_tests([_searched(config)], config)):
        places = asking_files(config, files)
    found, project = tuple(Root(path=path) for path in places), session_project(config)
    # Tests whose path is given are wanted, whether or not they ask the model.
    return OwnTests(roots=found, only_asking=True, run_all=_names_paths(config), project=project)


def _searched(config: pytest.Config) -> Path:
    """Where tests are looked for if no setting names their places.

    Without any configuration a root is only what all paths share, and may be ``/``: then, as in pytest, the
    working directory.
    """
    project, here = session_project(config), config.invocation_params.dir
    is_known = config.inipath is not None or configured_project(here) is not None
    return project if is_known or project not in here.parents else here


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
    config.args = [_argument(str(place), config) for place in (*chosen, *own.roots)]


def _argument(place: str, config: pytest.Config) -> str:
    """A path or node id as pytest takes it, to which a bracket in a path begins a test's parameter.

    Raises:
        pytest.UsageError: There is one, also below the directory of the call.
    """
    path, inside, rest = place.partition("::")
    if "[" not in path:
        return place
    below = os.path.relpath(path, config.invocation_params.dir)
    if "[" in below:
        raise pytest.UsageError(
            printable_line(
                f"{path}: pytest collects nothing from a path with an opening bracket; rename it, or call "
                f"pytest inside of the directory with the bracket"
            )
        )
    return f".{os.sep}{below}{inside}{rest}"


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
        unsearched: Patterns of folders that pytest doesn't search.
        sets: The collected golden sets, by file.
        content: The content of the gate, collected or not; None before it is known.
        faults: Faults of golden sets; reported together after all files are read.
        cases: The selected cases.
    """

    golden: tuple[Path, ...]
    names: tuple[str, ...] = ("",)
    with_probes: bool = True
    unsearched: tuple[str, ...] = ()
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
        self.content = gate_content(
            self.golden, forgetting=self.with_probes, known=self.sets, unsearched=self.unsearched
        )
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
        taken, sets = dict[str, str](), {each.golden_set.path: each.golden_set for each in cases}
        if self.content is None:
            self.faults += filter(None, (name_fault(each, taken) for each in sets.values()))
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


SELECTION: pytest.StashKey[Selection] = pytest.StashKey()
