"""Whether a project's golden sets are still those of a run, which another machine may have made."""

from collections.abc import Iterable
from pathlib import Path

from harness.baselines.file import places_of
from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.types import GoldenCase, GoldenSet


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
