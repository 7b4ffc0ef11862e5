"""pytest's entry point, by a name that is in nobody's way: it loads tunegate's plugin.

A project may have a package of its own called ``tunegate``. Then its tests import that one. The gate is off
and says so in one line; a session that names a model is refused.

PYTEST_DONT_REWRITE: see ``harness``.
"""

import ast
import importlib.util
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder

# Unlike pathlib's, they answer False to a name that is too long and in a folder that may not be read.
from os.path import exists, isfile
from pathlib import Path
from typing import Any

import pytest

NAME = "tunegate"
_PLUGIN = "tunegate.pytest_plugin"
_OFF = "tunegate-off"
# The options of the gate that take no value. A test compares them with tunegate's own list.
SWITCHES = frozenset(
    f"--gate-{name}" for name in ("no-forgetting", "no-cache", "accept-dirty", "allow-python", "allow-code")
)
# ``tunegate gate`` runs the gate with tunegate's packages, whatever the project has.
_COMMANDS = ("tunegate.command", "tunegate.pinned")
# Options whose value is no path of tests.
_OURS = ("--model", "--gate-")
_SIGNS = ("pyproject.toml", "pytest.toml", "pytest.ini", "tox.ini", "setup.cfg", "setup.py", ".git")


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the gate's plugin, or what says why the gate is off: the first hook, which knows the arguments."""
    config: Any = pluginmanager.get_plugin("pytestconfig")
    if pluginmanager.has_plugin(_OFF):
        return
    given = config.invocation_params
    foreign = own_package_of_project(given.dir, [str(each) for each in given.args])
    if foreign is None:
        pluginmanager.import_plugin(_PLUGIN)
    else:
        pluginmanager.register(DisabledGate(foreign), _OFF)
        finder = OwnPackageFinder()
        sys.meta_path.insert(0, finder)
        config.add_cleanup(lambda: sys.meta_path.remove(finder))


class EntryPoint:
    """What pytest loads by itself. Not the module, which ``-p`` or a conftest file may name too."""

    def pytest_addoption(self, pluginmanager: pytest.PytestPluginManager) -> None:
        """As the module's."""
        pytest_addoption(pluginmanager)


ENTRY_POINT = EntryPoint()


def own_package_of_project(here: Path, arguments: Sequence[str]) -> Path | None:
    """A project's own package or module called ``tunegate``; None if the name is ours.

    Args:
        here: The folder that pytest was started in.
        arguments: Those of the command line.
    """
    if any(name in sys.modules for name in _COMMANDS):
        return None
    return next((place for place in _places(here, arguments) if not _is_tunegate(place)), None)


def _places(here: Path, arguments: Sequence[str]) -> Iterator[Path]:
    """What an import finds now, and what test and conftest files put before it: their folder, or ``src``."""
    spec = importlib.util.find_spec(NAME)
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin)
    tops = (here, *(here / path for path in _paths(here, arguments)))
    for folder in dict.fromkeys(folder for top in tops for folder in _up_to_root(top)):
        for each in (folder, folder / "src"):
            yield from filter(isfile, (each / NAME / "__init__.py", each / f"{NAME}.py"))
        for tests in (folder / "tests", folder / "test"):
            package = tests / NAME / "__init__.py"
            # pytest puts the folder on Python's path, unless it is a package too.
            if isfile(package) and not isfile(tests / "__init__.py") and _has_code(package):  # noqa: PTH113
                yield package


def _paths(here: Path, arguments: Sequence[str]) -> Iterator[str]:
    for before, word in zip(("", *arguments), arguments, strict=False):
        path = word.removeprefix("--rootdir=").partition("::")[0]
        is_value = before.startswith(_OURS) and "=" not in before and before not in SWITCHES
        if path and not is_value and not path.startswith("-") and exists(here / path):  # noqa: PTH110
            yield path


def _up_to_root(path: Path) -> list[Path]:
    """A folder and those above it, up to what looks like a project's root; if nothing does, the folder."""
    folder = path if path.is_dir() else path.parent
    above = [folder, *folder.parents]
    roots = (each for each in above if any(exists(each / sign) for sign in _SIGNS))  # noqa: PTH110
    return above[: above.index(next(roots, folder)) + 1]


def _is_tunegate(file: Path) -> bool:
    """Whether a package is tunegate: ours, or another copy of it."""
    return isfile(file.with_name("own_packages.py"))  # noqa: PTH113


def _has_code(file: Path) -> bool:
    """Whether a module has more than a docstring: a folder of tests may have the name of what they test."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return True
    return any(not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)) for each in body)


class OwnPackageFinder:
    """Finds the project's own package wherever Python's path has it, also behind ours."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """The first package of the name that is no copy of tunegate; None for other names.

        Args:
            name: The module's.
            path: The folders of its parent, if it has one.
            target: Not used.
        """
        if path is not None or name != NAME:
            return None
        return PathFinder.find_spec(
            name, [each for each in sys.path if not _is_tunegate(Path(each, NAME, "__init__.py"))]
        )


class DisabledGate:
    """The plugin of a session in which the gate is off."""

    def __init__(self, foreign: Path) -> None:
        """Note the project's package."""
        self._line = (
            f"{foreign} has the name of tunegate's package; run the gate by: tunegate gate --model=DIR"
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_load_initial_conftests(
        self, parser: pytest.Parser, args: list[str]
    ) -> Generator[None, None, None]:
        """Refuse a session that names a model, unless the option is the project's own; accept other options.

        Raises:
            pytest.UsageError: One line with the remedy.
        """
        yield
        groups = (parser._anonymous, *parser._groups)
        owned = {name for group in groups for option in group.options for name in option.names()}
        given = {word.partition("=")[0] for word in args} - owned
        asked = sorted(given & {"--model", "--gate-model"})
        asked += ["TUNEGATE_MODEL"] if os.environ.get("TUNEGATE_MODEL") else []
        if asked:
            raise pytest.UsageError(f"{asked[0]}: {self._line}")
        for name in sorted(each for each in given if each.startswith("--gate-")):
            action = "store_true" if name in SWITCHES else "store"
            parser.addoption(name, action=action, dest="tunegate_unused", default=None, help="not used")

    def pytest_configure(self, config: pytest.Config) -> None:
        """Say even in a quiet session why the gate is off."""
        if config.get_verbosity() < 0 and not hasattr(config, "workerinput"):
            print(f"tunegate: off: {self._line}", file=sys.stderr)

    def pytest_report_header(self) -> str:
        """Say why the gate is off."""
        return f"tunegate: off: {self._line}"
