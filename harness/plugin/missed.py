"""Missed cases: they failed, and only the comparison with the baseline decides.

For pytest and other plugins they are expected failures: ``-x``, ``--maxfail`` and ``--pdb`` don't stop for
them, they are not rerun, JUnit and IDEs don't show a failure. ``--lf`` still selects them.
"""

import copy

import pytest

from harness.plugin.failure_text import describe_reason
from harness.plugin.writing import write_line
from harness.types import CaseResult, Outcome
from tunegate.printable import printable_line

# An item's word, by its case's outcome; an errored one has a check that could not be computed.
WORDS = {Outcome.FAILED: "missed", Outcome.ERRORED: "errored"}


# Attributes of a report: texts, so that a report can be sent to another process.
_STATUS, _REASON = "tunegate_status", "tunegate_reason"


def mark_missed(report: pytest.TestReport, result: CaseResult) -> None:
    """Turn a failed item's report into that of a missed case.

    Args:
        report: The item's call.
        result: The case's result, failed or errored.
    """
    word, reason = WORDS[result.outcome], printable_line(describe_reason(result))
    mark(report, word)
    setattr(report, _REASON, reason)
    report.outcome = "skipped"
    report.wasxfail = f"{word}: {reason}"


def mark(report: pytest.TestReport, word: str) -> None:
    """Store the word under which an item is counted.

    Args:
        report: The item's call.
        word: Such as ``unscored``.
    """
    setattr(report, _STATUS, word)


def marked(report: object) -> str | None:
    """The stored word of a report."""
    return getattr(report, _STATUS, None)


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
            write_line(terminal, f"{word.upper()} {report.nodeid} - {getattr(report, _REASON)}")
