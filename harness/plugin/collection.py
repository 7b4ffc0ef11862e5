"""Golden sets as pytest nodes: a file for each set, an item for each case; and what a failed case shows.

A *missed* case failed, and only the comparison with the baseline decides. For pytest and other plugins it is
an expected failure: ``-x``, ``--maxfail`` and ``--pdb`` don't stop for it, it is not rerun, JUnit and IDEs
don't show a failure. ``--lf`` still selects it.
"""

import copy
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import starmap
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import pytest
from _pytest.skipping import evaluate_skip_marks

from harness.errors import GoldenError
from harness.golden.counted_outcomes import GRADED, counted_as
from harness.golden.load import bundled_probes, load_golden_set
from harness.plugin.progress import write_line
from harness.plugin.selection import SELECTION
from harness.types import CaseResult, GoldenCase, GoldenSet, MetricError, Outcome, Score
from harness.types.run import conversation
from tunegate.collector import making_lasting
from tunegate.markers import declare_markers
from tunegate.printable import printable, printable_line

_EXCERPT_CHARACTERS = 600


def describe_failure(result: CaseResult) -> str:
    """Failed case as text: last prompt, answer, and each failed or errored check."""
    case = result.case
    earlier = () if result.completion is None else result.completion.earlier
    tests = [f"tests:   {_excerpt(case.description)}"] if case.description else []
    lines = [*tests, f"prompt:  {_excerpt(conversation(case, earlier)[-1].content)}"]
    if result.completion is not None:
        cut = " (cut at max_new_tokens)" if result.completion.stop_reason == "length" else ""
        lines.append(f"answer:  {_excerpt(result.completion.text)}{cut}")
    if result.repeats:
        passed = sum(answer.outcome is Outcome.PASSED for answer in result.repeats)
        lines.append(f"repeats: {passed} of {len(result.repeats)} answers passed; shown is one that did not")
    lines += [f"expects: {_excerpt(reference)}" for reference in case.references]
    lines += [f"failed:  {_describe_score(score)}" for score in _failed(result)]
    lines += [f"errored: {_describe_error(error)}" for error in result.errors]
    return "\n".join(lines)


def describe_reason(result: CaseResult) -> str:
    """One line: the last check that could not be computed, or else the last that failed."""
    described = [*map(_describe_score, _failed(result)), *map(_describe_error, result.errors)]
    return " ".join(described[-1].split()) if described else ""


def _failed(result: CaseResult) -> list[Score]:
    return [score for score in result.scores if score.passed is False]


def _describe_score(score: Score) -> str:
    limit = "" if score.threshold is None else f" {score.value:.3g}, threshold {score.threshold:g}"
    return f"{score.metric}{limit}" + (f": {score.explanation}" if score.explanation else "")


def _describe_error(error: MetricError) -> str:
    return f"{error.metric}: {error.error}"


def _excerpt(text: str) -> str:
    shown = text if len(text) <= _EXCERPT_CHARACTERS else text[:_EXCERPT_CHARACTERS] + " …"
    return shown.replace("\n", "\n         ")


# An item's word, by its case's outcome; an errored one has a check that could not be computed.
WORDS = {Outcome.FAILED: "missed", Outcome.ERRORED: "errored"}


# Attributes of a report: texts, so that a report can be sent to another process.
_STATUS, _REASON = "tunegate_status", "tunegate_reason"


# A case without a verdict where each decides: a failure for -x, --lf and JUnit, an error in pytest's lists.
BROKEN = "error"
# The setup or teardown of a golden item, which does nothing.
SILENT = "silent"


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


def status_of(report: object) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """The word, the letter, and the word with its colour of an item that has a stored one.

    Args:
        report: Any report.
    """
    status = marked(report)
    if status is None or getattr(report, "when", None) != "call":
        return None
    is_broken = status == BROKEN
    colour = {"red" if is_broken else "yellow": True}
    return status, status[0].upper() if is_broken else status[0], (status.upper(), colour)


