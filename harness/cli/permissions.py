"""What the checks of a command may run."""

import os
from collections.abc import Sequence
from pathlib import Path

from harness.run.inputs import require_permitted
from harness.settings import load_settings
from harness.types import GoldenCase, Permissions
from tunegate.project import command_project


def check_permissions(cases: Sequence[GoldenCase]) -> Permissions:
    """The permissions in the settings of the working directory's project; loads the cases' functions.

    Raises:
        SettingsError: A case has a check that is not allowed, or whose function can't be loaded.
    """
    allowed = load_settings({}, command_project(Path.cwd()), os.environ).permissions
    require_permitted(cases, allowed)
    return allowed
