"""Whether a project's golden sets are still those of a run, which another machine may have made."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from harness.baselines.file import Baseline
from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.types import GoldenCase, GoldenSet


def places_of(path: str, root: Path) -> Iterator[Path]:
    """Where a run's file may be in a project, the likeliest place first.

    A run holds the paths of the machine that made it: another clone, a worktree or a CI runner has the same
    files below another directory.

    Args:
        path: As the run has it, of any system.
        root: The project's directory.
    """
    there = PureWindowsPath(path) if "\\" in path or path[1:2] == ":" else PurePosixPath(path)
    parts = there.relative_to(there.anchor).parts
    if Path(path).is_absolute() and Path(path).is_relative_to(root.resolve()):
        yield Path(path)
    for start in range(len(parts)):
        yield root.joinpath(*parts[start:])
    # Outside of both projects, such as the bundled probes or a folder that several projects share.
    if Path(path).is_absolute():
        yield Path(path)


def is_changed(golden_set: GoldenSet, cases: Iterable[GoldenCase], root: Path) -> bool | None:
    """Whether a project now asks something else than a run's golden set did.

    Files that a set names, such as schemas, prompts and judges' wordings, count too.

    Args:
        golden_set: As it was for the run.
        cases: The run's cases, of this set and others.
        root: The project's directory.

    Returns:
        None where the project has no such file. A file that is not valid any more is a change.
    """
    file = next((place for place in places_of(golden_set.path, root) if place.is_file()), None)
    if file is None:
        return None
    try:
        now = load_golden_set(file)
    except GoldenError:
        return True
    content = {case.key: case.content_sha256 for case in now.cases}
    return now.content_sha256 != golden_set.content_sha256 or any(
        content[case.key] != case.content_sha256 for case in cases if case.key in content
    )


def gone_sets(baseline: Baseline, golden_sets: Sequence[GoldenSet], root: Path) -> set[str]:
    """Names of an accepted run's sets that are not asked for and whose files no longer hold them.

    A set whose file is still there may just not be selected.

    Args:
        baseline: The accepted run. It may be from another clone, whose paths are others.
        golden_sets: The sets that are asked for.
        root: The project's directory.
    """
    asked = {each.name for each in golden_sets}
    files = {(root / each.path).resolve() for each in golden_sets}

    def is_kept(path: str) -> bool:
        return any(place.is_file() and place.resolve() not in files for place in places_of(path, root))

    return {each.name for each in baseline.golden_sets if each.name not in asked and not is_kept(each.path)}
