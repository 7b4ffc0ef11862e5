"""pytest's entry point, by a name that is in nobody's way: it puts tunegate's plugin in its own place.

A project may have a package of its own called ``tunegate``. Then its tests import that one. The gate is off
and says so in one line; a session that names a model is refused.

PYTEST_DONT_REWRITE: see ``harness``.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

NAME = "tunegate"
# The options of the gate that take no value. A test compares them with tunegate's own list.
SWITCHES = frozenset(
    f"--gate-{name}" for name in ("no-forgetting", "no-cache", "accept-dirty", "allow-python", "allow-code")
)
# ``tunegate gate`` runs the gate with tunegate's packages, whatever the project has.
_COMMANDS = ("tunegate.command", "tunegate.pinned")


def own_package_of_project() -> Path | None:
    """A project's own package or module called ``tunegate``; None if the name is ours."""
    if any(name in sys.modules for name in _COMMANDS):
        return None
    return next((place for place in _places() if not _is_tunegate(place)), None)


def _places() -> Iterator[Path]:
    """What an import finds now, and what a conftest file puts before it: its own folder, or ``src``."""
    spec = importlib.util.find_spec(NAME)
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin)
    for folder in (Path.cwd(), Path.cwd() / "src"):
        yield from filter(Path.is_file, (folder / NAME / "__init__.py", folder / f"{NAME}.py"))


def _is_tunegate(file: Path) -> bool:
    """Whether a package is tunegate: ours, or another copy of it."""
    return file.with_name("own_packages.py").is_file()


_FOREIGN = own_package_of_project()
_LINE = f"{_FOREIGN} has the name of tunegate's package; run the gate by: tunegate gate --model=DIR"

if _FOREIGN is None:
    sys.modules[__name__] = importlib.import_module(NAME)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> Generator[None, None, None]:
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
        raise pytest.UsageError(f"{asked[0]}: {_LINE}")
    for name in sorted(each for each in given if each.startswith("--gate-")):
        action = "store_true" if name in SWITCHES else "store"
        parser.addoption(name, action=action, dest="tunegate_unused", default=None, help="not used")


def pytest_configure(config: pytest.Config) -> None:
    """Say even in a quiet session why the gate is off."""
    if config.get_verbosity() < 0 and not hasattr(config, "workerinput"):
        print(f"tunegate: off: {_LINE}", file=sys.stderr)


def pytest_report_header() -> str:
    """Say why the gate is off."""
    return f"tunegate: off: {_LINE}"
