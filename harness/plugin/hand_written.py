"""Hand-written tests that failed, and which of the session's models they asked."""

from collections.abc import Iterator
from typing import Any

import pytest

# The fixture that says which model is asked; not among the names that a project may take for one of its own.
CANDIDATE_NAME = "_tunegate_candidate"
_OURS = "harness.plugin.fixtures"
_ALL, _NONE = "all models", "no model"


class FailedTests:
    """Hand-written tests that failed, noted while they run."""

    def __init__(self) -> None:
        """None has failed yet."""
        # The models that each asked, by its node id: a name in a tuple, all of them or none.
        self._failed: dict[str, tuple[str] | str] = {}

    def note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Note how a phase of a test ended; a test that is run again is judged by its last run.

        Args:
            item: A test that is no golden case.
            report: Of its setup, call or teardown.
        """
        if report.when == "setup":
            self._failed.pop(item.nodeid, None)
        if report.failed:
            self._failed[item.nodeid] = _asked(item)

    def of(self, candidate: str) -> tuple[str, ...]:
        """Node ids of the failed tests that count for a model, by its name in the session."""
        return tuple(test for test, asked in self._failed.items() if asked in {(candidate,), _ALL})

    @property
    def others(self) -> tuple[str, ...]:
        """Node ids of the failed tests that ask no model."""
        return tuple(test for test, asked in self._failed.items() if asked == _NONE)


def asks_a_model(item: pytest.Item) -> bool:
    """Whether a test uses one of our fixtures, by itself or through others; one of the same name is none."""
    return any(getattr(each.func, "__module__", None) == _OURS for each in _fixtures_of(item))


def _asked(item: pytest.Item) -> tuple[str] | str:
    if not asks_a_model(item):
        return _NONE
    callspec = getattr(item, "callspec", None)
    name = None if callspec is None else callspec.params.get(CANDIDATE_NAME)
    return _ALL if name is None else (name,)


def _fixtures_of(item: pytest.Item) -> Iterator[Any]:
    """The fixtures that a test names, and those that it asked for while it ran; pytest has no public way."""
    named = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    yield from (definitions[-1] for definitions in named.values() if definitions)
    yield from getattr(getattr(item, "_request", None), "_fixture_defs", {}).values()
