"""Sentences about what a comparison lacks: verdicts, cases that did not change, pairs, evidence."""

from collections.abc import Sequence

from harness.comparison.decided_anew import DECIDED_BY
from harness.comparison.times import ASKED_OTHERWISE
from harness.types import (
    ChangedCasesFinding,
    Finding,
    MetricFinding,
    NotComparedFinding,
    NoVerdictFinding,
    Outcome,
    TooFew,
    UnpairedFinding,
)
from harness.types.golden import is_within
from tunegate.figures import share_of

_MOST_LABELS, _MOST_NAMED = 3, 5
# What lets a model that reasons first come to its answer.
ROOM_FOR_REASONING = (
    "give the probes room for it (max_reasoning_tokens, behind a server max_new_tokens, in a set of your own "
    "such as tunegate probes calibrate writes), or turn it off (chat_template_kwargs: {enable_thinking: "
    "false})"
)


def not_compared(finding: Finding, data: NotComparedFinding) -> str:
    """Why a metric has no row.

    Args:
        finding: The finding.
        data: Its data.
    """
    if finding.verdict is None:
        return f"{finding.metric} is not compared: {data.reason}"
    return f"{finding.set_name} {finding.metric}: {data.reason or 'no case has it on both sides'}"


def units_of(data: MetricFinding) -> str:
    """What counts as one in a metric: its cases, or clusters of them."""
    return "cases" if data.clusters == data.n else "clusters"


def end_of_compared(data: MetricFinding) -> float | None:
    """The end that unseen losses put beyond the margin, whatever is missing; None where they don't."""
    if not data.missing:
        return data.high_unseen
    end = data.high_of_compared
    return None if end is None or is_within(end, data.margin) else end


def too_few(data: MetricFinding, few: TooFew) -> str:
    """Why a metric can't regress by itself, however much is lost, and what would change that.

    Args:
        data: The metric's data.
        few: Its units, and what shares the level with it.
    """
    unit = units_of(data)
    together = f"{few.units} {unit} can all" if few.units > 1 else f"1 {unit[:-1]} can"
    if few.units > 1 and few.chance > 0.5**few.units:
        # Where one cluster has most cases, the others have to show a drop by themselves.
        together = f"{few.units - 1} {unit} beside the one with most cases can all"
    sharing = [
        f"{count} {name}"
        for count, name in ((few.models, "models"), (few.tests, "tests"), (few.looks, "looks"))
        if count > 1
    ]
    counted = f", which counts {few.counts:.3g} times" if few.counts > 1 else ""
    counted += f" for {' and '.join(sharing)}" if sharing else ""
    fewer = ", or gate fewer models at once" if few.models > 1 else ""
    return (
        f"it can {'never regress' if few.never else 'regress only beside another metric'}: "
        f"{together} get worse by chance with a probability of {few.chance:.4g}{counted}: "
        f"make it {few.enough} {unit} or more{fewer}"
    )


def no_verdict(finding: Finding, data: NoVerdictFinding) -> str:
    """How many cases of a set have no verdict, and how many it tolerates.

    Args:
        finding: The finding.
        data: Its data.
    """
    what = "errored" if data.outcome is Outcome.ERRORED else "were left unscored"
    where = "on both sides" if data.side == "both" else f"in the {data.side}"
    name = f"{finding.set_name} {finding.metric}" if finding.metric else finding.set_name
    lacking = (
        f"{name}: {data.cases} of {data.n} cases {what} {where}, {share_of(data.tolerated)} are tolerated"
    )
    if not data.unanswered:
        return lacking
    which = "they" if data.unanswered == data.cases else f"{data.unanswered} of them"
    open_ones = f"{which} got a reasoning and no answer, which says nothing of a skill"
    return f"{lacking}: {open_ones}: {ROOM_FOR_REASONING}"


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
    labels = named(data.unseen_labels, _MOST_LABELS)
    return f" without the label{'s' if data.unseen_labels[1:] else ''} {labels}"


def named(names: Sequence[str], most: int = _MOST_NAMED) -> str:
    """Names in a sentence, the first of many.

    Args:
        names: The names.
        most: How many are told.
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
