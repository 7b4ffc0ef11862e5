"""Sentences about what tells how answers to exactly these cases vary."""

from harness.authoring.remedies import more_cases, noise_command, one_of
from harness.types import MetricFinding
from tunegate.figures import wide_enough


def steadied(data: MetricFinding) -> str:
    """What tells how answers to exactly these cases vary, as far as it can lead to a pass.

    Args:
        data: The data of a finding that is inconclusive since nothing tells it.
    """
    command = noise_command(data.steady_reruns)
    ways = [f"record how its answers vary ({command})"] if is_told_by_record(data) else []
    if data.steady_answers != 0:
        ways.append(f"repeat each case {how_often(data)}")
    if data.steady_cases is not None:
        ways.append(more_cases(data.steady_cases, data.steady_reruns))
    known = data.steady_answers is not None and not is_told_by_record(data)
    if known and may_be_wider(data):
        ways.append(f"widen the margin to {wide_enough(possible_drop(data))}")
    if not ways:
        ways.append("choose cases that the baseline passes" if data.baseline < 1 else "ask more cases")
    return one_of(ways)


def may_be_wider(data: MetricFinding) -> bool:
    """Whether a margin that is wide enough says anything: not where it allows to lose all that there is."""
    return possible_drop(data) < data.baseline


def possible_drop(data: MetricFinding) -> float:
    """The largest drop that is left possible, also if what has a value on one side only was lost."""
    return data.drop.high if data.high_unseen is None else max(data.drop.high, data.high_unseen)


def is_told_by_record(data: MetricFinding) -> bool:
    """Whether a noise record can be enough for the cases as they are."""
    if data.steadied_by == "more":
        return data.steady_reruns is not None and data.steady_cases is None
    return data.steadied_by == "noise"


def how_often(data: MetricFinding) -> str:
    """How many answers to each case are enough, as far as it is known, and how they are given."""
    few = "" if data.steady_answers is None else f"{data.steady_answers} times or more"
    if data.steadied_by == "more":
        return few or "more often"
    return f"{few} at a temperature above 0".lstrip()
