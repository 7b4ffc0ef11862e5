"""Decides whether a gate failed, and the exit status of a session with a model."""

from collections.abc import Collection

import pytest

from harness.comparison.findings import must_pass_findings
from harness.run.judging import judged_checks
from harness.types import Finding, GateRecord, GateVerdict, NoVerdictFinding, Outcome


def exit_status(
    records: Collection[GateRecord], *, fail_on: str, tests_failed: bool, only_cases: bool = True
) -> pytest.ExitCode:
    """The exit status of a session that was not interrupted.

    Args:
        records: The gated models' records.
        fail_on: ``inconclusive`` fails on that verdict too.
        tests_failed: Whether pytest counts a failure: of a hand-written test, of a must-pass case, or of any
            case without a comparison. Missed cases are not failures.
        only_cases: Whether all of these are golden cases.
    """
    if any(failing_findings(record, fail_on) for record in records):
        return pytest.ExitCode.TESTS_FAILED
    if tests_failed and not (only_cases and _only_judging_failed(records)):
        return pytest.ExitCode.TESTS_FAILED
    if any(_nothing_scored(record) or _judge_was_out(record) for record in records):
        return pytest.ExitCode.INTERNAL_ERROR
    return pytest.ExitCode.OK


def failing_findings(record: GateRecord, fail_on: str) -> list[Finding]:
    """Why a gated model fails its gate and is not accepted, the most important reason first.

    Args:
        record: The run, with its verdict if it was compared.
        fail_on: ``inconclusive`` fails on that verdict too.
    """
    if record.verdict is None:
        return must_pass_findings(record.run)
    failing = {GateVerdict.REGRESS, *([GateVerdict.INCONCLUSIVE] if fail_on == "inconclusive" else [])}
    if record.verdict.outcome not in failing:
        return []
    return [each for each in record.verdict.findings if each.verdict is record.verdict.outcome]


def _nothing_scored(record: GateRecord) -> bool:
    """Whether all cases of a set errored, for example because the judge was unreachable."""
    return record.verdict is not None and any(
        isinstance(finding.data, NoVerdictFinding)
        and finding.data.outcome is Outcome.ERRORED
        and finding.data.cases == finding.data.n
        for finding in record.verdict.findings
    )


def _judge_was_out(record: GateRecord) -> bool:
    """Whether a judge was asked and gave no verdict at all."""
    errors = [
        any(error.metric == check.type for error in result.errors)
        for result in record.run.results
        if result.outcome is not Outcome.SKIPPED
        for check in judged_checks(result.case)
    ]
    return bool(errors) and all(errors)


def _only_judging_failed(records: Collection[GateRecord]) -> bool:
    """Whether a judge that was out explains all failed cases."""
    results = [result for record in records for result in record.run.results]
    return (
        any(_judge_was_out(record) for record in records)
        and all(result.outcome is not Outcome.FAILED for result in results)
        and all(judged_checks(result.case) for result in results if result.outcome is Outcome.ERRORED)
    )
