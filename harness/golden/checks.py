"""The check types that a golden set may use: all metrics of the registry, those of plug-ins included."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from harness.registry import Metric, active
from harness.registry.builtin_metrics import BUILTIN_METRICS, PYTHON
from harness.types import Check, MetricFacts


class _KnownMetrics(Mapping[str, Metric]):
    """What the registry holds at the moment."""

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
    """Whether a check's values are true or false: a ``python`` check's are where it has no threshold."""
    kind = CHECK_TYPES[base_type(check.type)]
    return kind.kind == "binary" or (kind.name == PYTHON and check.threshold is None)


def decides(check: Check) -> bool:
    """Whether a case passes or fails by this check: a yes or no, or a number with a threshold."""
    return is_binary(check) or check.threshold is not None


def metric_facts(checks: Iterable[Check]) -> dict[str, MetricFacts]:
    """How the scores of checks are read, by the name that the scores bear."""
    found: dict[str, MetricFacts] = {}
    for check in checks:
        facts = CHECK_TYPES[base_type(check.type)].facts
        if is_binary(check):
            facts = replace(facts, kind="binary")
        # A python check that has a threshold in one case and none in another is a number in all.
        if check.type not in found or found[check.type].kind == "binary":
            found[check.type] = facts
    return found


def check_names() -> list[str]:
    """All names that ``type:`` takes, the inverted ones included."""
    return [*CHECK_TYPES, *(f"not-{name}" for name, check in CHECK_TYPES.items() if check.invertible)]
