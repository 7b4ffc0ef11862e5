"""Where commands keep and find what a project keeps."""

import os
from pathlib import Path

from harness.settings import load_settings
from tunegate.project import command_project


def kept_in(directory: Path | None) -> Path:
    """The folder of history, cache and calibrations.

    Args:
        directory: As it was typed, relative to the working directory; None for the project's own.
    """
    if directory is not None:
        return directory
    project = command_project(Path.cwd())
    return project / load_settings({}, project, os.environ).directory
