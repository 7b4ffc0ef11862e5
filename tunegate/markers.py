"""Whose markers are whose: a project's own, other plugins', and those that golden cases bring."""

from collections.abc import Iterable

import pytest

_PROJECT = pytest.StashKey[int]()
_DECLARED = pytest.StashKey[set[str]]()


def note_project_markers(config: pytest.Config) -> None:
    """Note how many markers the project's configuration has, before plugins declare theirs."""
    config.stash[_PROJECT] = len(config.getini("markers"))


def declare_markers(config: pytest.Config, names: Iterable[str], meaning: str) -> frozenset[str]:
    """Declare markers, so that a project with ``--strict-markers`` may select by them.

    A name that another plugin declared is left to it, even if the project declares it too: that plugin acts
    on it (``timeout``, ``flaky``).

    Args:
        config: The session's configuration.
        names: The markers' names.
        meaning: Their lines in ``pytest --markers``.

    Returns:
        The names that may be used: not those of other plugins.
    """
    declared = config.stash.setdefault(_DECLARED, set())
    others = _names(config.getini("markers")[config.stash[_PROJECT] :]) - declared
    free = frozenset(names) - others
    for name in sorted(free - declared):
        config.addinivalue_line("markers", f"{name}: {meaning}")
    declared |= free
    return free


def _names(lines: Iterable[str]) -> frozenset[str]:
    """Names of declared markers, whose lines read ``name(arguments): meaning``."""
    return frozenset(line.partition(":")[0].partition("(")[0].strip() for line in lines)
