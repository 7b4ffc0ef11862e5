"""Missed cases: they failed, and only the comparison with the baseline decides.

For pytest and other plugins they are expected failures: ``-x``, ``--maxfail`` and ``--pdb`` don't stop for
them, they are not rerun, JUnit and IDEs don't show a failure. ``--lf`` still selects them.
"""

import copy

import pytest

from harness.types import Outcome

# An item's word, by its case's outcome; an errored one has a check that could not be computed.
WORDS = {Outcome.FAILED: "missed", Outcome.ERRORED: "errored"}


def mark_missed(report: pytest.TestReport, outcome: Outcome) -> None:
    """Turn a failed item's report into that of a missed case.

    Args:
        report: The item's call.
        outcome: Failed or errored.
    """
    mark(report, WORDS[outcome])
    report.outcome = "skipped"
    report.wasxfail = f"{WORDS[outcome]}: {_reason(report)}"


def mark(report: pytest.TestReport, word: str) -> None:
    """Store the word under which an item is counted.

    Args:
        report: The item's call.
        word: Such as ``unscored``.
    """
    report.tunegate_status = word  # type: ignore[attr-defined] # reports carry plugins' notes


def marked(report: object) -> str | None:
    """The stored word of a report."""
    return getattr(report, "tunegate_status", None)


class LastMissed:
    """Lets ``--lf`` select missed cases again; registered with pytest in a session with a model."""

    def __init__(self, config: pytest.Config) -> None:
        """Store pytest's own memory of failures."""
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add a missed case to the last failures, from which pytest has just removed it."""
        last_failed = self._config.pluginmanager.get_plugin("lfplugin")
        if last_failed is not None and marked(report) in WORDS.values():
            failed = copy.copy(report)
            failed.outcome = "failed"
            last_failed.pytest_runtest_logreport(failed)


def print_missed(terminal: pytest.TerminalReporter) -> None:
    """List errored cases, and missed ones if expected failures are listed (``-rx``, ``-ra``, ``-rA``)."""
    for outcome, word in WORDS.items():
        reports = terminal.stats.get(word, [])
        if not reports or (outcome is Outcome.FAILED and not terminal.hasopt("xfailed")):
            continue
        terminal.section(f"{word} cases", sep="=")
        for report in reports:
            terminal.write_line(f"{word.upper()} {report.nodeid} - {_reason(report)}")


def _reason(report: pytest.TestReport) -> str:
    """The last check that failed, or could not be computed, as one line."""
    line = report.longreprtext.strip().rpartition("\n")[2]
    return " ".join(line.partition(":")[2].split())
