"""What GitHub Actions shows of a gate: the job's summary, and annotations at the lines of golden cases."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.comparison.pairing import PASS_RATE
from harness.presentation.sentences import verdict_line
from harness.types import GateRecord, GateVerdict, MustPassFinding, RegressedCasesFinding
from reports.markdown import render_markdown
from tunegate.printable import printable_line

# GitHub shows ten of each level in a step.
_MOST = 10


def add_summary(
    record: GateRecord, environment: Mapping[str, str], unsaved: str | None = None, place: str = ""
) -> Path | None:
    """Append the result to the job's summary, if there is one.

    Args:
        record: The gate's record.
        environment: The process's environment.
        unsaved: As ``render_markdown`` takes it.
        place: As ``render_markdown`` takes it.

    Returns:
        The file; None outside GitHub Actions.

    Raises:
        OSError: It can't be written.
    """
    if not (name := environment.get("GITHUB_STEP_SUMMARY")):
        return None
    with Path(name).open("a", encoding="utf-8", errors="replace") as file:
        file.write(render_markdown(record, unsaved, place) + "\n")
    return Path(name)


def annotations(record: GateRecord, root: Path) -> Iterator[str]:
    """GitHub's commands for the verdict and for each lost case at its line, to be printed as they are.

    Args:
        record: The gate's record.
        root: The folder that golden sets' paths are relative to.
    """
    if record.verdict is None or record.comparison is None:
        return
    regressed = record.verdict.outcome is GateVerdict.REGRESS
    level = {GateVerdict.REGRESS: "error", GateVerdict.INCONCLUSIVE: "warning"}.get(
        record.verdict.outcome, "notice"
    )
    yield f"::{level} title=tunegate::{_data(verdict_line(record))}"
    certain = {key for row in record.comparison.regressed_cases for key in [row.key]}
    for finding in record.verdict.findings:
        if isinstance(finding.data, MustPassFinding) and finding.verdict is GateVerdict.REGRESS:
            certain |= set(finding.data.cases)
        elif isinstance(finding.data, RegressedCasesFinding):
            certain |= {case.key for case in finding.data.cases}
    failing = {row.set_name for row in record.comparison.metrics if row.verdict is GateVerdict.REGRESS}
    lost = [key for row in record.comparison.metrics if row.metric == PASS_RATE for key in row.lost]
    cases = {result.key: result.case for result in record.run.results}
    files = {golden_set.name: golden_set.path for golden_set in record.run.golden_sets}
    keys = list(dict.fromkeys([*(key for key in cases if key in certain), *lost]))
    # The verdict's own line is one of them.
    for key in keys[: _MOST - 1]:
        case = cases[key]
        place = _place(case.file or files.get(case.set_name, ""), case.line, root)
        grave = regressed and (key in certain or case.set_name in failing)
        what = "regressed" if key in certain else "lost"
        if place:
            yield f"::{'error' if grave else 'warning'} {place},title={_property(what)}::{_data(key)}"


def _place(path: str, line: int, root: Path) -> str:
    """The properties of a line in a file of the repository; empty if the file isn't there."""
    file = root / path
    if not path or not file.is_file():
        return ""
    workspace = Path(os.environ.get("GITHUB_WORKSPACE", root))
    shown = file.resolve()
    if shown.is_relative_to(workspace.resolve()):
        shown = shown.relative_to(workspace.resolve())
    return f"file={_property(str(shown))},line={max(line, 1)}"


def _data(text: str) -> str:
    """Names and texts of others can't end the line and begin a command of their own."""
    return printable_line(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
