"""Whether what a metric gave is a score that can be counted."""

import math
from collections.abc import Iterable, Sequence

from harness.golden.checks import CHECK_TYPES, base_type
from harness.metrics.definition import ScoringRequest
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.types import MetricError, Score

# Cosines and the like leave their scale by the rounding of their numbers.
_ROUNDING = 1e-5


def sound_results(requests: Sequence[ScoringRequest], given: Iterable[object]) -> list[Score | MetricError]:
    """The results, each of them checked.

    Args:
        requests: What was asked.
        given: What the metric's function gave for them, in their order.

    Raises:
        ValueError: There are more or fewer than requests.
    """
    results = list(given)
    if len(results) != len(requests):
        raise ValueError(f"the metric gave {len(results)} results for {len(requests)} answers")
    return [_sound(request, result) for request, result in zip(requests, results, strict=True)]


def _sound(request: ScoringRequest, result: object) -> Score | MetricError:
    """The result itself, or an error in place of one that means nothing."""
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
    """The scale of a plug-in's metric, where a value is not on it; else nothing."""
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
