"""Sentences about what a comparison lacks: cases without a verdict, changed ones, metrics without a pair."""

from harness.types import (
    ChangedCasesFinding,
    Finding,
    NotComparedFinding,
    NoVerdictFinding,
    Outcome,
    UnpairedFinding,
)
from tunegate.figures import share_of


def not_compared(finding: Finding, data: NotComparedFinding) -> str:
    """Why a metric has no row.

    Args:
        finding: The finding.
        data: Its data.
    """
    if finding.verdict is None:
        return f"{finding.metric} is not compared: {data.reason}"
    return f"{finding.set_name} {finding.metric}: {data.reason or 'no case has it on both sides'}"


def no_verdict(finding: Finding, data: NoVerdictFinding) -> str:
    """How many cases of a set have no verdict, and how many it tolerates.

    Args:
        finding: The finding.
        data: Its data.
    """
    what = "errored" if data.outcome is Outcome.ERRORED else "were left unscored"
    return (
        f"{finding.set_name}: {data.cases} of {data.n} cases {what} in the {data.side}, "
        f"{share_of(data.tolerated)} are tolerated"
    )


def changed_cases(finding: Finding, data: ChangedCasesFinding) -> str:
    """How many cases of a set are other ones than the baseline's, and what answers them.

    Args:
        finding: The finding.
        data: Its data.
    """
    return (
        f"{finding.set_name}: {data.cases} of {data.n} cases were changed since the baseline, "
        f"{share_of(data.tolerated)} are tolerated: gate against the baseline's model itself, which then "
        f"answers them as they are, or accept a new baseline"
    )


def unpaired(_: Finding, data: UnpairedFinding) -> str:
    """How many cases are not compared, by cause.

    Args:
        _: The finding, which names no set.
        data: Its data.
    """
    total = sum(data.causes.values())
    listed = ", ".join(f"{count} {cause}" for cause, count in data.causes.items())
    return f"{total} {'case is' if total == 1 else 'cases are'} not compared: {listed}"