class KeptReports:
    """Which reports pytest keeps; registered with it in a session with a model."""

    def __init__(self, config: pytest.Config) -> None:
        """Store pytest's own memory of failures."""
        self._config, self.failed = config, 0

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count failures, let ``--lf`` select missed cases again, and drop what nobody reads.

        pytest has just removed a missed case from the last failures. The terminal keeps the reports of each
        item's setup and teardown, which take more memory than a case with its answers; only a list of the
        slowest durations shows them.
        """
        self.failed += report.failed and not hasattr(report, "wasxfail")
        last_failed = self._config.pluginmanager.get_plugin("lfplugin")
        if last_failed is not None and marked(report) in WORDS.values():
            failed = copy.copy(report)
            failed.outcome = "failed"
            last_failed.pytest_runtest_logreport(failed)
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if marked(report) == SILENT and terminal is not None and not self._config.option.durations:
            others = terminal.stats.get("", [])
            if others and others[-1] is report:
                others.pop()


def print_missed(terminal: pytest.TerminalReporter) -> None:
    """List errored cases, and missed ones if expected failures are listed (``-rx``, ``-ra``, ``-rA``)."""
    for outcome, word in WORDS.items():
        reports = terminal.stats.get(word, [])
        if not reports or (outcome is Outcome.FAILED and not terminal.hasopt("xfailed")):
            continue
        terminal.section(f"{word} cases", sep="=")
        for report in reports:
            write_line(terminal, f"{word.upper()} {report.nodeid} - {getattr(report, _REASON)}")


def case_properties(result: CaseResult, word: str) -> list[tuple[str, object]]:
    """A case's outcome and scores as properties of its test case.

    Args:
        result: Its result.
        word: What it counts as.
    """
    scores = {score.metric: f"{score.value:.6g}" for score in result.scores}
    return [_property("outcome", word), *starmap(_property, scores.items())]


@lru_cache(maxsize=1024)
def _property(name: str, value: str) -> tuple[str, object]:
    """A property, whose pair is the same in all cases with this value."""
    return f"tunegate.{name}", value


def answer_time_s(result: CaseResult) -> float | None:
    """Seconds that the model took for a case's answers, cached or not; None without any."""
    answers = [repeat.completion for repeat in result.repeats] or [result.completion]
    times = [answer.latency_s for answer in answers if answer is not None]
    return sum(times) if times else None


class CaseResults(Protocol):
    """The source of an item's result."""

    def result_of(self, candidate: str, key: str) -> CaseResult | None:
        """The result of a case; None before it is answered, and if the gate was decided without it.

        Args:
            candidate: The model's name in the session.
            key: The case's key.
        """

    def only_compares(self, result: CaseResult) -> bool:
        """Whether the comparison alone judges that this case did not pass."""


# Not in the stash of a session without a model.
RESULTS: pytest.StashKey[CaseResults] = pytest.StashKey()


def golden_file_of(file_path: Path, parent: pytest.Collector) -> "GoldenFile | None":
    """A collector for a YAML file of the golden sets; None for any other file.

    Args:
        file_path: The file that pytest found.
        parent: Its collector's parent.
    """
    if file_path.suffix not in {".yaml", ".yml"} or not parent.config.stash[SELECTION].is_golden(file_path):
        return None
    golden_file: GoldenFile = GoldenFile.from_parent(parent, path=file_path)
    return golden_file


def golden_items(items: Iterable[pytest.Item]) -> list["GoldenItem"]:
    """The golden cases among collected items."""
    return [item for item in items if isinstance(item, GoldenItem)]


def is_skipped_by_others(item: "GoldenItem") -> bool:
    """Whether a mark of another's skips a case, such as one that a conftest file adds."""
    return item.case.skip is None and evaluate_skip_marks(item) is not None


def collect_probes(session: pytest.Session) -> list[pytest.Item]:
    """Items of the bundled forgetting probes, which are outside the project's own folders."""
    items: list[pytest.Item] = []
    for path in bundled_probes():
        # Not by pytest's walk, which would load the conftest files of the folder that tunegate is in.
        golden_file: GoldenFile = GoldenFile.from_parent(session, path=path, nodeid=f"general/{path.name}")
        items += session.genitems(golden_file)
    return items


class GoldenFile(pytest.File):
    """One golden set."""

    def collect(self) -> Iterable["GoldenItem"]:
        """One item per case and model, in the file's order; an invalid file is refused after all are read."""
        selection = self.config.stash[SELECTION]
        try:
            with making_lasting():
                golden_set = load_golden_set(self.path)
        except GoldenError as error:
            selection.note_fault(error)
            return
        if golden_set.probes_forgetting and not selection.with_probes:
            return
        selection.note_set(self.path, golden_set)
        tags = {tag for case in golden_set.cases for tag in case.tags}
        names = {"golden", golden_set.name, *tags}
        free = declare_markers(self.config, names, "golden cases of this tag or set")
        # Once for all cases.
        markers = {name: getattr(pytest.mark, name) for name in free}
        for case in golden_set.cases:
            for candidate in selection.names:
                name = _labelled(case.id, candidate)
                item: GoldenItem = GoldenItem.from_parent(
                    self,
                    name=name,
                    # As text, so that pytest reads its brackets as it does those of --lf and of arguments.
                    nodeid=f"{self.nodeid}::{name}",
                    golden_set=golden_set,
                    case=case,
                    candidate=candidate,
                    markers=markers,
                )
                yield item


