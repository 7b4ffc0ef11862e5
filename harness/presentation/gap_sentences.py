"""Sentences about what a comparison lacks: cases without a verdict, changed ones, metrics without a pair."""

from harness.comparison.decided_anew import DECIDED_BY
from harness.comparison.times import ASKED_OTHERWISE
from harness.types import (
    ChangedCasesFinding,
    Finding,
    MetricFinding,
    NotComparedFinding,
    NoVerdictFinding,
    Outcome,
    UnpairedFinding,
)
from tunegate.figures import share_of

_MOST_LABELS = 3
# What tells how answers vary, as a metric's finding names it.
STEADIED_BY = {
    "noise": "record how its answers vary (tunegate noise), or repeat each case at a temperature above 0",
    "repeat": "repeat each case at a temperature above 0",
    "more": "repeat each case more often",
}


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
    where = "on both sides" if data.side == "both" else f"in the {data.side}"
    name = f"{finding.set_name} {finding.metric}" if finding.metric else finding.set_name
    return f"{name}: {data.cases} of {data.n} cases {what} {where}, {share_of(data.tolerated)} are tolerated"


def changed_cases(finding: Finding, data: ChangedCasesFinding) -> str:
    """How many cases of a set are other ones than the baseline's, and what answers them.

    Args:
        finding: The finding.
        data: Its data.
    """
    what, cause = "were changed since the baseline", main_cause(data)
    remedy = (
        "gate against the baseline's model itself, which then answers them as they are, or accept a new "
        "baseline"
    )
    if is_rescored(cause):
        remedy = (
            "name a stored run as baseline, whose answers are then scored anew (if it is one, name its model "
            "itself), or accept a new one"
        )
    elif cause == ASKED_OTHERWISE:
        remedy = "give the values of the baseline's run, or gate against its model itself"
    if is_rescored(cause) or cause == ASKED_OTHERWISE:
        count = data.causes[cause]
        what = f"were {cause}" if count == data.cases else f"can't be compared ({count} {cause})"
    return (
        f"{finding.set_name}: {data.cases} of {data.n} cases {what}, {share_of(data.tolerated)} are "
        f"tolerated: {remedy}"
    )


def main_cause(data: ChangedCasesFinding) -> str:
    """Why most cases can't be compared; empty in records of earlier versions."""
    return max(data.causes, key=lambda cause: data.causes[cause], default="")


def is_rescored(cause: str) -> bool:
    """Whether the cases are the same, and what decides them is another one than in the baseline."""
    return cause.startswith(DECIDED_BY)


def unpaired(_: Finding, data: UnpairedFinding) -> str:
    """How many cases are not compared, by cause.

    Args:
        _: The finding, which names no set.
        data: Its data.
    """
    total = sum(data.causes.values())
    listed = ", ".join(f"{count} {cause}" for cause, count in data.causes.items())
    return f"{total} {'case is' if total == 1 else 'cases are'} not compared: {listed}"


def without_labels(data: MetricFinding) -> str:
    """After a number of cases, which labels none of them has; empty if there is none."""
    if not data.unseen_labels:
        return ""
    more = len(data.unseen_labels) - _MOST_LABELS
    named = ", ".join(data.unseen_labels[:_MOST_LABELS]) + (f" and {more} more" if more > 0 else "")
    return f" without the label{'s' if data.unseen_labels[1:] else ''} {named}"
