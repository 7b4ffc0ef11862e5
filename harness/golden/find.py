"""Finds the golden sets in directories."""

import os
from collections.abc import Iterable
from pathlib import Path

from harness.golden.load import INCLUDED, LABELLED
from harness.settings import load_settings
from tunegate.project import command_project

DEFAULT_GOLDEN = Path("golden_sets")


def project_golden() -> list[Path]:
    """Where the golden sets are of the project in which a command is run: its setting ``golden``."""
    project = command_project(Path.cwd())
    return [project / path for path in load_settings({}, project, os.environ).golden]


def is_no_set(file: Path) -> bool:
    """Whether a YAML file below a directory of golden sets is none: labelled items, or a part of sets."""
    return file.parent.name == LABELLED or file.name.startswith(INCLUDED)


def golden_files(paths: Iterable[Path] | None = None) -> list[Path]:
    """The golden sets below directories; a path of a file is returned as it is.

    Args:
        paths: Directories and files; None means those of the project in which the command is run.
    """
    files: list[Path] = []
    for path in project_golden() if paths is None else paths:
        if path.is_dir():
            inside = sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")])
            files += [file for file in inside if not is_no_set(file)]
        else:
            files.append(path)
    return files
