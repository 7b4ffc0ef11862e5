"""Whether a command may run the project's own code, for ``python`` checks."""

import os
from collections.abc import Sequence
from pathlib import Path

from harness.run.preflight import require_python
from harness.settings import load_settings
from harness.types import GoldenCase
from tunegate.project import command_project


def check_python(cases: Sequence[GoldenCase]) -> bool:
    """The permission in the settings of the working directory's project; loads the cases' functions.

    Raises:
        SettingsError: A case has a ``python`` check that is not allowed, or that can't be loaded.
    """
    allowed = load_settings({}, command_project(Path.cwd()), os.environ).allow_python_checks
    require_python(cases, allowed=allowed)
    return allowed
