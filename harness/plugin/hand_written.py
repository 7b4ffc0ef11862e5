"""Hand-written tests that failed, and the session's models that they used."""

from collections.abc import Iterator
from typing import Any

import pytest

# The fixture with the model's name; its name is not one that a project may use itself.
CANDIDATE_NAME = "_tunegate_candidate"
_OURS = "harness.plugin.fixtures"
_ALL, _NONE = "all models", "no model"


class FailedTests:
    """Hand-written tests that failed, recorded while they run."""

    def __init__(self) -> None:
        """Start without failures."""
        # The models that each test used, by its node id: a name in a tuple, all of them or none.
        self._failed: dict[str, tuple[str] | str] = {}

    def note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Record the end of a test's phase; a test that is run again counts with its last run.

        Args:
            item: A test that is not a golden case.
            report: The report of its setup, call or teardown.
        """
        if report.when == "setup":
            self._failed.pop(item.nodeid, None)
        if report.failed:
            self._failed[item.nodeid] = _asked(item)

    def of(self, candidate: str) -> tuple[str, ...]:
        """Node ids of the failed tests that count for a model, by its name in the session."""
        return tuple(test for test, asked in self._failed.items() if asked in {(candidate,), _ALL})

    @property
    def is_empty(self) -> bool:
        """Whether none failed."""
        return not self._failed

    @property
    def others(self) -> tuple[str, ...]:
        """Node ids of the failed tests that use no model."""
        return tuple(test for test, asked in self._failed.items() if asked == _NONE)


def asks_a_model(item: pytest.Item) -> bool:
    """Whether a test uses one of our fixtures, directly or not; foreign ones of the same name don't count."""
    return any(getattr(each.func, "__module__", None) == _OURS for each in _fixtures_of(item))


def _asked(item: pytest.Item) -> tuple[str] | str:
    if not asks_a_model(item):
        return _NONE
    callspec = getattr(item, "callspec", None)
    name = None if callspec is None else callspec.params.get(CANDIDATE_NAME)
    return _ALL if name is None else (name,)


def _fixtures_of(item: pytest.Item) -> Iterator[Any]:
    """The fixtures that a test names, and those that it requested; pytest has no public API for this."""
    named = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    yield from (definitions[-1] for definitions in named.values() if definitions)
    yield from getattr(getattr(item, "_request", None), "_fixture_defs", {}).values()
