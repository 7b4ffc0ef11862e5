"""The paths that pytest collects if the command line names none: golden sets, and the project's own tests."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.plugin.left_out import OwnTests
from harness.settings import Settings
from tunegate.printable import printable_line
from tunegate.project import session_project

_YAML = {".yaml", ".yml"}


def own_tests(config: pytest.Config, settings: Settings) -> OwnTests:
    """The project's own tests that belong to a gate: of the setting ``paths``, else of ``testpaths``.

    Args:
        config: The session's configuration, before its arguments are changed.
        settings: The session's settings.
    """
    if settings.paths is not None:
        return OwnTests(roots=tuple(session_project(config) / path for path in settings.paths))
    found = [path for each in config.getini("testpaths") for path in config.rootpath.glob(each)]
    # Tests whose path is given are wanted, whether or not they ask the model.
    return OwnTests(roots=tuple(found), only_asking=not _names_paths(config))


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
    config.args = [*map(str, chosen), *(str(path) for path in own.roots)]


def _names_paths(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.ARGS
