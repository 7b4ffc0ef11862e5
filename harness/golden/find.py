"""Finds the golden sets in directories."""

from collections.abc import Iterable
from pathlib import Path

from harness.golden.load import LABELLED

DEFAULT_GOLDEN = Path("golden_sets")


def golden_files(paths: Iterable[Path] | None = None) -> list[Path]:
    """The golden sets below directories; a path of a file is returned as it is.

    Args:
        paths: Directories and files; None means ``golden_sets`` in the working directory.
    """
    files: list[Path] = []
    for path in [DEFAULT_GOLDEN] if paths is None else paths:
        if path.is_dir():
            inside = sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")])
            files += [file for file in inside if file.parent.name != LABELLED]
        else:
            files.append(path)
    return files
