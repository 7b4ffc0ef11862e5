"""Sentences about what tells how answers to exactly these cases vary."""

from harness.types import MetricFinding
from harness.types.stability import USUAL_RERUNS
from tunegate.figures import wide_enough


def steadied(data: MetricFinding) -> str:
    """What tells how answers to exactly these cases vary, as far as it can lead to a pass.

    Args:
        data: The data of a finding that is inconclusive since nothing tells it.
    """
    ways = [f"record how its answers vary ({_noise(data)})"] if is_told_by_record(data) else []
    if data.steady_answers != 0:
        ways.append(f"repeat each case {how_often(data)}")
    if data.steady_cases is not None:
        record = "" if data.steady_reruns is None else f" with a noise record ({_noise(data)})"
        ways.append(f"ask {data.steady_cases} such cases or more{record}")
    known = data.steady_answers is not None and not is_told_by_record(data)
    # A margin that allows to lose all that the baseline has would say nothing.
    if known and data.drop.high < data.baseline:
        ways.append(f"widen the margin to {wide_enough(data.drop.high)}")
    if not ways:
        ways.append("choose cases that the baseline passes" if data.baseline < 1 else "ask more cases")
    return ", or ".join(filter(None, [", ".join(ways[:-1]), ways[-1]]))


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


def usual_reruns(data: MetricFinding) -> bool:
    """Whether as many reruns are enough as ``tunegate noise`` makes, or nobody knows how many are."""
    return data.steady_reruns is None or data.steady_reruns <= USUAL_RERUNS


def _noise(data: MetricFinding) -> str:
    """The command that reruns the baseline, as often as it takes."""
    return "tunegate noise" if usual_reruns(data) else f"tunegate noise -r {data.steady_reruns}"


# What lets a model that reasons first come to its answer.
