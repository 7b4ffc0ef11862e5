"""Checks whether the names ``harness`` and ``reports`` are our packages or a project's own."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

# The imports of a gate. A pytest session does not use our ``trainers``, so a project may have its own.
GATE_PACKAGES = ("harness", "reports")
ALL_PACKAGES = (*GATE_PACKAGES, "trainers")
# The folder of all our packages: site-packages, or a checkout.
OUR_FOLDER = Path(__file__).resolve().parents[1]
# The same before links are followed: an installer may link each file, or each package, from its cache.
_INSTALLED_IN = Path(__file__).absolute().parents[1]


def foreign_package(folders: Iterable[Path]) -> Path | None:
    """The first foreign package or module with the name of one of ours.

    Args:
        folders: Further folders of a project's own packages, besides Python's current path: a conftest file
            puts its folder before all others.

    Returns:
        The package's folder or the module's file; None if the names are ours.
    """
    searched = list(dict.fromkeys(folders))
    for name in GATE_PACKAGES:
        found = _found_now(name)
        places = [found] if found is not None else []
        # What is imported stays: in tunegate gate the names are ours whatever an installation finds.
        hooked: Iterable[Path] = () if name in sys.modules else map(_place_of, _hooked(name))
        for place in (*places, *_in_folders(name, searched), *hooked):
            if not _is_ours(place):
                return place
    return None


def foreign_packages(folders: Sequence[Path]) -> dict[str, Path]:
    """A project's own packages and modules with names of ours, by name.

    Args:
        folders: Where they may be; so may they be where Python's path has a folder inside of these.
    """
    searched = [*folders, *ProjectFinder(folders).entries()]
    places = ((name, place) for name in ALL_PACKAGES for place in _in_folders(name, searched))
    return {name: place for name, place in places if not _is_ours(place)}


def use_our_packages() -> None:
    """Import our packages, so that their names are ours for the rest of this process, whatever the path."""
    sys.path.insert(0, str(OUR_FOLDER))
    try:
        for name in ALL_PACKAGES:
            importlib.import_module(name)
    finally:
        sys.path.remove(str(OUR_FOLDER))


class ProjectFinder:
    """Finds a project's own package of one of our names wherever Python's path has it, also behind ours.

    ``--import-mode=append`` and conftest files put the project's folders behind installed packages. Without
    tunegate the project's package is the only one of its name, so it has to be imported beside tunegate too.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        """Look in some folders.

        Args:
            folders: The project's; only what Python's path has inside them is searched.
        """
        self._folders = frozenset(folders)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The first of the project's own packages of a name; None for a name that isn't ours.

        Args:
            name: The module's.
            path: The folders of its parent, if it has one.
            target: Not used.
        """
        if path is not None or name not in ALL_PACKAGES:
            return None
        own = next(_in_folders(name, self.entries()), None)
        return next(_hooked(name), None) if own is None else PathFinder.find_spec(name, [str(own.parent)])

    def entries(self) -> list[Path]:
        """The folders of Python's path that have the project's code."""
        return [entry for entry in map(Path, sys.path) if self._is_the_projects(entry)]

    def _is_the_projects(self, entry: Path) -> bool:
        """Whether a project's code is there: no environment inside the project, and no copy of tunegate."""
        return (
            entry.name not in {"site-packages", "dist-packages"}
            and not self._folders.isdisjoint({entry, *entry.parents})
            and not (entry / "tunegate" / "own_packages.py").is_file()
        )


def prefer_project(folders: Iterable[Path]) -> Callable[[], None]:
    """Let imports find a project's own packages of our names before ours; answers what ends that.

    Args:
        folders: The project's.
    """
    finder = ProjectFinder(folders)
    sys.meta_path.insert(0, finder)

    def end() -> None:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)

    return end


def foreign_on_path(folders: Iterable[Path]) -> Path | None:
    """A project's own package of one of our names that Python's path has by now, also behind ours.

    Args:
        folders: The project's.
    """
    entries = ProjectFinder(folders).entries()
    found = [place for name in GATE_PACKAGES for place in _in_folders(name, entries)]
    found += [_place_of(spec) for name in GATE_PACKAGES for spec in _hooked(name)]
    return next((place for place in found if not _is_ours(place)), None)


def _found_now(name: str) -> Path | None:
    """Where ``import`` finds a package; a folder without ``__init__.py`` does not count."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None or not spec.has_location else _place_of(spec)


def _hooked(name: str) -> Iterator[ModuleSpec]:
    """What the hooks behind Python's own finder give: editable installations find a project's packages so."""
    behind = sys.meta_path[sys.meta_path.index(PathFinder) + 1 :] if PathFinder in sys.meta_path else []
    for hook in behind:
        spec = None
        # Others' code: one that refuses a name, or breaks, has no package for it.
        with suppress(Exception):
            spec = hook.find_spec(name, None) if hasattr(hook, "find_spec") else None
        if spec is not None and spec.origin is not None and not _is_ours(_place_of(spec)):
            yield spec


def _place_of(spec: ModuleSpec) -> Path:
    origin = Path(spec.origin or "")
    return origin.parent if origin.stem == "__init__" else origin


def _in_folders(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        if (folder / name / "__init__.py").is_file():
            yield folder / name
        elif (folder / f"{name}.py").is_file():
            yield folder / f"{name}.py"


def _is_ours(place: Path) -> bool:
    return place.resolve().parent == OUR_FOLDER or place.absolute().parent == _INSTALLED_IN
