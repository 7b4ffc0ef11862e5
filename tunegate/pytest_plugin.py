"""pytest's entry point: it loads the gate if a session concerns it, and costs almost nothing otherwise.

The gate is loaded if a model, one of its options or the help is asked for, or when a
golden set is collected. Until then only this package is imported. If a project has packages of our names (see
:mod:`tunegate.own_packages`), the gate is off and says so; a session that asks for it is refused.
"""

import importlib
import os
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pluggy
import pytest

from tunegate import hookspecs
from tunegate.markers import declare_markers, note_project_markers
from tunegate.own_packages import foreign_on_path, foreign_package, prefer_project
from tunegate.project import session_project
from tunegate.request import (
    ALL_OPTIONS,
    asks_for_gate,
    concerns_gate,
    free_options,
    golden_places,
    names_a_model,
    taken_options,
    without_values,
)
from tunegate.unused_options import (
    declare_unused_options,
    own_options_line,
    unused_model,
    without_model,
)

# The plugins of the gate, in the order of their options in --help.
_PLUGINS = ("harness.plugin.hooks", "reports.plugin")
# If this plugin is loaded, our packages are loaded too, and a project's own can't come first.
_PINNED = "tunegate.pinned"
_LAST = "tunegate-last-word"
_NOTICE = pytest.StashKey[str]()
_FAULT = pytest.StashKey[pytest.UsageError]()
_FOREIGN = pytest.StashKey[Path | None]()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that others may implement, whether or not the gate runs."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """If a conftest file names this plugin, options can be added only here."""
    if any(name.endswith("conftest.py") for name, _ in pluginmanager.list_name_plugin()):
        config: Any = pluginmanager.get_plugin("pytestconfig")
        arguments = [str(argument) for argument in config.invocation_params.args]
        _prepare(config, arguments)
        _finish(config, parser, arguments)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, None, None]:
    """Load the gate if the session concerns it; add its options after those of conftest files.

    It comes first of all: pytest's capture keeps the streams that it finds.
    """
    if names_a_model(args, session_project(early_config)):
        from tunegate.streams import outlive_readers

        outlive_readers()
    if _prepare(early_config, args) or early_config.stash[_FOREIGN] is not None:
        # No option is declared yet: their values must not be read as paths with conftest files.
        known = parser.parse_known_args(without_values(args))
        early_config.known_args_namespace.file_or_dir = known.file_or_dir
        _take_conftests_of_project(early_config)
    try:
        yield
    except KeyboardInterrupt:
        if not names_a_model(args, session_project(early_config)):
            raise
        from tunegate.printable import say

        say("tunegate: interrupted while conftest files were loaded", err=True)
        raise SystemExit(2) from None
    except SystemExit as error:
        # A conftest file that ends the process with 0 would make a success of a gate that was not run.
        if error.code not in {None, 0, 1} or not names_a_model(args, session_project(early_config)):
            raise
        from tunegate.printable import say

        say(f"tunegate: a conftest.py ended pytest by SystemExit({error.code}): exit status 2", err=True)
        raise SystemExit(2) from error
    except pluggy.PluginValidationError as error:
        # pytest would end with a traceback and the status of a regression.
        if not names_a_model(args, session_project(early_config)):
            raise
        from tunegate.printable import printable_line

        raise pytest.UsageError(printable_line(" ".join(str(error).split()))) from error
    _finish(early_config, parser, args)


def pytest_configure(config: pytest.Config) -> None:
    """Declare our marker, and say even in a quiet session why the gate is off.

    Raises:
        pytest.UsageError: A file of arguments asks for a gate in a project that has a package of our names.
    """
    foreign = config.stash[_FOREIGN]
    if foreign is not None and unused_model(config) is not None:
        raise pytest.UsageError(f"--model: {_why_off(foreign)}")
    declare_markers(config, ["golden"], "a case of a golden set")
    notice = config.stash.get(_NOTICE, None)
    if notice is not None and config.get_verbosity() < 0 and not hasattr(config, "workerinput"):
        from tunegate.printable import say

        say(notice, err=True)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say why the gate is off, or by which option it is reached."""
    return config.stash.get(_NOTICE, None)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Load the gate at the first golden set, and let it collect this and all later files."""
    config = parent.config
    if file_path.suffix not in {".yaml", ".yml"} or config.pluginmanager.has_plugin(_PLUGINS[0]):
        return None
    if _FAULT in config.stash:
        return None
    inside = {file_path, *file_path.parents}
    if inside.isdisjoint(golden_places(session_project(config))) or not _load_gate(config):
        return None
    gate: Any = config.pluginmanager.get_plugin(_PLUGINS[0])
    collector: pytest.Collector | None = gate.pytest_collect_file(file_path=file_path, parent=parent)
    return collector


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Refuse a session whose settings are wrong, or a gate whose tests have packages of our names.

    Raises:
        pytest.UsageError: It is refused.
    """
    if (fault := config.stash.get(_FAULT, None)) is not None:
        raise fault
    gate: Any = config.pluginmanager.get_plugin(_PLUGINS[0])
    if gate is None or gate.GATE not in config.stash or config.pluginmanager.has_plugin(_PINNED):
        return
    # Test files have put their folders onto the path: their imports would find our package of that name.
    if (foreign := foreign_on_path((config.rootpath, config.invocation_params.dir))) is not None:
        raise pytest.UsageError(f"--model: {_why_off(foreign)}")


