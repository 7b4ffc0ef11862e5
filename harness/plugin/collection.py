"""Golden sets as pytest nodes: a file a set, an item a case."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.golden.probes import probe_directory
from harness.plugin.gate import GATE
from harness.types import CaseResult, GoldenCase, GoldenSet, MetricError, Outcome, Score

_EXCERPT_CHARACTERS = 600


def golden_file_of(file_path: Path, parent: pytest.Collector) -> "GoldenFile | None":
    """A collector for a YAML file that lies among the golden sets; None for any other file."""
    gate = parent.config.stash[GATE]
    if file_path.suffix not in {".yaml", ".yml"} or not gate.is_golden(file_path):
        return None
    golden_file: GoldenFile = GoldenFile.from_parent(parent, path=file_path)
    return golden_file


def collect_probes(session: pytest.Session) -> list[pytest.Item]:
    """Items of the bundled forgetting probes, which lie outside the project's own folders."""
    items: list[pytest.Item] = []
    for path in sorted(probe_directory().glob("*.yaml")):
        # Not by pytest's walk: that would load the conftest files of whatever folder tunegate lies in.
        golden_file: GoldenFile = GoldenFile.from_parent(session, path=path, nodeid=f"general/{path.name}")
        items += session.genitems(golden_file)
    return items


class GoldenFile(pytest.File):
    """One golden set."""

    def collect(self) -> Iterable["GoldenItem"]:
        """One item a case and model, in the file's order; a broken file is refused once all are read."""
        gate = self.config.stash[GATE]
        try:
            golden_set = load_golden_set(self.path)
        except GoldenError as error:
            gate.broken.append(error)
            return
        if golden_set.probes_forgetting and not gate.settings.forgetting:
            return
        gate.collected += len(golden_set.cases)
        tags = {tag for case in golden_set.cases for tag in case.tags}
        for tag in sorted(tags | {golden_set.name}):
            # Declared here, so that a project with --strict-markers may select by tag.
            self.config.addinivalue_line("markers", f"{tag}: golden cases of this tag or set")
        for case in golden_set.cases:
            for candidate in gate.names:
                name = _labelled(case.id, candidate)
                item: GoldenItem = GoldenItem.from_parent(
                    self,
                    name=name,
                    # As text, so that pytest reads its brackets as it does those of --lf and of arguments.
                    nodeid=f"{self.nodeid}::{name}",
                    golden_set=golden_set,
                    case=case,
                    candidate=candidate,
                )
                yield item


class GoldenItem(pytest.Item):
    """One case of one model. Its outcome comes from the session's gate, which answers all selected at once.

    Attributes:
        candidate: The model's name; empty where there is one only.
    """

    def __init__(self, *, golden_set: GoldenSet, case: GoldenCase, candidate: str = "", **rest: Any) -> None:
        """Mark the item with its set and tags, and with the case's own skip or xfail."""
        super().__init__(**rest)
        self.golden_set = golden_set
        self.case = case
        self.candidate = candidate
        for name in ("golden", golden_set.name, *case.tags):
            self.add_marker(name)
        if case.skip is not None:
            self.add_marker(pytest.mark.skip(reason=case.skip))
        if case.xfail is not None:
            self.add_marker(pytest.mark.xfail(reason=case.xfail))

    def runtest(self) -> None:
        """Fail, skip or pass as the case did."""
        result = self.config.stash[GATE].result_of(self)
        if result.outcome is Outcome.UNSCORED:
            pytest.skip("unscored: no check of this case gives a verdict")
        if result.outcome in {Outcome.FAILED, Outcome.ERRORED}:
            raise CaseFailedError(result)

    def annotate(self, report: pytest.TestReport) -> None:
        """Say on the report how its outcome counts where pytest's own words would mislead."""
        gate = self.config.stash[GATE]
        result = gate.known_result(self)
        if result is None or hasattr(report, "wasxfail"):
            return
        if report.failed and result.outcome is Outcome.FAILED and gate.only_compares(self.case):
            report.tunegate_status = "missed"  # type: ignore[attr-defined] # reports carry plugins' notes
            gate.missed += 1
        elif report.skipped and result.outcome is Outcome.UNSCORED:
            report.tunegate_status = "unscored"  # type: ignore[attr-defined] # as above

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The prompt, the answer and what is wrong with it, instead of a traceback."""
        if isinstance(excinfo.value, CaseFailedError):
            return describe_failure(excinfo.value.result)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the case stands, 0-based line."""
        return self.path, max(self.case.line - 1, 0), _labelled(self.case.key, self.candidate)


def _labelled(name: str, candidate: str) -> str:
    """A case's name with the model's, as pytest writes parameters."""
    return f"{name}[{candidate}]" if candidate else name


class CaseFailedError(Exception):
    """A case's answer missed a check, or a check broke."""

    def __init__(self, result: CaseResult) -> None:
        """Keep the result for the report."""
        super().__init__(result.key)
        self.result = result


def describe_failure(result: CaseResult) -> str:
    """Failed case as text: last prompt, answer, and each failed or broken check."""
    case = result.case
    lines = [f"prompt:  {_excerpt(case.messages[-1].content)}"]
    if result.completion is not None:
        cut = " (cut at max_new_tokens)" if result.completion.stop_reason == "length" else ""
        lines.append(f"answer:  {_excerpt(result.completion.text)}{cut}")
    if result.repeats:
        passed = sum(answer.outcome is Outcome.PASSED for answer in result.repeats)
        lines.append(f"repeats: {passed} of {len(result.repeats)} answers passed; shown is one that did not")
    lines += [f"expects: {_excerpt(reference)}" for reference in case.references]
    lines += [describe_score(score) for score in result.scores if score.passed is False]
    lines += [describe_error(error) for error in result.errors]
    return "\n".join(lines)


def describe_score(score: Score) -> str:
    """One failed check as a line."""
    limit = "" if score.threshold is None else f" {score.value:.3g}, threshold {score.threshold:g}"
    return f"failed:  {score.metric}{limit}" + (f": {score.explanation}" if score.explanation else "")


def describe_error(error: MetricError) -> str:
    """One broken check as a line."""
    return f"errored: {error.metric}: {error.error}"


def _excerpt(text: str) -> str:
    shown = text if len(text) <= _EXCERPT_CHARACTERS else text[:_EXCERPT_CHARACTERS] + " …"
    return shown.replace("\n", "\n         ")
