"""The cases of a session: those collected from the golden sets, and those selected."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest

from harness.errors import GoldenError
from harness.golden.find import is_no_set
from harness.golden.gate_content import GateContent, gate_content
from harness.types import GoldenCase, GoldenSet


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
