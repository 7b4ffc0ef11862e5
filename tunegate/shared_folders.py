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
            packages: Share it also with folders that have an ``__init__.py``, which is then not run; not with
                copies of tunegate.
        """
        super().__init__(own)
        self._name, self._packages = name, packages

    def __iter__(self) -> Iterator[str]:
        """A folder with an ``__init__.py`` is another package: a copy of ours, or what turns the gate off."""
        yield from super().__iter__()
        for entry in sys.path:
            folder = Path(entry, self._name)
            refused = "own_packages.py" if self._packages else "__init__.py"
            if folder.is_dir() and not (folder / refused).is_file():
                yield str(folder.absolute())
