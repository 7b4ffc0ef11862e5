"""The check types that a golden set may use: all metrics of the registry, including those of plug-ins."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from harness.registry import Metric, active
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.types import Check, MetricFacts


class _KnownMetrics(Mapping[str, Metric]):
    """The current metrics of the registry."""

    def __getitem__(self, name: str) -> Metric:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def _known(self) -> Mapping[str, Metric]:
        return active().merged(Metric, BUILTIN_METRICS)


CHECK_TYPES: Mapping[str, Metric] = _KnownMetrics()


def base_type(name: str) -> str:
    """Name of the check type behind a check's name.

    ``not-contains`` is ``contains``; ``python:checks.py:polite`` is ``python``.
    """
    return name.removeprefix("not-").partition(":")[0]


def is_binary(check: Check) -> bool:
    """Whether a check's values are true or false; those of some graded checks are without a threshold."""
    kind = CHECK_TYPES[base_type(check.type)]
    return kind.kind == "binary" or (kind.true_or_false and check.threshold is None)


def decides(check: Check) -> bool:
    """Whether this check decides if a case passes: it is true or false, or a number with a threshold."""
    return is_binary(check) or check.threshold is not None


def metric_facts(checks: Iterable[Check]) -> dict[str, MetricFacts]:
    """Direction, scale and version of the checks' scores, by the name in the scores."""
    found: dict[str, MetricFacts] = {}
    for check in checks:
        facts = CHECK_TYPES[base_type(check.type)].facts
        if is_binary(check):
            facts = replace(facts, kind="binary")
        # A check with a threshold in one case and none in another is a number in all.
        if check.type not in found or found[check.type].kind == "binary":
            found[check.type] = facts
    return found


def check_names() -> list[str]:
    """All names that ``type:`` accepts, including the negated ones."""
    return [*CHECK_TYPES, *(f"not-{name}" for name, check in CHECK_TYPES.items() if check.invertible)]
