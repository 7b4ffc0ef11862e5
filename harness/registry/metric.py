"""The record of a metric: the keys of its checks, the meaning of its value, and its function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.registry.options import Options
from harness.types import MetricFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One check type of golden sets.

    Attributes:
        name: Its name in ``type:``: lower-case letters, digits and hyphens.
        kind: ``binary`` values are true or false and take no threshold; ``graded`` ones are numbers and
            decide only if a threshold is written.
        summary: One sentence for editors, docs and dialogues.
        function: Scores a batch: a ``harness.metrics.definition.ScoreFunction``, or its path
            ``module:name``, which is imported when the metric is first used.
        value: Whether ``value:`` is required, optional or refused. If it is optional and missing, the case's
            references are used (``is-json``: no schema is required).
        value_type: JSON type of ``value``.
        needs_references: The check can't run in a case without references (unless ``value`` is given).
        always_references: It needs references even if ``value`` is given.
        needs_context: It can't run in a case without retrieved passages.
        needs_tools: It can't run in a case without tools.
        minimum: Lower end of the scale; None if there is none.
        maximum: Upper end of the scale; None if there is none.
        higher_is_better: False if a lower number is better: the threshold is then a maximum.
        logarithmic: Runs are compared by its logarithm.
        light_tails: Its drops include no rare huge ones, so a pass of few cases needs no allowance for them.
        usual_margin: The tolerated drop of a set that gates it without a margin; None: a set must give one.
        version: Changes if the metric gives another value for the same answer. Runs of different versions are
            not compared, and cached scores of another version are not used.
        invertible: ``not-TYPE`` exists.
        true_or_false: A graded check without a threshold is true or false.
        reads_answer: It depends on the answer's text.
        needs_losses: It needs the model's losses on texts, not only its answer.
        group: It combines other checks.
        runs_code: It runs code of the project or of a model: only with a permission, and never in the lint.
        options: The check's further keys.
        extra: The extra of tunegate that installs its libraries, or None.
        libraries: Distribution name to import name of what the function imports.
        judged: A judge decides it.
        cached: Its scores are cached between runs: they cost more than a look-up, and depend only on the
            answer, the case, ``version`` and the libraries.
    """

    name: str
    kind: Literal["binary", "graded"]
    summary: str
    function: str | Callable[..., Any]
    value: Literal["required", "optional", "refused"] = "refused"
    value_type: Literal["string", "strings", "pattern", "schema", "json", "quantity"] = "string"
    needs_references: bool = False
    always_references: bool = False
    needs_context: bool = False
    needs_tools: bool = False
    minimum: float | None = 0.0
    maximum: float | None = 1.0
    higher_is_better: bool = True
    logarithmic: bool = False
    light_tails: bool = False
    usual_margin: float | None = None
    version: str = "1"
    invertible: bool = False
    true_or_false: bool = False
    reads_answer: bool = True
    needs_losses: bool = False
    group: bool = False
    runs_code: bool = False
    options: type[Options] = Options
    extra: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    judged: bool = False
    cached: bool = False

    @property
    def facts(self) -> MetricFacts:
        """The facts about it in a run."""
        return MetricFacts(
            kind=self.kind,
            higher_is_better=self.higher_is_better,
            least=self.minimum,
            most=self.maximum,
            logarithmic=self.logarithmic,
            version=self.version,
        )
