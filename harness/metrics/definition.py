"""What a metric is: a function that scores a whole batch of completions at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from harness.golden.checks import CHECK_TYPES, base_type
from harness.registry import load_function
from harness.types import Check, GoldenCase, JsonValue, MetricError, Score, TextLoss

if TYPE_CHECKING:
    from harness.judge.panel import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRequest:
    """One check of one case, with the answer to score.

    Attributes:
        text: The model's answer.
        reference_losses: The model's cross-entropy on each of the case's references, in their order;
            None when it was not measured.
        panel: Who judges, for checks that a judge decides.
        baseline_text: The baseline's answer to the case, where there is one.
        repeat: Counts further times that a judge is asked the same.
        allow_python: Whether the project allows its own code to be run.
    """

    case: GoldenCase
    check: Check
    text: str
    reference_losses: tuple[TextLoss, ...] | None = None
    panel: "Panel | None" = None
    baseline_text: str | None = None
    repeat: int = 0
    allow_python: bool = False


ScoreFunction: TypeAlias = Callable[[Sequence[ScoringRequest]], list[Score | MetricError]]
"""Scores requests of one check type: as many results as requests, in their order.

A result's ``value`` is the type's own (an inverted check's is turned afterwards, and ``passed`` is
decided then too), so its explanation states a fact about the answer rather than praise or blame. A
function may raise: the caller then asks again one request at a time.
"""


def score_function(name: str) -> ScoreFunction:
    """The function of a check type, imported now.

    Raises:
        SettingsError: It is a plug-in's and can't be imported.
    """
    function: ScoreFunction = load_function(CHECK_TYPES[name].function, f"metric {name!r}")
    return function


def one_by_one(score: Callable[[ScoringRequest], Score | MetricError]) -> ScoreFunction:
    """Make a batch function of one that scores a single request."""

    def score_each(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        return [score(request) for request in requests]

    return score_each


def binary(request: ScoringRequest, holds: bool, explanation: str) -> Score:
    """Score of a true-or-false metric: 1 when it holds, else 0.

    Args:
        request: What is scored.
        holds: Whether the answer has what is asked for.
        explanation: Why, for a person.
    """
    return graded(request, float(holds), explanation)


def graded(request: ScoringRequest, value: float, explanation: str) -> Score:
    """Score of a metric on a scale.

    Args:
        request: What is scored.
        value: On the metric's own scale.
        explanation: Why, for a person.
    """
    return Score(metric=base_type(request.check.type), value=value, explanation=explanation)


def wanted_texts(request: ScoringRequest) -> tuple[str, ...]:
    """The check's own text, or else the case's references.

    Raises:
        ValueError: There is neither.
        TypeError: The check's value is not text.
    """
    value = request.check.value
    texts = request.case.references if value is None else (text_of(value),)
    if not texts:
        raise ValueError(f"{request.check.type} has neither a value nor a reference to compare with")
    return texts


def text_of(value: JsonValue) -> str:
    """The value as the string that it has to be.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"the check's value has to be text, not {type(value).__name__}")
    return value


def quote(text: str, limit: int = 60) -> str:
    """Text between quotation marks for an explanation: one printable line, its middle cut if long.

    Args:
        text: The text.
        limit: Most characters of it that are shown.
    """
    if len(text) <= limit:
        return _quoted(text)
    half = limit // 2
    return f"{_quoted(text[:half])} … {_quoted(text[-half:])}"


def _quoted(text: str) -> str:
    """As it stands where it can, so that a pattern's backslashes are not doubled; else escaped."""
    return f"'{text}'" if text.isprintable() and "'" not in text else repr(text)
