"""Our packages leave room for a project's folder of the same name that is no package.

``import reports.thing`` works in a project with a folder ``reports`` without ``__init__.py``, until a package
``reports`` is installed: Python prefers it. So each of ours looks there too, for what it doesn't have itself.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


class SharedFolders(list[str]):
    """The ``__path__`` of a package: its own folder, then the folders of its name on Python's path now."""

    def __init__(self, name: str, own: Iterable[str], packages: bool = False) -> None:
        """Share a name.

        Args:
            name: The package's, without a dot.
            own: Its own folders.
            packages: Share it also with folders that have an ``__init__.py``, which is then not run, and with
                those of modules that pytest has imported by a path; not with copies of tunegate.
        """
        super().__init__(own)
        self._name, self._packages = name, packages

    def __iter__(self) -> Iterator[str]:
        """A folder with an ``__init__.py`` is another package: a copy of ours, or what turns the gate off."""
        yield from (own := list(super().__iter__()))
        refused = "own_packages.py" if self._packages else "__init__.py"
        folders = [Path(entry, self._name) for entry in sys.path]
        for folder in dict.fromkeys([*folders, *(self._imported_from() if self._packages else ())]):
            if str(folder) not in own and folder.is_dir() and not (folder / refused).is_file():
                yield str(folder.absolute())

    def _imported_from(self) -> Iterator[Path]:
        """The folders of this package's modules: with ``--import-mode=importlib`` they are on no path."""
        for name, module in list(sys.modules.items()):
            if name.rpartition(".")[0] == self._name and (file := getattr(module, "__file__", None)):
                yield Path(file).parents[1 if hasattr(module, "__path__") else 0]
