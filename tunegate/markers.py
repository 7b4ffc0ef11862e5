"""Whose markers are whose: a project's own, other plugins', and those that golden cases bring."""

from collections.abc import Iterable

import pytest

_PROJECT = pytest.StashKey[frozenset[str]]()
_DECLARED = pytest.StashKey[set[str]]()


def note_project_markers(config: pytest.Config) -> None:
    """Note the markers of the project's configuration, before plugins declare theirs."""
    config.stash[_PROJECT] = _names(config)


def declare_markers(config: pytest.Config, names: Iterable[str], meaning: str) -> frozenset[str]:
    """Declare markers, so that a project with ``--strict-markers`` may select by them.

    A name that another plugin declared is left to it: that plugin acts on it (``timeout``, ``flaky``).

    Args:
        config: The session's configuration.
        names: The markers' names.
        meaning: Their lines in ``pytest --markers``.

    Returns:
        The names that may be used: not those of other plugins.
    """
    declared = config.stash.setdefault(_DECLARED, set())
    project = config.stash[_PROJECT]
    others = _names(config) - project - declared
    free = frozenset(names) - others
    for name in sorted(free - declared):
        config.addinivalue_line("markers", f"{name}: {meaning}")
    declared |= free
    return free


def _names(config: pytest.Config) -> frozenset[str]:
    """Names of all declared markers, whose lines read ``name(arguments): meaning``."""
    lines: list[str] = config.getini("markers")
    return frozenset(line.partition(":")[0].partition("(")[0].strip() for line in lines)
