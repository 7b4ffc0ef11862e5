"""Which folder is the project, by one rule for pytest sessions and all commands, and where its tests are."""

import fnmatch
import os
import re
import shlex
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_CONFIGURATION = "pyproject.toml"
# Signs of a project's root where no configuration has a table of ours; pytest uses most of them too.
# Options of ours that have a value.
_OURS = ("--model", "--gate-")
_PYTEST_FILES = (
    *("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"),
    *(_CONFIGURATION, "tox.ini", "setup.cfg"),
)
# Where a file is not of pytest alone, what it has for pytest.
_SECTIONS = {
    _CONFIGURATION: r"^\[tool\.pytest(\.ini_options)?\]",
    "tox.ini": r"^\[pytest\]",
    "setup.cfg": r"^\[tool:pytest\]",
}
_SIGNS = (_CONFIGURATION, ".tunegate", "pytest.toml", "pytest.ini", "tox.ini", "setup.cfg", "setup.py")


def session_project(config: "pytest.Config") -> Path:
    """The project of a pytest session: the nearest configured one, else pytest's own root."""
    here = config.invocation_params.dir
    found = configured_project(here)
    return found or (here / command_project(here) if _is_root_of_a_value(config) else config.rootpath)


def _is_root_of_a_value(config: "pytest.Config") -> bool:
    """Whether pytest took its root from the value in ``--model DIR``.

    It looks for its root before it knows our options, so this value is a path of tests to it.
    """
    here, args = config.invocation_params.dir, [str(each) for each in config.invocation_params.args]
    if config.rootpath == here or (config.inipath is not None and config.rootpath in here.parents):
        return False
    before = ["", *args[:-1]]
    is_ours = [option.startswith(_OURS) and "=" not in option for option in before]
    paths = [
        value
        for value, given in zip(args, is_ours, strict=True)
        if not given and not value.startswith("-") and (here / value.partition("::")[0]).exists()
    ]
    return any(is_ours) and not paths and "--rootdir" not in {each.partition("=")[0] for each in args}


def command_project(here: Path) -> Path:
    """The project that a command is run in: the nearest configured one, else pytest's root, as in a session.

    Where nothing configures pytest, it is the nearest folder that looks like a project's.

    Args:
        here: The working directory.

    Returns:
        An empty path where it is the working directory, so that paths are shown as they would be typed.
    """
    signed = (each for each in (here, *here.parents) if any((each / sign).exists() for sign in _SIGNS))
    found = configured_project(here) or _configured_root(here) or next(signed, here)
    return Path() if found == here else found


def _configured_root(here: Path) -> Path | None:
    """The nearest folder with pytest's configuration; pytest itself is not imported to find it."""
    above = (here, *here.parents)
    return next(
        (each for each in above if any(map(_configures_pytest, map(each.joinpath, _PYTEST_FILES)))), None
    )


def _configures_pytest(path: Path) -> bool:
    section = _SECTIONS.get(path.name)
    return path.is_file() if section is None else re.search(section, _text_of(path), re.MULTILINE) is not None


def configured_project(here: Path) -> Path | None:
    """The nearest folder, this one or one above, whose pyproject.toml has a table ``[tool.tunegate]``."""
    return next((folder for folder in (here, *here.parents) if read_table(folder) is not None), None)


def read_table(folder: Path) -> Mapping[str, object] | None:
    """The settings in a folder's pyproject.toml; None where there are none."""
    try:
        text = (folder / _CONFIGURATION).read_text(encoding="utf-8")
        table = tomllib.loads(text)["tool"]["tunegate"] if "tunegate" in text else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # Whoever reads the settings says what is wrong with the file.
        return None
    return table if isinstance(table, dict) else None


def user_path(name: str | Path) -> Path:
    """A path as people write it: ``~`` is the home directory, also where no shell has replaced it."""
    try:
        return Path(name).expanduser()
    except RuntimeError:  # no user has the name behind it, but a file may
        return Path(name)


_DEFAULTS = {
    "python_files": ("test_*.py", "*_test.py"),
    "python_functions": ("test",),
    "python_classes": ("Test",),
}
# As pytest's own norecursedirs: what a project excludes besides these is read.
_UNSEARCHED = "norecursedirs"
_NO_TESTS = ("*.egg", ".*", "_darcs", "build", "CVS", "dist", "node_modules", "venv", "{arch}", "__pycache__")


def patterns_of(config: "pytest.Config", setting: str) -> list[str]:
    """How the project names its tests; also pytest's own names, where an option overrides the project.

    Args:
        config: The session's configuration.
        setting: Such as ``python_files``.
    """
    found = configured(config, setting)
    return [*found, *(_DEFAULTS[setting] if overrides(config, setting) or not found else ())]


def overrides(config: "pytest.Config", setting: str) -> bool:
    """Whether the command line gives one of pytest's settings (``-o``).

    Args:
        config: The session's configuration.
        setting: Its name.
    """
    given = config.getoption("override_ini", None) or ()
    return any(each.startswith(f"{setting}=") for each in given)


