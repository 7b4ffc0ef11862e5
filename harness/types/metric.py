"""Facts about metrics and scored texts in a stored run, so that they can be compared later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

# Of any metric's values and of its scale's ends, either way. Statistics square them, and 1e160 squared is no
# number any more; where values mean something, none is near this.
LARGEST_VALUE = 1e100
# The name of the judges, or of one, among what scored a metric.
JUDGE = "judge"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """How to read one metric's values. Two runs are not compared if one of these facts differs.

    Attributes:
        kind: ``binary`` values are 0 or 1, ``graded`` ones are on a scale.
        higher_is_better: If false, a rise of the value is a drop.
        least: Lower end of the scale; None if there is none.
        most: Upper end of the scale; None if there is none.
        logarithmic: Compared by its natural logarithm, so that one large value can't outweigh all others.
        version: Changes if the metric gives another value for the same answer.
        scored_by: What gave the values beside the metric's own code: ``judge`` and its name, and
            ``encoder NAME`` with the start of its files' hash; None in records that don't say.
    """

    kind: Literal["binary", "graded"]
    higher_is_better: bool = True
    least: float | None = 0.0
    most: float | None = 1.0
    logarithmic: bool = False
    version: str = "1"
    scored_by: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnscoredMetric:
    """A check that was left without a score on purpose, such as one whose judge is unreliable for it."""

    metric: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredTexts:
    """The texts whose losses a score is made of.

    Attributes:
        tokens: Of each, the number of its tokens.
        direct: Whether one was scored behind marks that the chat template writes before an answer, such as an
            empty reasoning, and not directly behind the prompt.
    """

    tokens: tuple[int, ...]
    direct: bool = False

    @classmethod
    def of(cls, losses: "Sequence[TextLoss]") -> "ScoredTexts":
        """What a score says of the texts whose losses, in their order, it is made of."""
        return cls(tokens=tuple(loss.tokens for loss in losses), direct=any(loss.direct for loss in losses))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLoss:
    """Cross-entropy of a model on one text.

    Attributes:
        passage: The name of a bundled passage of general text, or of what has the text.
        direct: Of an answer: whether it was scored behind marks that a template writes before one.
    """

    passage: str
    nats_per_token: float
    tokens: int
    direct: bool = False