# These are replaced by the gate's own fixtures where a gate runs.


@pytest.fixture(scope="session")
def model() -> None:
    """The candidate: its label, directory, base model and hashes. Skips without ``--model``."""
    pytest.skip("no --model given")


@pytest.fixture(scope="session")
def generate() -> None:
    """Ask the candidate: ``generate("prompt", max_new_tokens=32)``. Skips without ``--model``."""
    pytest.skip("no --model given")


@pytest.fixture(scope="session")
def judge() -> None:
    """Ask the judge of ``--gate-judge``. Skips without ``--model``."""
    pytest.skip("no --model given")


@pytest.fixture(scope="session")
def golden(pytestconfig: pytest.Config) -> Callable[..., Any]:
    """Load a golden set by path relative to the project's root: ``golden("golden_sets/orders.yaml")``."""
    foreign = pytestconfig.stash[_FOREIGN]
    if foreign is not None:
        pytest.skip(_why_off(foreign))
    load: Callable[..., Any] = importlib.import_module("harness.plugin.fixtures").golden_loader(pytestconfig)
    return load


def _prepare(config: pytest.Config, arguments: Sequence[str]) -> bool:
    """Look for packages with our names, and load the gate if needed; returns whether it did."""
    note_project_markers(config)
    root, project = config.rootpath, session_project(config)
    folders = {root: None, config.invocation_params.dir: None}
    concerned = concerns_gate(arguments, project)
    in_use = concerned or any(map(os.path.exists, golden_places(project)))
    if in_use and asks_for_gate(arguments, project, model_is_taken=False) is None:
        # Being off costs nothing, so check also folders of test files that get onto the path later.
        folders |= dict.fromkeys(_test_folders(config))
    pinned = config.pluginmanager.has_plugin(_PINNED)
    if not pinned:
        config.add_cleanup(prefer_project((root, config.invocation_params.dir)))
    config.stash[_FOREIGN] = None if pinned else foreign_package(folders)
    return concerned and _load_gate(config)


def _take_conftests_of_project(config: pytest.Config) -> None:
    """Let pytest load the conftest files of the whole project, where its own root is a folder below that.

    The gate has tests of the whole project, which use their fixtures.
    """
    project, top = (
        session_project(config),
        config.rootpath if config.inipath is None else config.inipath.parent,
    )
    known = config.known_args_namespace
    if project in top.parents and str(known.confcutdir) == str(top):
        known.confcutdir = str(project)


