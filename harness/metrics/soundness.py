"""Checks that a metric's results are valid scores."""

import math
from collections.abc import Iterable, Sequence

from harness.golden.checks import CHECK_TYPES, base_type
from harness.metrics.definition import ScoringRequest
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.types import MetricError, Score

# Cosines and similar values may be slightly outside of their scale because of rounding.
_ROUNDING = 1e-5


def sound_results(requests: Sequence[ScoringRequest], given: Iterable[object]) -> list[Score | MetricError]:
    """The results, each checked.

    Args:
        requests: The requests.
        given: The results of the metric's function, in the same order.

    Raises:
        ValueError: The numbers of results and requests differ.
    """
    results = list(given)
    if len(results) != len(requests):
        raise ValueError(f"the metric gave {len(results)} results for {len(requests)} answers")
    return [_sound(request, result) for request, result in zip(requests, results, strict=True)]


def _sound(request: ScoringRequest, result: object) -> Score | MetricError:
    """The result itself, or an error in place of an invalid one."""
    if isinstance(result, MetricError):
        return result
    name = base_type(request.check.type)
    if not isinstance(result, Score):
        problem = f"the metric gave a {type(result).__name__} (allowed: a Score or a MetricError)"
        return MetricError(metric=name, error=problem)
    if not math.isfinite(result.value):
        problem = f"the metric gave {result.value} instead of a number. {result.explanation}"
        return MetricError(metric=name, error=problem)
    if name not in BUILTIN_METRICS and (allowed := _violated_scale(name, result.value)):
        return MetricError(metric=name, error=f"the metric gave {result.value:g} (allowed: {allowed})")
    return result


def _violated_scale(name: str, value: float) -> str:
    """The scale of a plug-in's metric if a value is not on it; else an empty text."""
    kind = CHECK_TYPES[name]
    if kind.kind == "binary":
        return "" if value in {0.0, 1.0} else "0 or 1"
    if kind.logarithmic and value <= 0:
        return "a number above 0, since runs are compared by its logarithm"
    if kind.minimum is not None and value < kind.minimum - _ROUNDING:
        return f"{kind.minimum:g} or more"
    if kind.maximum is not None and value > kind.maximum + _ROUNDING:
        return f"{kind.maximum:g} or less"
    return ""
