"""A pytest plugin that makes a session use our packages even if a project has packages of their names.

``tunegate gate`` loads it. Then ``harness``, ``reports`` and ``trainers`` are our packages in the session;
the project's own packages of these names can't be imported.
"""

import ast
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import pytest
from _pytest.config import ConftestImportFailure

from tunegate.own_packages import ALL_PACKAGES, foreign_package, foreign_packages, use_our_packages
from tunegate.printable import printable_line
from tunegate.project import session_project
from tunegate.request import names_a_model

use_our_packages()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, args: list[str]
) -> Generator[None, None, None]:
    """Refuse a session without a model, and a conftest file that needs the project's own packages.

    Raises:
        pytest.UsageError: One line with the remedy.
    """
    if not names_a_model(args, session_project(early_config)):
        raise pytest.UsageError("no model: give --model=DIR")
    if not early_config.pluginmanager.has_plugin("tunegate.pytest_plugin"):
        off = map(early_config.pluginmanager.is_blocked, ("tunegate", "tunegate.pytest_plugin"))
        why = "-p no: switches the gate off" if any(off) else "no plugin is loaded by itself: add -p tunegate"
        raise pytest.UsageError(f"nothing would be gated: {why}")
    try:
        yield
    except ConftestImportFailure as error:
        foreign = foreign_package([early_config.rootpath, early_config.invocation_params.dir])
        missed = error.cause.name if isinstance(error.cause, ImportError) else None
        if foreign is None or missed is None or missed.partition(".")[0] not in ALL_PACKAGES:
            raise
        raise pytest.UsageError(
            printable_line(
                f"{error.path}: {error.cause} ({foreign} can't be imported beside tunegate's "
                f"own package: add --noconftest to gate without the project's conftest files)"
            )
        ) from error


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Refuse tests that import the project's own package of one of our names: here they would get ours.

    Raises:
        pytest.UsageError: There is one; its failure would look like a regression.
    """
    roots = [config.rootpath, config.invocation_params.dir]
    for path in dict.fromkeys(item.path for item in items if item.path.suffix == ".py"):
        own = foreign_packages([*roots, path.parent])
        if name := next((name for name in _imported(path) if name in own), None):
            raise pytest.UsageError(
                printable_line(
                    f"{path}: imports {name}, and here that is tunegate's own package, not {own[name]}: name "
                    f"the golden sets alone, as in tunegate gate golden_sets, and run this file by pytest"
                )
            )


def _imported(path: Path) -> Iterator[str]:
    """The packages that a file of tests imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