def configured_testpaths(project: Path) -> tuple[Path, list[str]]:
    """Pytest's ``testpaths`` as of a session that is started in the project.

    Returns:
        The folder that they are relative to, and the paths or patterns as they are written.
    """
    return _configured_in(project, "testpaths")


def _configured_in(project: Path, setting: str) -> tuple[Path, list[str]]:
    from _pytest.config.findpaths import locate_config

    root, _, settings, _ = locate_config(project, [project])
    value = getattr(settings.get(setting), "value", None)
    return root or project, shlex.split(value) if isinstance(value, str) else list(value or ())


def unsearched_folders(project: Path) -> list[str]:
    """Patterns of the folders that a pytest session of the project doesn't search."""
    project = project.absolute()
    written = (folder / name for folder in (project, *project.parents) for name in _PYTEST_FILES)
    if any(_UNSEARCHED in _text_of(path) for path in written):
        return _configured_in(project, _UNSEARCHED)[1] or list(_NO_TESTS)
    return list(_NO_TESTS)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def searched_files(folder: Path, suffixes: Collection[str], unsearched: Collection[str]) -> Iterator[Path]:
    """The files below a folder that a pytest session finds: also behind links, not in folders like ``.git``.

    Args:
        folder: Itself searched, whatever its name.
        suffixes: Of the files.
        unsearched: Patterns of the folders below it that are left out.
    """
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place)
        folders[:] = [each for each in folders if _is_searched(here / each, unsearched)]
        found = (here / each for each in files)
        # A link to nowhere, such as an editor's lock, is no file.
        yield from (each for each in found if each.suffix in suffixes and each.is_file())


def _is_searched(folder: Path, unsearched: Collection[str]) -> bool:
    is_round = folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())
    is_environment = any((folder / sign).exists() for sign in ("pyvenv.cfg", "conda-meta/history"))
    # As pytest reads its patterns: one without a slash is of the name alone.
    of_path = [os.path.join("*", each) for each in unsearched if "/" in each]  # noqa: PTH118
    is_left_out = _matches(folder.name, unsearched) or _matches(str(folder.absolute()), of_path)
    return not (is_round or is_environment or is_left_out or folder.name == "__pycache__")


def configured(config: "pytest.Config", setting: str) -> list[str]:
    """A list of pytest's settings; empty where the plugin that declares it is switched off.

    Args:
        config: The session's configuration.
        setting: Its name.
    """
    try:
        return list(config.getini(setting))
    except ValueError:
        return []


def places_of_tests(config: "pytest.Config") -> list[Path]:
    """The places of pytest's ``testpaths`` that are in the project.

    Pytest's configuration may be that of a folder above, with places elsewhere, or of one below.
    """
    project, option = session_project(config), config.option
    patterns = configured(config, "testpaths")
    is_chosen = bool(getattr(option, "inifilename", None)) or overrides(config, "testpaths")
    top = config.rootpath if is_chosen or config.inipath is None else config.inipath.parent
    if project in top.parents and not is_chosen:
        top, patterns = configured_testpaths(project)
    # Path.glob takes neither "." nor an absolute path.
    found = [path for each in patterns for path in sorted(glob(each, root_dir=top, recursive=True))]  # noqa: PTH207
    places = [Path(os.path.normpath(top / path)) for path in found]
    return [place for place in places if project in (place, *place.parents)]


@lru_cache(maxsize=256)
def _is_below(path: Path, folder: Path) -> bool:
    """As pathlib says it, asked for each of a file's items."""
    return path.is_relative_to(folder)


def name_of(node: "pytest.Item | pytest.Collector") -> str:
    """The node id; for a file outside of pytest's root, to which pytest gives none, with its path."""
    root, inside = node.config.rootpath, node.nodeid.partition("::")[2]
    if _is_below(node.path, root):
        return node.nodeid
    path = os.path.relpath(node.path, root).replace(os.sep, "/")
    return f"{path}::{inside}" if inside else path


def files_of_tests(roots: Iterable[Path], config: "pytest.Config") -> list[Path]:
    """The test files below the roots, each once; not those of a project of its own in a folder below.

    Args:
        roots: Folders, and files of tests.
        config: How the project names its tests.
    """
    patterns = patterns_of(config, "python_files")
    seen: set[Path] = set()
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(each for each in folders if not _is_foreign(Path(folder, each)))
            seen |= {Path(folder, each) for each in files if _matches(each, patterns)}
        seen |= {root} if root.suffix == ".py" and root.is_file() else set()
    return sorted(seen)


def _is_foreign(folder: Path) -> bool:
    is_environment = (folder / "pyvenv.cfg").exists()
    return _matches(folder.name, _NO_TESTS) or is_environment or read_table(folder) is not None


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
