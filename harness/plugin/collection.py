"""Golden sets as pytest nodes: a file for each set, an item for each case."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.golden.probes import probe_directory
from harness.plugin.failure_text import describe_failure
from harness.plugin.junit import answer_time_s, case_properties
from harness.plugin.missed import WORDS, mark, mark_missed
from harness.plugin.selection import SELECTION
from harness.types import CaseResult, GoldenCase, GoldenSet, Outcome
from tunegate.markers import declare_markers
from tunegate.printable import printable, printable_line


class CaseResults(Protocol):
    """The source of an item's result."""

    def result_of(self, candidate: str, key: str) -> CaseResult:
        """The result of a case.

        Args:
            candidate: The model's name in the session.
            key: The case's key.
        """

    def known_result(self, candidate: str, key: str) -> CaseResult | None:
        """The result of a case, if there is one already.

        Args:
            candidate: The model's name in the session.
            key: The case's key.
        """

    def only_compares(self, case: GoldenCase) -> bool:
        """Whether a failure of this case is judged by the comparison alone."""


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


def collect_probes(session: pytest.Session) -> list[pytest.Item]:
    """Items of the bundled forgetting probes, which are outside the project's own folders."""
    items: list[pytest.Item] = []
    for path in sorted(probe_directory().glob("*.yaml")):
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
            golden_set = load_golden_set(self.path)
        except GoldenError as error:
            selection.note_fault(error)
            return
        if golden_set.probes_forgetting and not selection.with_probes:
            return
        selection.note_set(self.path, golden_set)
        tags = {tag for case in golden_set.cases for tag in case.tags}
        names = {"golden", golden_set.name, *tags}
        markers = declare_markers(self.config, names, "golden cases of this tag or set")
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
        markers: frozenset[str] = frozenset(),
        **rest: Any,
    ) -> None:
        """Mark the item with its set and tags, and with the case's own skip or xfail.

        Args:
            golden_set: The case's set.
            case: The case.
            candidate: The model's name.
            markers: Which names may be markers; others can be selected by ``-k`` only.
            rest: Arguments of every item.
        """
        super().__init__(**rest)
        self.golden_set = golden_set
        self.case = case
        self.candidate = candidate
        for name in ("golden", golden_set.name, *case.tags):
            if name in markers:
                self.add_marker(name)
            else:
                self.extra_keyword_matches.add(name)
        if case.skip is not None:
            self.add_marker(pytest.mark.skip(reason=printable_line(case.skip)))
        if case.xfail is not None:
            self.add_marker(pytest.mark.xfail(reason=printable_line(case.xfail)))

    def runtest(self) -> None:
        """Fail, skip or pass like the case."""
        results = self.config.stash.get(RESULTS, None)
        if results is None:
            pytest.skip("no --model given")
        result = results.result_of(self.candidate, self.case.key)
        self.user_properties += case_properties(result)
        if result.outcome is Outcome.UNSCORED:
            pytest.skip("unscored: no check of this case gives a verdict")
        if result.outcome in {Outcome.FAILED, Outcome.ERRORED}:
            raise CaseFailedError(result)

    def annotate(self, report: pytest.TestReport) -> None:
        """Mark the report where pytest's own words and time for the outcome would mislead."""
        results = self.config.stash.get(RESULTS, None)
        result = None if results is None else results.known_result(self.candidate, self.case.key)
        if results is None or result is None:
            return
        if (time_s := answer_time_s(result)) is not None:
            report.duration = time_s
        if hasattr(report, "wasxfail"):
            return
        if report.failed and result.outcome in WORDS and results.only_compares(self.case):
            mark_missed(report, result)
        elif report.skipped and result.outcome is Outcome.UNSCORED:
            mark(report, "unscored")

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
