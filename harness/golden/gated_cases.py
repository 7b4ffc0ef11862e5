"""The cases of a golden set that each gated metric has, known before any model has answered."""

from collections.abc import Sequence

from harness.golden.schema import CHECK_TYPES, base_type, checks_of, decides, is_binary
from harness.registry.content_metrics import SET_METRICS
from harness.registry.metric import compared_scale
from harness.types import GoldenCase, GoldenSet


def judged_cases(golden_set: GoldenSet) -> list[GoldenCase]:
    """The cases that have a pass rate: those with a check that decides. A set that only grades has none.

    Args:
        golden_set: The set; skipped cases don't count.
    """
    return [
        case
        for case in golden_set.cases
        if case.skip is None and any(decides(check) for check in case.checks)
    ]


def cases_of_metric(golden_set: GoldenSet, metric: str) -> list[GoldenCase]:
    """The cases with a check of a metric; of a whole set's metric, those whose checks it is made of.

    Members of groups have no scores of their own.

    Args:
        golden_set: The set; skipped cases don't count.
        metric: A gated metric other than the pass rate.
    """
    return [case for case in golden_set.cases if case.skip is None and checks_of(case, metric)]


def is_graded(metric: str, cases: Sequence[GoldenCase]) -> bool:
    """Whether a gated metric's values are numbers. Otherwise they are true or false, and counted.

    A group or a function has a number only where it has a threshold; one in any case makes all of them so.

    Args:
        metric: A gated metric other than the pass rate.
        cases: The cases that have it.
    """
    if metric in SET_METRICS or base_type(metric) not in CHECK_TYPES:
        return True
    return not all(is_binary(check) for case in cases for check in checks_of(case, metric))


def largest_drop(metric: str) -> float:
    """How far a metric can fall from its best value to its worst; without limit on a scale without an end.

    A drop beyond a larger margin is impossible, so nothing can be shown within it. The worst value of a
    cosine is 0, although its scale begins below.

    Args:
        metric: A gated metric, the pass rate included.
    """
    kind = CHECK_TYPES.get(base_type(metric))
    if kind is None or kind.kind == "binary":
        return 1.0
    least, top = compared_scale(kind.facts)
    return top - (least if kind.lowest is None else kind.lowest)