class GoldenItem(pytest.Item):
    """One case of one model. Its outcome comes from the session's gate, which answers all cases at once.

    Attributes:
        candidate: The model's name; empty if there is only one.
    """

    def __init__(
        self,
        *,
        golden_set: GoldenSet,
        case: GoldenCase,
        candidate: str = "",
        markers: Mapping[str, pytest.MarkDecorator] = MappingProxyType({}),
        **rest: Any,
    ) -> None:
        """Mark the item with its set and tags, and with the case's own skip or xfail.

        Args:
            golden_set: The case's set.
            case: The case.
            candidate: The model's name.
            markers: Those that may be markers, by their names; others can be selected by ``-k`` only.
            rest: Arguments of every item.
        """
        super().__init__(**rest)
        self.golden_set = golden_set
        self.case = case
        self.candidate = candidate
        for name in ("golden", golden_set.name, *case.tags):
            if name in markers:
                self.add_marker(markers[name])
            else:
                self.extra_keyword_matches.add(name)
        if case.skip is not None:
            self.add_marker(pytest.mark.skip(reason=printable_line(case.skip)))
        if case.xfail is not None:
            # Never strict, whatever the project says of its tests: a case that is passed is no failure.
            self.add_marker(pytest.mark.xfail(reason=printable_line(case.xfail), strict=False))

    def runtest(self) -> None:
        """Fail, skip or pass like the case."""
        results = self.config.stash.get(RESULTS, None)
        if results is None:
            pytest.skip("no --model given")
        result = results.result_of(self.candidate, self.case.key)
        if result is None:
            pytest.skip("not answered")
        word = self._counted(result)
        self.user_properties += case_properties(result, word)
        if result.outcome is Outcome.UNSCORED:
            told = (f"{each.metric} {each.reason}" for each in result.unscored)
            why = next(told, "no check of this case gives a verdict")
            pytest.skip(printable_line(f"{word}: {'its set gates a score' if word == GRADED else why}"))
        if result.outcome in {Outcome.FAILED, Outcome.ERRORED}:
            raise CaseFailedError(result)

    def is_left_out(self, report: pytest.TestReport) -> bool:
        """Whether something else than its golden set skipped the case, such as a mark of a conftest file."""
        if not report.skipped or self.case.skip is not None or hasattr(report, "wasxfail"):
            return False
        results = self.config.stash.get(RESULTS, None)
        result = None if results is None else results.result_of(self.candidate, self.case.key)
        return report.when == "setup" or (result is not None and result.outcome is not Outcome.UNSCORED)

    def annotate(self, report: pytest.TestReport) -> None:
        """Mark the report where pytest's own words and time for the outcome would mislead, or say nothing."""
        if report.when != "call":
            if report.passed:
                mark(report, SILENT)
            return
        results = self.config.stash.get(RESULTS, None)
        result = None if results is None else results.result_of(self.candidate, self.case.key)
        if results is None or result is None:
            return
        if (time_s := answer_time_s(result)) is not None:
            report.duration = time_s
        if hasattr(report, "wasxfail"):
            return
        if report.failed and result.outcome in WORDS and results.only_compares(result):
            mark_missed(report, result)
        elif report.failed and result.outcome is Outcome.ERRORED:
            mark(report, BROKEN)
        elif report.skipped and result.outcome is Outcome.UNSCORED:
            mark(report, self._counted(result))

    def _counted(self, result: CaseResult) -> str:
        """What the case counts as."""
        if result.outcome is not Outcome.UNSCORED:
            return str(result.outcome)
        return counted_as(result, self.golden_set.gate.metric_margins, {})

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The prompt, the answer and its failed checks, instead of a traceback."""
        if isinstance(excinfo.value, CaseFailedError):
            return printable(describe_failure(excinfo.value.result))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The case's file and 0-based line."""
        path = Path(self.case.file) if self.case.file else self.path
        return path, max(self.case.line - 1, 0), _labelled(self.case.key, self.candidate)


def _labelled(name: str, candidate: str) -> str:
    """A case's name with the model's, as pytest writes parameters."""
    return f"{name}[{candidate}]" if candidate else name


class CaseFailedError(Exception):
    """A case's answer missed a check, or a check could not be computed."""

    def __init__(self, result: CaseResult) -> None:
        """Store the result for the report."""
        super().__init__(result.key)
        self.result = result
