"""Checks whether the names ``harness`` and ``reports`` are our packages or a project's own."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

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
        for place in (*places, *_in_folders(name, searched)):
            if not _is_ours(place):
                return place
    return None


def use_our_packages() -> None:
    """Import our packages, so that their names are ours for the rest of this process, whatever the path."""
    sys.path.insert(0, str(OUR_FOLDER))
    try:
        for name in ALL_PACKAGES:
            importlib.import_module(name)
    finally:
        sys.path.remove(str(OUR_FOLDER))


def _found_now(name: str) -> Path | None:
    """Where ``import`` finds a package; a folder without ``__init__.py`` does not count."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not spec.has_location:
        return None
    origin = Path(spec.origin)
    return origin.parent if origin.stem == "__init__" else origin


def _in_folders(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        if (folder / name / "__init__.py").is_file():
            yield folder / name
        elif (folder / f"{name}.py").is_file():
            yield folder / f"{name}.py"


def _is_ours(place: Path) -> bool:
    return place.resolve().parent == OUR_FOLDER or place.absolute().parent == _INSTALLED_IN
