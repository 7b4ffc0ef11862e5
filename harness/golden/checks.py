"""The check types that a golden set may use: all metrics of the registry, those of plug-ins included."""

from collections.abc import Iterator, Mapping

from harness.registry import Metric, active
from harness.registry.builtin_metrics import BUILTIN_METRICS


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
    """Name of the check type behind a possibly inverted name: ``not-contains`` is ``contains``."""
    return name.removeprefix("not-")


def check_names() -> list[str]:
    """All names that ``type:`` takes, the inverted ones included."""
    return [*CHECK_TYPES, *(f"not-{name}" for name, check in CHECK_TYPES.items() if check.invertible)]
