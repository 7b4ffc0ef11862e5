"""What a metric is: what a check of it takes, what its value means, and the function that gives it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.registry.options import Options
from harness.types import MetricFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One check type of golden sets.

    Attributes:
        name: What ``type:`` calls it: lower-case letters, digits and hyphens.
        kind: ``binary`` values are true or false and take no threshold; ``graded`` ones are numbers and
            decide only when a threshold is written.
        summary: One sentence for editors, docs and dialogues.
        function: Scores a batch: a ``harness.metrics.definition.ScoreFunction``, or its path
            ``module:name``, which is imported when the metric is first used.
        value: Whether ``value:`` must be written, may be, or is refused. Where it is optional and
            missing, the case's references take its place (``is-json``: no schema is required).
        value_type: JSON type of ``value``.
        needs_references: The check can't run in a case without references (unless ``value`` is given).
        always_references: It needs references also where ``value`` is given.
        needs_context: It can't run in a case without retrieved passages.
        minimum: Lower end of the scale; None when it is open.
        maximum: Upper end of the scale; None when it is open.
        higher_is_better: False when a lower number is the better one: the threshold is then a maximum.
        logarithmic: Two runs are compared by its logarithm.
        version: Changes whenever the metric would give the same answer another value: runs of different
            versions are not compared, and stored scores of another version are not used.
        invertible: ``not-TYPE`` exists.
        options: The check's further keys.
        extra: The optional installation of tunegate that brings its libraries, or None.
        libraries: Distribution name to import name of what the function imports.
        judged: A judge decides it.
        cached: Its scores are stored between runs: they cost more than a look-up, and follow from the
            answer, the case, ``version`` and the libraries alone.
    """

    name: str
    kind: Literal["binary", "graded"]
    summary: str
    function: str | Callable[..., Any]
    value: Literal["required", "optional", "refused"] = "refused"
    value_type: Literal["string", "strings", "pattern", "schema", "json"] = "string"
    needs_references: bool = False
    always_references: bool = False
    needs_context: bool = False
    minimum: float | None = 0.0
    maximum: float | None = 1.0
    higher_is_better: bool = True
    logarithmic: bool = False
    version: str = "1"
    invertible: bool = False
    options: type[Options] = Options
    extra: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    judged: bool = False
    cached: bool = False

    @property
    def facts(self) -> MetricFacts:
        """What a run that was scored with it says of it."""
        return MetricFacts(
            kind=self.kind,
            higher_is_better=self.higher_is_better,
            least=self.minimum,
            most=self.maximum,
            logarithmic=self.logarithmic,
            version=self.version,
        )
