"""The content of a project's gate: its golden sets, and the bundled forgetting probes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import GoldenError, as_one
from harness.golden.find import golden_files
from harness.golden.load import load_golden_set
from harness.golden.probes import probe_directory
from harness.types import GoldenSet


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContent:
    """The golden sets that belong to a gate.

    Attributes:
        own: The project's.
        bundled: The forgetting probes that come with this package; none where a set of the project's says
            that it probes forgetting, or where forgetting is not measured.
        faults: Faults of the project's files.
    """

    own: tuple[GoldenSet, ...]
    bundled: tuple[GoldenSet, ...] = ()
    faults: tuple[GoldenError, ...] = ()

    @property
    def sets(self) -> tuple[GoldenSet, ...]:
        """All of them."""
        return self.own + self.bundled


def gate_content(
    paths: Iterable[Path] | None, *, forgetting: bool, known: Mapping[Path, GoldenSet] | None = None
) -> GateContent:
    """The content of a gate.

    Args:
        paths: Directories and files of golden sets; None takes ``golden_sets`` in the working directory.
        forgetting: Whether forgetting is measured.
        known: Sets that were read already, by file.
    """
    own, faults = [], []
    for file in golden_files(paths):
        try:
            own.append(_set_of(file, known or {}))
        except GoldenError as error:
            faults.append(error)
    has_probes = any(golden_set.probes_forgetting for golden_set in own)
    if not forgetting:
        own = [golden_set for golden_set in own if not golden_set.probes_forgetting]
    bundled = sorted(probe_directory().glob("*.yaml")) if forgetting and not has_probes else []
    return GateContent(
        own=tuple(own), bundled=tuple(load_golden_set(file) for file in bundled), faults=tuple(faults)
    )


def load_gate_sets(paths: Iterable[Path] | None, *, forgetting: bool) -> list[GoldenSet]:
    """The golden sets of a gate, all of them readable.

    Args:
        paths: Directories and files of golden sets; None takes ``golden_sets`` in the working directory.
        forgetting: Whether forgetting is measured.

    Raises:
        GoldenError: A file can't be used, or there is no golden set.
    """
    content = gate_content(paths, forgetting=forgetting)
    if content.faults:
        raise as_one([fault for error in content.faults for fault in error.faults])
    return list(content.sets)


def _set_of(file: Path, known: Mapping[Path, GoldenSet]) -> GoldenSet:
    return known[file] if file in known else load_golden_set(file)
