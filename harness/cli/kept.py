"""Where commands keep and find what a project keeps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from harness.run.cache import Cache
from harness.settings import load_settings
from tunegate.printable import say
from tunegate.project import command_project


def kept_in(directory: str | Path | None) -> Path:
    """The folder of history, cache and calibrations.

    Args:
        directory: As it was typed, or the history's file in it, relative to the working directory;
            None, or a server's URL, for the project's own.
    """
    if directory is not None and "://" not in str(directory):
        directory = Path(directory)
        return directory.parent if directory.is_file() else directory
    project = command_project(Path.cwd())
    return project / load_settings({}, project, os.environ).directory


@contextmanager
def open_cache(path: Path) -> Iterator[Cache]:
    """A cache; a fault of its file is told at the end, and after Ctrl-C what is kept.

    Args:
        path: The file.
    """
    from harness.run.conclusion import make_directory

    # A command that is refused makes no directory.
    make = None if path.parent.is_dir() else partial(make_directory, path.parent)
    with Cache(path, lazily=make is not None, make=make) as cache:
        try:
            yield cache
        except KeyboardInterrupt:
            kept = "finished answers are kept; the same command continues from them"
            say(f"tunegate: {cache.forgets or kept}", err=True)
            raise
        finally:
            if cache.problem:
                say(f"tunegate: warning: {cache.problem}", err=True)