def _test_folders(config: pytest.Config) -> Iterator[Path]:
    """The folders that pytest may put onto the path to import test files: those that are no package."""
    passed = (*config.getini("norecursedirs"), "__pycache__")
    tops = [top for each in config.getini("testpaths") for top in config.rootpath.glob(each)]
    for top in tops or [config.rootpath]:
        for place, folders, files in os.walk(top):
            if "pyvenv.cfg" in files:
                folders.clear()
                continue
            folders[:] = [name for name in folders if not any(fnmatch(name, each) for each in passed)]
            if "__init__.py" not in files:
                yield Path(place)


def _load_gate(config: pytest.Config) -> bool:
    """Load the gate's plugins, unless a project's packages have their names; returns whether it did."""
    if config.stash[_FOREIGN] is not None:
        return False
    # A test file may have put its own folder onto the path since the session began.
    config.stash[_FOREIGN] = foreign_package(()) if not _is_loaded() else None
    if (foreign := config.stash[_FOREIGN]) is not None:
        config.issue_config_time_warning(pytest.PytestConfigWarning(f"tunegate: off: {_why_off(foreign)}"), 2)
        return False
    try:
        for name in _PLUGINS:
            if not config.pluginmanager.has_plugin(name):
                # Not by pytest's own import, which warns if the modules are imported already.
                config.pluginmanager.register(importlib.import_module(name), name)
    except pytest.UsageError as error:
        # Its configuration is wrong, which is found while files are collected: it is told after that.
        for name in _PLUGINS:
            if config.pluginmanager.has_plugin(name):
                config.pluginmanager.unregister(name=name)
        config.stash[_FAULT] = error
        return False
    return True


def _is_loaded() -> bool:
    return _PLUGINS[0] in sys.modules


def _finish(config: pytest.Config, parser: pytest.Parser, arguments: Sequence[str]) -> None:
    """Declare the options that are used and free; refuse a requested gate that can't run.

    Raises:
        pytest.UsageError: A gate is asked for in a project that has a package or an option of our names.
    """
    foreign, taken = config.stash[_FOREIGN], taken_options(config, ALL_OPTIONS)
    if foreign is not None:
        asked = asks_for_gate(arguments, session_project(config), model_is_taken="--model" in taken)
        if asked is not None:
            raise pytest.UsageError(f"{asked}: {_why_off(foreign)}")
        config.stash[_NOTICE] = f"tunegate: off: {_why_off(foreign)}"
        declare_unused_options(config, parser, arguments)
        return
    if taken:
        config.stash[_NOTICE] = f"tunegate: {own_options_line(taken)}"
        if "--gate-model" in taken and config.pluginmanager.has_plugin(_PINNED):
            raise pytest.UsageError(own_options_line(taken))
    if config.pluginmanager.has_plugin(_PLUGINS[0]):
        # Only what is used: a conftest file that is found later may add its own.
        free = free_options(config, arguments)
        for name in _PLUGINS:
            importlib.import_module(name).add_options(parser, free)
        if not config.pluginmanager.has_plugin(_LAST):
            config.pluginmanager.register(importlib.import_module(_PLUGINS[0]).last_word(), _LAST)
        if not names_a_model(arguments, session_project(config)):
            _note_missing_model(config, taken)


def _note_missing_model(config: pytest.Config, taken: Collection[str]) -> None:
    """Say which typed options do nothing without a model.

    Raises:
        pytest.UsageError: One of them waits for a verdict, which a session that ends well would seem to have.
    """
    line, is_demanding = without_model([str(each) for each in config.invocation_params.args], taken)
    if is_demanding:
        raise pytest.UsageError(line)
    if line and not taken:
        config.stash[_NOTICE] = f"tunegate: {line}"


def _why_off(foreign: Path) -> str:
    from tunegate.printable import printable_line

    return printable_line(
        f"{foreign} has the name of a package of tunegate's and comes before it in this session; "
        f"run the gate by: tunegate gate --model=DIR"
    )
